/**
 * Replays the traffic of a stock client and a stock process worker for a run of a deployment. The requests, sockets,
 * frames and pauses, and their order, were recorded from Prefect 3.8.8 with `prefect deployment run` and a flow of
 * no-op tasks.
 */
import { setTimeout as sleep } from "node:timers/promises";

import type { Traffic } from "./bill.ts";
import { openEventSocket } from "./event-socket.ts";
import type { EventSocket, SocketCounts } from "./event-socket.ts";
import { call, openHttpClient, RequestFailure } from "./http-client.ts";
import type { HttpClient } from "./http-client.ts";
import { uuid4, wireTime } from "./ids.ts";
import { stringField } from "./json.ts";
import { poll } from "./operations.ts";
import {
  beginTaskRun,
  completedEvent,
  executedEvent,
  heartbeatEvent,
  pullStepEvent,
  runningEvent,
  submittedEvent,
} from "./stock-events.ts";
import type { StockRun } from "./stock-events.ts";
import type { Target } from "./target.ts";
import { createDeployment, createFlow, createPool } from "./world.ts";

export interface StockLoad {
  runsPerSecond: number;
  seconds: number;
  tasksPerRun: number;
  /** How long each task stays in Running. */
  taskMs: number;
}

export interface StockResult {
  runs: number;
  failures: number;
  firstFailure: string | undefined;
  /** The traffic of one run. The worker's polls are not part of it. */
  traffic: Traffic;
  /** From the creation of the run to the worker's last event, in milliseconds. The recorded pauses alone take 3.6 s. */
  latenciesMs: number[];
}

const STOCK_FLOW = "sluice-bench-stock";
const STOCK_POOL = "sluice-bench-stock";
const DEPLOYMENT = "stock";
const WORKER_NAME = "ProcessWorker bench";
const CONNECTIONS = 64;

/** The process starts, imports Prefect and fetches its run. */
const PROCESS_START_MS = 1_000;
/** The flow is loaded between the pull steps and the engine. */
const FLOW_LOAD_MS = 1_000;
/** The process waits until its logs are sent, and ends. */
const PROCESS_END_MS = 1_300;
/** The worker notices that the process ended. */
const WORKER_NOTICE_MS = 300;

/** What all runs share: the worker and the deployment. */
interface Stage {
  target: Target;
  http: HttpClient;
  counts: SocketCounts;
  workerSocket: EventSocket;
  names: Omit<StockRun, "flowRunId" | "flowRunName">;
}

/** Starts runs at a steady rate, even if the earlier runs have not ended. */
export async function replayStockRuns(target: Target, load: StockLoad): Promise<StockResult> {
  const http = openHttpClient(target, { connections: CONNECTIONS });
  const stage = await setStage(target, http);
  const requestsBefore = http.requestCount();
  const countsBefore = { ...stage.counts };
  const polling = new AbortController();
  const polls = pollOnceASecond(stage, polling.signal);

  const latenciesMs: number[] = [];
  let failures = 0;
  let firstFailure: string | undefined;
  const playAndCount = async (): Promise<void> => {
    const began = performance.now();
    try {
      await playRun(stage, load);
      latenciesMs.push(performance.now() - began);
    } catch (error) {
      failures += 1;
      firstFailure ??= error instanceof Error ? error.message : String(error);
    }
  };

  const runs = Math.round(load.runsPerSecond * load.seconds);
  const started = performance.now();
  const playing: Promise<void>[] = [];
  for (let run = 0; run < runs; run += 1) {
    await sleep(Math.max(0, started + (run * 1000) / load.runsPerSecond - performance.now()));
    playing.push(playAndCount());
  }
  await Promise.all(playing);

  polling.abort();
  const polled = await polls;
  const traffic = {
    httpRequests: (http.requestCount() - requestsBefore - polled.polls) / runs,
    socketOpens: (stage.counts.socketOpens - countsBefore.socketOpens) / runs,
    socketMessages: (stage.counts.socketMessages - countsBefore.socketMessages) / runs,
  };
  await stage.workerSocket.close();
  http.close();
  return {
    runs,
    failures: failures + polled.failures,
    firstFailure: firstFailure ?? polled.firstFailure,
    traffic,
    latenciesMs,
  };
}

async function setStage(target: Target, http: HttpClient): Promise<Stage> {
  const flowId = await createFlow(http, STOCK_FLOW);
  await createPool(http, STOCK_POOL);
  const deploymentId = await createDeployment(http, {
    name: DEPLOYMENT,
    flow_id: flowId,
    work_pool_name: STOCK_POOL,
    pull_steps: [{ "prefect.deployments.steps.set_working_directory": { directory: "/srv/flows" } }],
  });
  const pool = await call(http, "GET", `/work_pools/${STOCK_POOL}`);
  const deployment = await call(http, "GET", `/deployments/${deploymentId}`);
  const heartbeat = { name: WORKER_NAME, heartbeat_interval_seconds: 30 };
  await call(http, "POST", `/work_pools/${STOCK_POOL}/workers/heartbeat`, heartbeat);
  const counts = { socketOpens: 0, socketMessages: 0 };
  const workerSocket = await openEventSocket(target, "/events/in", counts);
  const names = {
    flowId,
    flowName: STOCK_FLOW,
    deploymentId,
    deploymentName: DEPLOYMENT,
    workPoolId: stringField(pool.text, "id"),
    workPoolName: STOCK_POOL,
    workQueueId: stringField(deployment.text, "work_queue_id"),
    workerName: WORKER_NAME,
  };
  return { target, http, counts, workerSocket, names };
}

