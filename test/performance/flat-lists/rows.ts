/** The rows of one run of a measurement: the run with its states, its task runs, logs, events and an artifact. */
import { flowRuns, type FlowRunRow } from "#db/rows/flow-runs";
import type { flow_run_state } from "#db/tables/flow-run";
import type { TaskRunRecord } from "#events/task-runs";
import type { GatheredEvent } from "#events/segments";
import { type Micros, SECOND, systemIds } from "#lib/clock";
import { stateRow } from "#orchestration/statements";
import type { LogCreate } from "#resources/logs/schema";
import { printTime } from "#wire/dates";
import { defaultStateName, newState, type State, type StateType } from "#wire/state";
import type { Origin } from "./fixtures.ts";

export const WORKSPACE = "00000000-0000-4000-8000-000000000001";
const TASKS_PER_RUN = 2;
const LOGS_PER_RUN = 10;
const OTHER_EVENTS_PER_RUN = 10 - 3 * TASKS_PER_RUN;
const ANIMALS = ["otter", "heron", "badger", "lynx", "marten", "osprey", "vole", "stoat"];
const ARTIFACT_KEYS = 40;

const ids = systemIds();

/** How a run is made. */
export interface Plan {
  /** The number of the run: 0 for the newest. */
  index: number;
  /** When the run was expected to start. */
  expected: Micros;
  origin: Origin;
  /** The type of the present state. */
  type: StateType;
}

/** The rows of a run. */
export interface RunRows {
  run: FlowRunRow;
  states: (typeof flow_run_state.$inferInsert)[];
  taskRuns: TaskRunRecord[];
  logs: LogCreate[];
  events: GatheredEvent[];
  artifact: { key: string; flow_run_id: string; task_run_id: string } | null;
}

/** Makes the rows of a run. Of ten runs, nine belong to a deployment. Every other ended run has an artifact. */
export function rowsOf(plan: Plan): RunRows {
  const { index, expected, origin, type } = plan;
  const id = ids.random();
  const states = statesOf(plan, id);
  const present = states.at(-1);
  if (!present) throw new Error("a run has a state");
  const hasStarted = states.some((state) => state.type === "RUNNING");
  const hasEnded = isEnd(type);
  const start = hasStarted ? expected + 2 * SECOND : null;
  const length = hasEnded ? present.timestamp - (start ?? expected) : 0;
  const isDeployed = hasDeployment(index);
  const run = flowRuns.blank({
    workspace_id: WORKSPACE,
    id,
    created: expected - 60 * SECOND,
    updated: present.timestamp,
    name: `quick-${ANIMALS[index % ANIMALS.length]}-${index}`,
    flow_id: origin.flowId,
    deployment_id: isDeployed ? origin.id : null,
    work_queue_id: isDeployed ? origin.queueId : null,
    work_queue_name: isDeployed ? origin.queueName : null,
    parameters: { day: index % 365, name: "a value of usual length" },
    tags: [`team-${index % 7}`, ...(index < 1_000 && index % 200 === 0 ? ["rare"] : [])],
    labels: { "prefect.flow.id": origin.flowId },
    auto_scheduled: isDeployed,
    state_id: present.id,
    state_type: type,
    state_name: present.name,
    state_timestamp: present.timestamp,
    state_ids: states.map((state) => state.id),
    run_count: hasStarted ? 1 : 0,
    expected_start_time: expected,
    next_scheduled_start_time: type === "SCHEDULED" ? expected : null,
    start_time: start,
    end_time: hasEnded ? present.timestamp : null,
    total_run_time: length,
  });
  const taskRuns = hasStarted
    ? Array.from({ length: TASKS_PER_RUN }, (_, place) => aTaskRun(id, place, expected + (3 + place) * SECOND))
    : [];
  return {
    run,
    states: states.map((state) => stateRow(WORKSPACE, id, state)),
    taskRuns,
    logs: hasStarted ? logsOf(id, taskRuns, expected) : [],
    events: hasStarted ? eventsOf(run, taskRuns) : [],
    artifact:
      hasEnded && index % 2 === 0
        ? { key: `report-${index % ARTIFACT_KEYS}`, flow_run_id: id, task_run_id: taskRuns[0]?.id ?? id }
        : null,
  };
}

/** The deployments take turns, so each of them has runs with and without it. */
const hasDeployment = (index: number) => Math.floor(index / 60) % 10 !== 0;
const isEnd = (type: StateType) => ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"].includes(type);

