/** The operations that the bench measures, in the order in which they run. Operations that only read come first. */
import { call, RequestFailure } from "./http-client.ts";
import type { HttpClient, Reply } from "./http-client.ts";
import { wireTime } from "./ids.ts";
import { stringField } from "./json.ts";
import type { World } from "./world.ts";

export interface Turn {
  http: HttpClient;
  world: World;
  /** The number of this client among the concurrent clients, from 0. */
  client: number;
  /** How many times this client has already done the operation. */
  number: number;
}

export interface Operation {
  /** The name of the operation for `--only`. */
  name: string;
  /** The number of HTTP requests of the operation. */
  requests: number;
  /** Runs the operation once. Rejects if an answer is not the answer that a client needs. */
  run(turn: Turn): Promise<void>;
}

const LIFE_REQUESTS = 7;
const HOUR_MS = 3_600_000;
const PAGE = 50;
const LIMITS = "/v2/concurrency_limits";

export const OPERATIONS: readonly Operation[] = [
  {
    name: "health",
    requests: 1,
    run: async ({ http }) => void (await call(http, "GET", "/health")),
  },
  {
    name: "read-run",
    requests: 1,
    run: async (turn) => void (await call(turn.http, "GET", `/flow_runs/${seededRun(turn)}`)),
  },
  {
    name: "list",
    requests: 1,
    run: async ({ http }) => {
      const filter = { sort: "START_TIME_DESC", limit: PAGE, offset: 0 };
      expectList(await call(http, "POST", "/flow_runs/filter", filter));
    },
  },
  {
    name: "list-of-deployment",
    requests: 1,
    run: async ({ http, world }) => {
      const deployments = { id: { any_: [world.deploymentId] } };
      const filter = { deployments, sort: "START_TIME_DESC", limit: PAGE, offset: 0 };
      expectList(await call(http, "POST", "/flow_runs/filter", filter));
    },
  },
  {
    name: "count",
    requests: 1,
    run: async ({ http }) => expectCount(await call(http, "POST", "/flow_runs/count", {})),
  },
  {
    name: "count-running",
    requests: 1,
    run: async ({ http }) => {
      const filter = { flow_runs: { state: { type: { any_: ["RUNNING"] } } } };
      expectCount(await call(http, "POST", "/flow_runs/count", filter));
    },
  },
  {
    name: "idle-poll",
    requests: 1,
    run: async ({ http, world }) => expectList(await poll(http, world.idlePool)),
  },
  {
    name: "heartbeat",
    requests: 1,
    run: async ({ http, world, client }) => {
      const body = { name: `bench-worker-${client}`, heartbeat_interval_seconds: 30 };
      await call(http, "POST", `/work_pools/${world.idlePool}/workers/heartbeat`, body);
    },
  },
  {
    name: "100-logs",
    requests: 1,
    run: async (turn) => void (await call(turn.http, "POST", "/logs/", logLines(seededRun(turn), 100))),
  },
  {
    name: "lease",
    requests: 2,
    run: async ({ http, world }) => {
      const body = { names: [world.limitName], slots: 1, mode: "concurrency", lease_duration: 60 };
      const reply = await call(http, "POST", `${LIMITS}/increment-with-lease`, body);
      await call(http, "POST", `${LIMITS}/decrement-with-lease`, { lease_id: stringField(reply.text, "lease_id") });
    },
  },
  {
    name: "create-run",
    requests: 1,
    run: async ({ http, world }) => void (await call(http, "POST", "/flow_runs/", { flow_id: world.flowId })),
  },
  {
    name: "create-from-deployment",
    requests: 1,
    run: async ({ http, world }) => {
      // A run that is due now becomes Late while the bench goes on.
      const state = { type: "SCHEDULED", state_details: { scheduled_time: wireTime(Date.now() + HOUR_MS) } };
      await call(http, "POST", `/deployments/${world.pooledDeploymentId}/create_flow_run`, { state });
    },
  },
  {
    name: "life",
    requests: LIFE_REQUESTS,
    run: async ({ http, world }) => {
      // A run that is created without a state is already PENDING, and a proposed PENDING would be refused.
      const body = { flow_id: world.flowId, state: { type: "SCHEDULED" } };
      const runId = stringField((await call(http, "POST", "/flow_runs/", body)).text, "id");
      await setState(http, runId, "PENDING");
      await call(http, "GET", `/flow_runs/${runId}`);
      await setState(http, runId, "RUNNING");
      await call(http, "POST", "/logs/", logLines(runId, 10));
      await setState(http, runId, "COMPLETED");
      await call(http, "GET", `/flow_runs/${runId}`);
    },
  },
];

/** Polls a pool as a stock worker does, with ten seconds of prefetch. */
export async function poll(http: HttpClient, pool: string): Promise<Reply> {
  const body = { work_queue_names: [], scheduled_before: wireTime(Date.now() + 10_000) };
  return await call(http, "POST", `/work_pools/${pool}/get_scheduled_flow_runs`, body);
}

/** Proposes a state and rejects unless the server accepted it. */
async function setState(http: HttpClient, runId: string, type: string): Promise<void> {
  const path = `/flow_runs/${runId}/set_state`;
  const reply = await call(http, "POST", path, { state: { type }, force: false });
  if (stringField(reply.text, "status") !== "ACCEPT") {
    throw new RequestFailure(`POST ${path} ${type}: ${reply.text.slice(-200)}`);
  }
}

function logLines(runId: string, lines: number): unknown[] {
  const timestamp = wireTime();
  return Array.from({ length: lines }, (_, line) => ({
    name: "prefect.flow_runs",
    level: 20,
    message: `line ${line} of a batch, about as long as the messages that flows print`,
    timestamp,
    flow_run_id: runId,
    task_run_id: null,
  }));
}

function seededRun({ world, client, number }: Turn): string {
  const runId = world.runIds[(client * 31 + number) % world.runIds.length];
  if (runId === undefined) throw new Error("there is no run to read: --seed at least 1");
  return runId;
}

/** Checks only the first character, because parsing fifty runs would take the client longer than the request. */
function expectList(reply: Reply): void {
  if (!reply.text.startsWith("[")) throw new RequestFailure(`not a list: ${reply.text.slice(0, 200)}`);
}

function expectCount(reply: Reply): void {
  if (!/^\d+$/.test(reply.text)) throw new RequestFailure(`not a count: ${reply.text.slice(0, 200)}`);
}