interface Polled {
  polls: number;
  failures: number;
  firstFailure: string | undefined;
}

/** The worker polls during the whole replay. The replay already knows the runs, so it does not read the answers. */
async function pollOnceASecond(stage: Stage, signal: AbortSignal): Promise<Polled> {
  const polled: Polled = { polls: 0, failures: 0, firstFailure: undefined };
  while (!signal.aborted) {
    polled.polls += 1;
    try {
      await poll(stage.http, STOCK_POOL);
    } catch (error) {
      polled.failures += 1;
      polled.firstFailure ??= error instanceof Error ? error.message : String(error);
    }
    // The abort ends the pause and the loop.
    await sleep(1_000, undefined, { signal }).catch(() => undefined);
  }
  return polled;
}

async function playRun(stage: Stage, load: StockLoad): Promise<void> {
  const run = await orderRun(stage, load.tasksPerRun);
  const infrastructure = await submitRun(stage, run);
  await sleep(PROCESS_START_MS);
  await pullCode(stage, run);
  await sleep(FLOW_LOAD_MS);
  await executeFlow(stage, run, load);
  await sleep(WORKER_NOTICE_MS);
  await infrastructure.end();
}

/** `prefect deployment run FLOW/DEPLOYMENT`. */
async function orderRun({ http, names }: Stage, tasks: number): Promise<StockRun> {
  await call(http, "GET", `/deployments/name/${names.flowName}/${names.deploymentName}`);
  await call(http, "GET", `/flows/${names.flowId}`);
  await fetchCsrfToken(http);
  const created = await call(http, "POST", `/deployments/${names.deploymentId}/create_flow_run`, {
    state: {
      type: "SCHEDULED",
      name: "Scheduled",
      message: null,
      state_details: { scheduled_time: wireTime(), traceparent: null },
      data: null,
    },
    name: null,
    parameters: { n: tasks },
    context: {},
    tags: [],
    idempotency_key: null,
    parent_task_run_id: null,
    job_variables: {},
    labels: {},
  });
  return {
    ...names,
    flowRunId: stringField(created.text, "id"),
    flowRunName: stringField(created.text, "name"),
  };
}

/** The worker proposes Pending, starts the process and watches for the run's cancellation until the run ends. */
async function submitRun(stage: Stage, run: StockRun): Promise<{ end: () => Promise<void> }> {
  const { http } = stage;
  await call(http, "GET", `/deployments/${run.deploymentId}`);
  await proposeState(http, run, "PENDING", "Pending");
  await call(http, "GET", `/deployments/${run.deploymentId}`);
  await call(http, "GET", `/flows/${run.flowId}`);
  const submitted = submittedEvent(run);
  stage.workerSocket.send(submitted);
  await call(http, "PATCH", `/flow_runs/${run.flowRunId}/labels`, {
    "prefect.worker.name": run.workerName,
    "prefect.worker.type": "process",
    "prefect.work-pool.name": run.workPoolName,
    "prefect.work-pool.id": run.workPoolId,
  });
  await proposeState(http, run, "PENDING", "Submitting");
  const runnerEvents = await openEventSocket(stage.target, "/events/in", stage.counts);
  const cancellations = await subscribe(stage, "prefect.flow-run.Cancelling");
  await call(http, "PATCH", `/flow_runs/${run.flowRunId}`, { infrastructure_pid: "4711" });
  const end = async (): Promise<void> => {
    await cancellations.close();
    await runnerEvents.close();
    stage.workerSocket.send(executedEvent(run, submitted));
  };
  return { end };
}

/**
 * The new process fetches its run and executes the deployment's pull steps. The worker and the process send their first
 * logs.
 */
async function pullCode(stage: Stage, run: StockRun): Promise<void> {
  const { http } = stage;
  await call(http, "GET", `/flow_runs/${run.flowRunId}`);
  await call(http, "GET", `/deployments/${run.deploymentId}`);
  await call(http, "GET", "/admin/version");
  const events = await openEventSocket(stage.target, "/events/in", stage.counts);
  events.send(pullStepEvent(run));
  await events.close();
  await fetchCsrfToken(http);
  await call(http, "POST", "/logs/", [
    logLine(run, "Running 1 deployment pull step(s)"),
    logLine(run, "Executing deployment step: set_working_directory"),
    logLine(run, "Deployment step 'set_working_directory' completed successfully"),
    logLine(run, "All deployment steps completed successfully"),
  ]);
  await call(http, "POST", "/logs/", [
    logLine(run, `Worker '${run.workerName}' submitting flow run '${run.flowRunId}'`),
    logLine(run, `Flow run '${run.flowRunName}' submitted to infrastructure`),
  ]);
}