/** The states up to the present one. */
function statesOf({ expected, type }: Plan, runId: string): State[] {
  const at: [StateType, Micros][] = [["SCHEDULED", expected - 60 * SECOND]];
  if (type !== "SCHEDULED") at.push(["PENDING", expected]);
  if (type !== "SCHEDULED" && type !== "PENDING") at.push(["RUNNING", expected + 2 * SECOND]);
  if (at.at(-1)?.[0] !== type) at.push([type, expected + 20 * SECOND]);
  return at.map(([one, timestamp]) => ({
    ...newState({ type: one, name: defaultStateName(one) }, timestamp, ids),
    timestamp,
    state_details: one === "SCHEDULED" ? { flow_run_id: runId, scheduled_time: expected } : { flow_run_id: runId },
  }));
}

function aTaskRun(flowRunId: string, place: number, start: Micros): TaskRunRecord {
  const id = ids.ordered(start);
  const at: [StateType, Micros][] = [
    ["PENDING", start],
    ["RUNNING", start + SECOND],
    ["COMPLETED", start + 5 * SECOND],
  ];
  return {
    id,
    flow_run_id: flowRunId,
    columns: {
      name: `task-${place}`,
      task_key: `task-${place}`,
      dynamic_key: ids.random(),
      cache_key: null,
      cache_expiration: null,
      task_version: null,
      empirical_policy: {},
      tags: ["t"],
      labels: {},
      task_inputs: {},
      run_count: 1,
      flow_run_run_count: 1,
      expected_start_time: start,
      next_scheduled_start_time: null,
      start_time: start + SECOND,
      end_time: start + 5 * SECOND,
      total_run_time: 4 * SECOND,
    },
    states: at.map(([type, timestamp]) => ({
      id: ids.ordered(timestamp),
      type,
      name: defaultStateName(type),
      timestamp,
      message: "",
      data: null,
      state_details: { flow_run_id: flowRunId, task_run_id: id },
    })),
  };
}

function logsOf(runId: string, taskRuns: readonly TaskRunRecord[], expected: Micros): LogCreate[] {
  return Array.from({ length: LOGS_PER_RUN }, (_, line) => ({
    name: "prefect.flow_runs",
    level: line === 7 ? 40 : 20,
    message: `line ${line}: about as long as the messages that flows print${line === 3 ? ", with a needle" : ""}`,
    timestamp: expected + (3 + line) * SECOND,
    flow_run_id: runId,
    task_run_id: line % 2 === 0 ? null : (taskRuns[0]?.id ?? null),
  }));
}

function eventsOf(run: FlowRunRow, taskRuns: readonly TaskRunRecord[]): GatheredEvent[] {
  const own = {
    "prefect.resource.id": `prefect.flow-run.${run.id}`,
    "prefect.resource.name": run.name,
  };
  const related = [
    { "prefect.resource.id": `prefect.flow.${run.flow_id}`, "prefect.resource.role": "flow" },
    ...(run.deployment_id === null
      ? []
      : [{ "prefect.resource.id": `prefect.deployment.${run.deployment_id}`, "prefect.resource.role": "deployment" }]),
  ];
  const begin = Number(run.expected_start_time);
  const ofRun = Array.from({ length: OTHER_EVENTS_PER_RUN }, (_, place) =>
    anEvent(`prefect.flow-run.${["Pending", "Running", "Reported", "Completed"][place % 4]}`, begin + place * SECOND, {
      resource: own,
      related,
    }),
  );
  const ofTasks = taskRuns.flatMap(({ id, columns, states }) =>
    states.map(({ type, timestamp }) =>
      anEvent(`prefect.task-run.${defaultStateName(type)}`, timestamp, {
        resource: { "prefect.resource.id": `prefect.task-run.${id}`, "prefect.resource.name": columns.name },
        related: [{ ...own, "prefect.resource.role": "flow-run" }, ...related],
      }),
    ),
  );
  return [...ofRun, ...ofTasks];
}

function anEvent(
  name: string,
  occurred: Micros,
  about: Pick<GatheredEvent["event"], "resource" | "related">,
): GatheredEvent {
  const time = printTime(occurred);
  const event = {
    occurred: time,
    event: name,
    ...about,
    payload: { intended: { from: "PENDING", to: "RUNNING" }, validated_state: { type: "RUNNING", message: "" } },
    id: ids.ordered(occurred),
    follows: null,
    received: time,
  };
  return { event, occurred, json: JSON.stringify(event) };
}
