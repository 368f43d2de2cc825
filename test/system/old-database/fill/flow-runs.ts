/** Fills a server with flow runs in all states, their inputs, and task runs that are created by HTTP. */
import type { Api } from "../../support/api.ts";
import { EXACT, nested, range, turn, UNICODE } from "./made.ts";
import { create, type Things } from "./things.ts";

interface Proposal {
  type: string;
  name?: string;
  message?: string;
  data?: unknown;
  state_details?: Record<string, unknown>;
}

const SCHEDULED_TIME = "2026-12-24T18:00:00.123456Z";
const RESULT = { type: "result", artifact_type: "result", storage_key: "/tmp/ünï.pkl", number: EXACT };
const TRACE = `Flow run encountered an exception: ValueError: ${UNICODE}\n${"  File ü.py, line 1\n".repeat(300)}`;

const begun: Proposal[] = [{ type: "PENDING" }, { type: "RUNNING" }];

/** The states of the runs of a kind. Each kind of run is named after its last state. */
const LIVES: Record<string, Proposal[]> = {
  scheduled: [{ type: "SCHEDULED", state_details: { scheduled_time: SCHEDULED_TIME } }],
  late: [{ type: "SCHEDULED" }, { type: "SCHEDULED", name: "Late", state_details: { scheduled_time: SCHEDULED_TIME } }],
  pending: [{ type: "PENDING", message: "on its way" }],
  running: begun,
  completed: [...begun, { type: "COMPLETED", message: UNICODE, data: RESULT }],
  cached: [
    ...begun,
    { type: "COMPLETED", name: "Cached", state_details: { cache_key: "ключ", untrackable_result: true } },
  ],
  failed: [...begun, { type: "FAILED", message: TRACE, data: nested(30) }],
  retried: [
    ...begun,
    { type: "SCHEDULED", name: "AwaitingRetry", state_details: { scheduled_time: SCHEDULED_TIME } },
    { type: "RUNNING", name: "Retrying" },
    { type: "SCHEDULED", name: "AwaitingRetry", state_details: { scheduled_time: SCHEDULED_TIME } },
    { type: "RUNNING", name: "Retrying" },
    { type: "COMPLETED", data: [EXACT.one, EXACT.big] },
  ],
  paused: [
    ...begun,
    {
      type: "PAUSED",
      state_details: {
        pause_timeout: SCHEDULED_TIME,
        pause_key: "p-1",
        pause_reschedule: false,
        run_input_keyset: { schema: "old-schema", response: "old-response" },
      },
    },
  ],
  suspended: [...begun, { type: "PAUSED", name: "Suspended", state_details: { pause_reschedule: true } }],
  cancelling: [...begun, { type: "CANCELLING" }],
  cancelled: [...begun, { type: "CANCELLING" }, { type: "CANCELLED", message: "by a user" }],
  crashed: [...begun, { type: "CRASHED", message: "the process is gone" }],
  // More states than any stock run has.
  changed: [
    ...begun,
    ...range(120).map((number) => ({ type: "RUNNING", name: `Step ${number}`, message: `${UNICODE} ${number}` })),
    { type: "COMPLETED" },
  ],
};

const PARAMETERS: [Record<string, unknown>, ...Record<string, unknown>[]] = [
  {},
  { day: "2026-11-20", limit: EXACT.cents, all: EXACT },
  { rows: range(250).map((row) => ({ row, text: `row ${row} ${UNICODE}`, price: EXACT.cents })) },
  { nested: nested(50), empty: {}, list: [[], [[]]] },
];

const TAGS: [string[], ...string[][]] = [[], ["prod"], ["prod", "old-tag"], ["grün", UNICODE]];

/** Creates four runs of each kind. Two of them belong to a deployment. */
export async function fillFlowRuns(api: Api, { flows, deployments }: Things): Promise<void> {
  for (const [kind, [first, ...others]] of Object.entries(LIVES)) {
    for (const index of range(4)) {
      const body = {
        name: `${kind}-${index}`,
        state: first,
        parameters: turn(PARAMETERS, index),
        tags: turn(TAGS, index),
        labels: { kind, index, share: EXACT.cents },
        context: { host: UNICODE, number: EXACT.big },
        idempotency_key: `${kind}/${index}`,
        empirical_policy: { retries: index, retry_delay: 5, pause_keys: ["p-1"], resuming: false },
      };
      const id = await create(api, ...placeOf(index, body, flows, deployments));
      for (const state of others) await api.ask(`/flow_runs/${id}/set_state`, { state, force: true });
      if (kind === "paused") await fillInputs(api, id);
      if (kind === "completed" || kind === "cancelled") await fillSubflow(api, id, flows.get("old-subflow"));
    }
  }
}

/** The route and the body that create the run with this index. */
function placeOf(
  index: number,
  body: object,
  flows: Things["flows"],
  deployments: Things["deployments"],
): [path: string, body: object] {
  if (index < 2) {
    const flow_id = flows.get(index ? "old-etl" : "old-ünïcode 🌍");
    return ["/flow_runs/", { ...body, flow_id, flow_version: `v${index}` }];
  }
  const deployment = deployments.get(index === 2 ? "docker" : "manual");
  return [`/deployments/${deployment}/create_flow_run`, body];
}

async function fillInputs(api: Api, flowRunId: string): Promise<void> {
  const values = [JSON.stringify({ approve: true, ...EXACT }), UNICODE, "x".repeat(5000)];
  for (const [index, value] of values.entries()) {
    await api.ask(`/flow_runs/${flowRunId}/input`, {
      key: `old-${index}`,
      value,
      sender: `prefect.flow-run.${flowRunId}`,
    });
  }
}

/** Task runs by HTTP, of which the last one stands for a subflow. */
async function fillSubflow(api: Api, flowRunId: string, subflowId: string | undefined): Promise<void> {
  const taskRuns: string[] = [];
  for (const index of range(4)) {
    const id = await create(api, "/task_runs/", {
      flow_run_id: flowRunId,
      name: `by-http-${index}`,
      task_key: "by-http",
      dynamic_key: String(index),
      tags: index % 2 ? ["odd"] : [],
      labels: { index },
      task_inputs: {
        x: taskRuns.map((before) => ({ input_type: "task_run", id: before })),
        y: [{ input_type: "constant", type: "str" }],
        z: [{ input_type: "parameter", name: "day" }],
      },
      empirical_policy: { retries: index, retry_delay: [1, 2.5], retry_jitter_factor: 0.5 },
      state: { type: "PENDING" },
    });
    taskRuns.push(id);
    const end = { type: turn(["COMPLETED", "FAILED"], index), message: UNICODE, data: RESULT };
    for (const state of [{ type: "RUNNING" }, end]) await api.ask(`/task_runs/${id}/set_state`, { state, force: true });
  }
  const parent = { parent_task_run_id: taskRuns.at(-1), flow_id: subflowId, name: `subflow of ${flowRunId}` };
  const id = await create(api, "/flow_runs/", { ...parent, state: { type: "PENDING" } });
  for (const type of ["RUNNING", "COMPLETED"]) await api.ask(`/flow_runs/${id}/set_state`, { state: { type } });
}