/** The engine runs the flow and its tasks. */
async function executeFlow(stage: Stage, run: StockRun, load: StockLoad): Promise<void> {
  const { http } = stage;
  const path = `/flow_runs/${run.flowRunId}`;
  await call(http, "GET", path);
  await call(http, "GET", "/admin/version");
  await fetchCsrfToken(http);
  await call(http, "PATCH", path, {
    flow_version: "b59b733a0d93a48605a160f089061102",
    empirical_policy: {
      max_retries: 0,
      retry_delay_seconds: 0,
      retries: 0,
      retry_delay: 0,
      pause_keys: [],
      resuming: false,
      retry_type: null,
    },
  });
  await call(http, "GET", "/admin/version");
  const suspensions = await subscribe(stage, "prefect.flow-run.Suspended");
  await call(http, "GET", path);
  await proposeState(http, run, "RUNNING", "Running");
  await call(http, "GET", path);
  await call(http, "GET", "/admin/storage");
  await call(http, "GET", "/admin/storage");
  const events = await openEventSocket(stage.target, "/events/in", stage.counts);
  await call(http, "GET", `/flows/${run.flowId}`);
  await call(http, "GET", `/deployments/${run.deploymentId}`);
  await call(http, "GET", `/work_queues/${run.workQueueId}`);
  await call(http, "GET", `/work_pools/${run.workPoolName}`);
  events.send(heartbeatEvent(run));
  const taskRunIds: string[] = [];
  while (taskRunIds.length < load.tasksPerRun) taskRunIds.push(await runTask(events, run, load.taskMs));
  await proposeState(http, run, "COMPLETED", "Completed", { untrackable_result: true });
  await sleep(PROCESS_END_MS);
  await suspensions.close();
  await events.close();
  await fetchCsrfToken(http);
  await call(http, "POST", "/logs/", [
    logLine(run, `Beginning flow run '${run.flowRunName}' for flow '${run.flowName}'`),
    logLine(run, "hello"),
    ...taskRunIds.map((taskRunId) => logLine(run, "Finished in state Completed()", taskRunId)),
    logLine(run, "Finished in state Completed()"),
  ]);
}

/** Sends a task run's three events and returns its id. */
async function runTask(events: EventSocket, run: StockRun, taskMs: number): Promise<string> {
  const task = beginTaskRun(run);
  events.send(task.pending);
  const running = runningEvent(run, task);
  events.send(running);
  await sleep(taskMs);
  events.send(completedEvent(run, task, running));
  return task.taskRunId;
}

async function subscribe(stage: Stage, eventName: string): Promise<EventSocket> {
  const socket = await openEventSocket(stage.target, "/events/out", stage.counts);
  const minuteMs = 60_000;
  const yearMs = 365 * 24 * 60 * minuteMs;
  socket.send({
    type: "filter",
    filter: {
      occurred: { since: wireTime(Date.now() - minuteMs), until: wireTime(Date.now() + yearMs) },
      event: { prefix: null, exclude_prefix: null, name: [eventName], exclude_name: null },
      resource: null,
      related: null,
      any_resource: null,
      id: { id: [] },
      text: null,
      order: "DESC",
    },
  });
  return socket;
}

/** A server without CSRF tokens answers 422 or 404. */
async function fetchCsrfToken(http: HttpClient): Promise<void> {
  await call(http, "GET", `/csrf-token?client=${uuid4()}`, undefined, [404, 422]);
}

async function proposeState(
  http: HttpClient,
  run: StockRun,
  type: string,
  name: string,
  details: Record<string, unknown> = {},
): Promise<void> {
  const path = `/flow_runs/${run.flowRunId}/set_state`;
  const reply = await call(http, "POST", path, {
    state: {
      type,
      name,
      message: null,
      state_details: {
        flow_run_id: run.flowRunId,
        task_run_id: null,
        child_flow_run_id: null,
        scheduled_time: null,
        cache_key: null,
        cache_expiration: null,
        deferred: null,
        untrackable_result: false,
        pause_timeout: null,
        pause_reschedule: false,
        pause_key: null,
        run_input_keyset: null,
        refresh_cache: null,
        retriable: null,
        transition_id: uuid4(),
        task_parameters_id: null,
        traceparent: null,
        deployment_concurrency_lease_id: null,
        ...details,
      },
      data: null,
    },
    force: false,
  });
  if (stringField(reply.text, "status") !== "ACCEPT") {
    throw new RequestFailure(`POST ${path} ${name}: ${reply.text.slice(-200)}`);
  }
}

function logLine(run: StockRun, message: string, taskRunId: string | null = null): Record<string, unknown> {
  return {
    name: taskRunId === null ? "prefect.flow_runs" : "prefect.task_runs",
    level: 20,
    message,
    timestamp: wireTime(),
    flow_run_id: run.flowRunId,
    task_run_id: taskRunId,
  };
}
