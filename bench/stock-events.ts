/** The events that a stock worker and a stock flow run send, with payloads of the same form. */
import { uuid4, uuid7, wireTime } from "./ids.ts";

/** The things that the events of one run name: the run, its flow, deployment, queue and pool. */
export interface StockRun {
  flowRunId: string;
  flowRunName: string;
  flowId: string;
  flowName: string;
  deploymentId: string;
  deploymentName: string;
  workPoolId: string;
  workPoolName: string;
  workQueueId: string;
  workerName: string;
}

export interface StockEvent {
  occurred: string;
  event: string;
  resource: Record<string, string>;
  related: Record<string, string>[];
  payload: Record<string, unknown>;
  id: string;
  follows: string | null;
}

/** An event before it gets its id, its time and its cause. The caller may give the time and the cause. */
type Draft = Pick<StockEvent, "event" | "resource" | "related"> & Partial<StockEvent>;

const VERSION = "3.8.8";

export function submittedEvent(run: StockRun): StockEvent {
  return makeEvent({
    event: "prefect.worker.submitted-flow-run",
    resource: workerResource(run),
    related: [deployment(run), flow(run), flowRun(run), workPool(run)],
  });
}

export function executedEvent(run: StockRun, submitted: StockEvent): StockEvent {
  const finished = {
    ...flowRun(run),
    "prefect.infrastructure.identifier": "4711",
    "prefect.infrastructure.status-code": "0",
  };
  return makeEvent({
    event: "prefect.worker.executed-flow-run",
    resource: workerResource(run),
    related: [deployment(run), flow(run), finished, workPool(run)],
    follows: submitted.id,
  });
}

export function pullStepEvent(run: StockRun): StockEvent {
  return makeEvent({
    event: "prefect.flow-run.pull-step.executed",
    resource: { "prefect.resource.id": `prefect.flow-run.${run.flowRunId}` },
    related: [namelessDeployment(run)],
    payload: {
      index: 0,
      qualified_name: "prefect.deployments.steps.set_working_directory",
      step_name: "set_working_directory",
      id: null,
      inputs: { directory: "/srv/flows" },
    },
  });
}

export function heartbeatEvent(run: StockRun): StockEvent {
  return makeEvent({
    event: "prefect.flow-run.heartbeat",
    resource: {
      "prefect.resource.id": `prefect.flow-run.${run.flowRunId}`,
      "prefect.resource.name": run.flowRunName,
      "prefect.version": VERSION,
    },
    related: [flow(run), namelessDeployment(run), workQueue(run), workPool(run)],
  });
}

/** The data of a task run for its three events, which are sent one after the other. */
export interface StockTaskRun {
  taskRunId: string;
  name: string;
  dynamicKey: string;
  pending: StockEvent;
}

export function beginTaskRun(run: StockRun): StockTaskRun {
  const dynamicKey = uuid4();
  const task = { taskRunId: uuid7(), name: `add-${dynamicKey.slice(0, 3)}`, dynamicKey };
  const occurred = wireTime();
  const pending = taskRunEvent(run, task, { from: null, to: "Pending", occurred, begun: occurred });
  return { ...task, pending };
}

export function runningEvent(run: StockRun, task: StockTaskRun): StockEvent {
  const begun = task.pending.occurred;
  return taskRunEvent(run, task, {
    from: "Pending",
    to: "Running",
    occurred: wireTime(),
    begun,
    follows: task.pending.id,
  });
}

export function completedEvent(run: StockRun, task: StockTaskRun, running: StockEvent): StockEvent {
  const change = {
    from: "Running",
    to: "Completed",
    occurred: wireTime(),
    begun: task.pending.occurred,
  } as const;
  return taskRunEvent(run, task, { ...change, started: running.occurred, follows: running.id });
}

type StateName = "Pending" | "Running" | "Completed";

interface StateChange {
  from: StateName | null;
  to: StateName;
  occurred: string;
  /** When the task run became Pending. */
  begun: string;
  /** When the task run became Running, if that was before this change. */
  started?: string;
  follows?: string;
}

function taskRunEvent(run: StockRun, task: Omit<StockTaskRun, "pending">, change: StateChange): StockEvent {
  const runCount = change.to === "Pending" ? 0 : 1;
  const started = change.to === "Running" ? change.occurred : change.started;
  return makeEvent({
    occurred: change.occurred,
    event: `prefect.task-run.${change.to}`,
    resource: {
      "prefect.resource.id": `prefect.task-run.${task.taskRunId}`,
      "prefect.resource.name": task.name,
      "prefect.run-count": String(runCount),
      "prefect.state-message": "",
      "prefect.state-name": change.to,
      "prefect.state-timestamp": change.occurred.replace("Z", "+00:00"),
      "prefect.state-type": change.to.toUpperCase(),
      "prefect.orchestration": "client",
    },
    related: [flowRun(run), flow(run), deployment(run), workQueue(run), workPool(run)],
    payload: {
      intended: { from: change.from?.toUpperCase() ?? null, to: change.to.toUpperCase() },
      initial_state: change.from === null ? null : taskState(change.from),
      validated_state: { ...taskState(change.to), data: null },
      task_run: {
        name: task.name,
        task_key: "add-69d654c7",
        dynamic_key: task.dynamicKey,
        empirical_policy: { max_retries: 0, retry_delay_seconds: 0, retries: 0, retry_delay: 0 },
        tags: [],
        labels: {},
        task_inputs: { x: [] },
        run_count: runCount,
        flow_run_run_count: runCount,
        expected_start_time: change.begun,
        ...(started === undefined ? {} : { start_time: started }),
        ...(change.to === "Completed" ? { end_time: change.occurred } : {}),
        total_run_time: change.to === "Completed" ? 0.001 : 0,
      },
    },
    follows: change.follows ?? null,
  });
}

function taskState(name: StateName): Record<string, unknown> {
  const stateDetails = name === "Completed" ? { untrackable_result: true } : {};
  return { type: name.toUpperCase(), name, message: "", state_details: stateDetails };
}

function makeEvent(draft: Draft): StockEvent {
  return { occurred: wireTime(), payload: {}, follows: null, id: uuid7(), ...draft };
}

function workerResource(run: StockRun): Record<string, string> {
  const slug = run.workerName.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return {
    "prefect.resource.id": `prefect.worker.process.${slug}`,
    "prefect.resource.name": run.workerName,
    "prefect.version": VERSION,
    "prefect.worker-type": "process",
  };
}

function related(kind: string, id: string, name: string): Record<string, string> {
  return {
    "prefect.resource.id": `prefect.${kind}.${id}`,
    "prefect.resource.role": kind,
    "prefect.resource.name": name,
  };
}

function flow(run: StockRun): Record<string, string> {
  return related("flow", run.flowId, run.flowName);
}

function flowRun(run: StockRun): Record<string, string> {
  return related("flow-run", run.flowRunId, run.flowRunName);
}

function deployment(run: StockRun): Record<string, string> {
  return related("deployment", run.deploymentId, run.deploymentName);
}

/** Some events name the deployment only by its id. */
function namelessDeployment(run: StockRun): Record<string, string> {
  return {
    "prefect.resource.id": `prefect.deployment.${run.deploymentId}`,
    "prefect.resource.role": "deployment",
  };
}

function workQueue(run: StockRun): Record<string, string> {
  return related("work-queue", run.workQueueId, "default");
}

function workPool(run: StockRun): Record<string, string> {
  return related("work-pool", run.workPoolId, run.workPoolName);
}
