/** What keeps a run from starting, in the order in which it decides. Pure: all that is known is loaded before. */
import type { Micros } from "#lib/clock";
import type { WhyRow } from "#resources/flow-runs/why-facts";
import { deploymentLimit, fullPool, fullQueue, fullTags } from "#resources/flow-runs/why-limits";
import type { WhyReason } from "#resources/flow-runs/why-schema";
import {
  type Finding,
  finding,
  hasStarted,
  inPool,
  inQueue,
  isDue,
  ofDeployment,
  type Situation,
} from "#resources/flow-runs/why-situation";
import { printOptionalTime, printTime } from "#wire/dates";

/** Prefect: a served deployment counts as polled for 60 s; the note of its last poll may be 30 s old. */
const SERVED_SILENCE: Micros = 90_000_000;
/** Agents of old poll queues and send no heartbeats. */
const AGENT_POOL = "prefect-agent";

type Rule = (situation: Situation) => readonly Finding[];

/** What holds of the run, the first being what decides. */
export function findReasons(situation: Situation): readonly Finding[] {
  const { state } = situation;
  if (state === null) return scheduled(situation);
  const { type } = state;
  switch (type) {
    case "COMPLETED":
    case "FAILED":
    case "CANCELLED":
    case "CRASHED":
      return ended(situation);
    case "RUNNING":
      return [...running(situation), ...fullTags(situation)];
    case "CANCELLING":
      return cancelling(situation);
    case "PAUSED":
      return paused(situation);
    case "PENDING":
      return [...pending(situation), ...noWorker(situation), ...otherType(situation)];
    case "SCHEDULED":
      return scheduled(situation);
    default:
      return type satisfies never;
  }
}

function scheduled(situation: Situation): readonly Finding[] {
  if (isRetriedInProcess(situation)) return awaitingRetry(situation);
  const found = KEEPING_BACK.flatMap((rule) => rule(situation));
  const notes = BESIDES.flatMap((rule) => rule(situation));
  return [...(found.length > 0 ? found : ready(situation)), ...notes];
}

const ended: Rule = ({ row, state }) => {
  const how = state?.name.toLowerCase() ?? "over";
  const message = !hasStarted(row)
    ? `The run ended before it began: it is ${how}${said(state?.message)}.`
    : `The run is over: it is ${how}${said(state?.message)}.`;
  return finding(
    {
      code: "ended",
      message,
      facts: {
        state_type: state?.type ?? "COMPLETED",
        state_name: state?.name ?? "",
        start_time: hasStarted(row) ? printOptionalTime(row.start_time) : null,
      },
      since: printOptionalTime(row.end_time ?? state?.timestamp),
    },
    { who: "nobody", message: "Nothing, unless somebody gives it a new state." },
  );
};

const running: Rule = ({ row, state }) =>
  finding(
    {
      code: "running",
      message: "The run has started and is running.",
      facts: { start_time: printOptionalTime(row.start_time) },
      since: printOptionalTime(state?.timestamp),
    },
    { who: "process", message: "Its process tells when it ends." },
  );

const cancelling: Rule = ({ row, state }) =>
  finding(
    {
      code: "cancelling",
      message: `The run is being cancelled${said(state?.message)}.`,
      facts: { infrastructure_pid: row.infrastructure_pid },
      since: printOptionalTime(state?.timestamp),
    },
    { who: "worker", message: "Its worker or process stops it and tells so." },
  );

const paused: Rule = ({ state }) => {
  const isSuspended = state?.state_details.pause_reschedule === true;
  const until = printOptionalTime(state?.state_details.pause_timeout);
  const waits_for_input = Boolean(state?.state_details.run_input_keyset);
  const wanted = waits_for_input ? "resumed with the input that it waits for" : "resumed";
  return finding(
    {
      code: isSuspended ? "suspended" : "paused",
      message: isSuspended
        ? `The run is suspended: its process has ended until it is ${wanted}.`
        : `The run is paused: its process waits until it is ${wanted}.`,
      facts: { until, waits_for_input },
      since: printOptionalTime(state?.timestamp),
    },
    {
      who: "somebody",
      at: until,
      message: until === null ? "It waits without an end." : `If it is not resumed until ${until}, it fails.`,
    },
  );
};

const pending: Rule = (situation) => {
  const { row, state, now } = situation;
  const at = state?.state_details.scheduled_time ?? null;
  const isEarly = at !== null && at > now;
  const scheduled_time = printOptionalTime(at);
  const given_up_at = isEarly ? null : printOptionalTime(givenUpAt(situation));
  return finding(
    {
      code: "pending",
      message: isEarly ? `${taken(row)}, ahead of its time (${scheduled_time}).` : `${taken(row)}; ${progress(row)}.`,
      facts: { infrastructure_pid: row.infrastructure_pid, scheduled_time, given_up_at },
      since: printOptionalTime(state?.timestamp),
    },
    {
      who: row.infrastructure_pid === null && row.q_id !== null ? "worker" : "process",
      at: isEarly ? scheduled_time : given_up_at,
      message:
        "Its process starts and says that it is running." +
        (given_up_at === null ? "" : ` If nothing is heard of it until ${given_up_at}, it is scheduled anew.`),
    },
  );
};

/** When the run is scheduled anew at the earliest: any sign of life puts it off. */
function givenUpAt({ state, patienceSeconds }: Situation): Micros | null {
  return state === null || patienceSeconds === null ? null : state.timestamp + patienceSeconds * 1_000_000;
}

function taken({ q_id, deployment_id }: WhyRow): string {
  if (q_id !== null) return "A worker has taken the run";
  return deployment_id === null
    ? "The run was made by the process that is to run it"
    : "The process that serves its deployment has taken the run";
}

function progress({ q_id, infrastructure_pid: pid }: WhyRow): string {
  if (pid !== null) return `what it runs on is there (${pid}), but has not said that it is running`;
  return q_id === null ? "it has not said that it is running" : "what it is to run on is being made";
}

/** The id of the run's deployment, if that was deleted; the label has it where the run's row has it no more. */
function deletedOrigin({ deployment_id, origin_id, d_name }: WhyRow): string | null {
  return d_name === null ? (deployment_id ?? origin_id) : null;
}

const deletedDeployment: Rule = ({ row }) => {
  const id = deletedOrigin(row);
  if (id === null) return [];
  return finding(
    {
      code: "deployment_deleted",
      message: "The deployment that the run was made from was deleted, and with it the way to its code.",
      facts: { deployment_id: id },
      since: null,
    },
    row.deployment_id !== null && row.q_id !== null
      ? { who: "worker", message: "The next worker that is offered it cancels it." }
      : { who: "nobody", message: "It cannot be started any more; it may be cancelled or deleted." },
  );
};

const ownProcess: Rule = ({ row }) => {
  if (row.deployment_id !== null || row.origin_id !== null || row.q_id !== null || row.work_queue_name !== null)
    return [];
  const isSubflow = row.parent_task_run_id !== null;
  return finding(
    {
      code: "own_process",
      message: isSubflow
        ? "The run is a subflow without a deployment: only its parent's process can start it."
        : "The run has no deployment and no work pool: only the process that made it can start it.",
      facts: { parent_task_run_id: row.parent_task_run_id },
      since: printTime(row.created),
    },
    { who: "process", message: "If that process is gone, nobody starts it." },
  );
};

const isRetriedInProcess = ({ row, state }: Situation) =>
  state?.name === "AwaitingRetry" && row.retry_type === "in_process";

const awaitingRetry: Rule = ({ row, state, now }) => {
  const at = printTime(row.due ?? now);
  const in_process = row.retry_type === "in_process";
  return finding(
    {
      code: "awaiting_retry",
      message: `The run failed and is tried again at ${at}${in_process ? " by the process that it failed in" : ""}.`,
      facts: { scheduled_time: at, run_count: row.run_count, in_process },
      since: printOptionalTime(state?.timestamp),
    },
    {
      who: in_process ? "process" : "worker",
      at,
      message: in_process ? "Its process goes on with it then, if it is still there." : "It is started again then.",
    },
  );
};

const waitingForTime: Rule = (situation) => {
  const { row, state } = situation;
  if (row.due === null || isDue(situation)) return [];
  if (state?.name === "AwaitingRetry") return awaitingRetry(situation);
  const at = printTime(row.due);
  const since = printOptionalTime(state?.timestamp);
  if (state?.name !== "AwaitingConcurrencySlot") {
    return finding(
      {
        code: "waiting_for_time",
        message: `The run is scheduled for ${at}.`,
        facts: { scheduled_time: at },
        since,
      },
      { who: "worker", at, message: "It is started then, if nothing else keeps it back." },
    );
  }
  const message = `No slot of its deployment's concurrency limit was free; it asks for one again at ${at}.`;
  const awaiting = finding(
    { code: "awaiting_concurrency_slot", message, facts: { scheduled_time: at }, since },
    { who: "worker", at, message: "It is offered again then, and starts if a slot is free." },
  );
  return [...awaiting, ...deploymentLimit(situation)];
};

const skipped: Rule = ({ row, missed }) => {
  if (missed === null || row.due === null) return [];
  const at = printTime(row.due);
  return finding(
    {
      code: "will_be_skipped",
      message: `The run was due at ${at} and nobody began it within the ${missed.window_seconds} s that its schedule allows.`,
      facts: { scheduled_time: at, ...missed },
      since: printTime(row.due + missed.window_seconds * 1_000_000),
    },
    { who: "nobody", message: "It is cancelled as Skipped within a minute." },
  );
};

const noQueue: Rule = ({ row }) => {
  const hadQueue = row.work_queue_name !== null || row.d_queue_id !== null;
  if (row.q_id !== null || !hadQueue || deletedOrigin(row) !== null) return [];
  return finding(
    {
      code: "no_work_queue",
      message:
        row.d_queue_id === null
          ? "The work pool or queue that the run was in was deleted, so no worker is offered it."
          : "The run is in no work queue, although its deployment is, so no worker is offered it.",
      facts: { work_queue_name: row.work_queue_name },
      since: null,
    },
    { who: "somebody", message: "Make a new run of the deployment." },
  );
};

const pausedPool: Rule = ({ row }) => {
  const pool = inPool(row);
  if (!pool || row.p_paused !== 1) return [];
  return finding(
    {
      code: "work_pool_paused",
      message: `The work pool "${pool.work_pool_name}" is paused.`,
      facts: pool,
      since: null,
    },
    { who: "somebody", message: "Workers are offered the run once the work pool is resumed." },
  );
};

const pausedQueue: Rule = ({ row }) => {
  const queue = inQueue(row);
  if (!queue || row.q_paused !== 1) return [];
  return finding(
    {
      code: "work_queue_paused",
      message: `The work queue "${queue.work_queue_name}" is paused.`,
      facts: queue,
      since: null,
    },
    { who: "somebody", message: "Workers are offered the run once the work queue is resumed." },
  );
};

const poolWithoutWorkers: Rule = ({ row, isWorkerless }) => {
  const pool = inPool(row);
  if (!pool || !isWorkerless) return [];
  return finding(
    {
      code: "work_pool_without_workers",
      message: `The work pool "${pool.work_pool_name}" is of type ${row.p_type}, which has no workers: such runs are started by Prefect Cloud alone.`,
      facts: { ...pool, work_pool_type: row.p_type ?? "" },
      since: null,
    },
    { who: "nobody", message: "Move the deployment to a work pool that a worker serves." },
  );
};

type Workers = Extract<WhyReason, { code: "worker_type_differs" }>["facts"]["workers"];

const printWorkers = (workers: NonNullable<Situation["standing"]>["workers"]): Workers =>
  workers.map(({ name, type, last_heartbeat }) => ({ name, type, last_heartbeat: printTime(last_heartbeat) }));

const noWorker: Rule = ({ row, standing, pools, isWorkerless }) => {
  const pool = inPool(row);
  if (!pool || !standing || isWorkerless || row.p_type === AGENT_POOL) return [];
  if (standing.status === "READY" || standing.queue.status === "READY") return [];
  const [last] = standing.workers;
  const elsewhere = pools.map(({ name, type }) => `"${name}" (${type})`).join(", ");
  return finding(
    {
      code: "no_worker_online",
      message:
        `No worker of the work pool "${pool.work_pool_name}" is online${last ? `; "${last.name}" was the last` : ""}.` +
        (elsewhere === "" ? "" : ` Workers of other pools are: ${elsewhere}; they take no runs of this one.`),
      facts: {
        ...pool,
        work_pool_type: row.p_type ?? "",
        last_workers: printWorkers(standing.workers),
        pools_online: pools,
      },
      since: printOptionalTime(last?.last_heartbeat),
    },
    {
      who: "somebody",
      message: `Start a worker: prefect worker start --pool "${pool.work_pool_name}" --type ${row.p_type}`,
    },
  );
};

const unpolledQueue: Rule = ({ row, standing, isWorkerless }) => {
  const queue = inQueue(row);
  if (!queue || !standing || isWorkerless || standing.queue.status === "READY") return [];
  if (standing.status !== "READY" && row.p_type !== AGENT_POOL) return [];
  const workers = standing.workers.filter(({ is_online }) => is_online);
  const at = standing.queue.last_polled;
  return finding(
    {
      code: "work_queue_not_polled",
      message:
        `Nobody asks for runs of the work queue "${queue.work_queue_name}"` +
        (workers.length === 0 ? "." : `, though ${namesOf(workers)} of the work pool is online.`),
      facts: { ...queue, last_polled: printOptionalTime(at), workers: printWorkers(workers) },
      since: printOptionalTime(at),
    },
    {
      who: "somebody",
      message: `Start a worker that asks for this queue: prefect worker start --pool "${queue.work_pool_name}" --work-queue "${queue.work_queue_name}"`,
    },
  );
};

const unpolledDeployment: Rule = ({ row, now }) => {
  const deployment = ofDeployment(row);
  if (!deployment || row.q_id !== null || row.d_queue_id !== null || row.work_queue_name !== null) return [];
  const at = row.d_last_polled;
  if (at !== null && now - at < SERVED_SILENCE) return [];
  return finding(
    {
      code: "deployment_not_polled",
      message: `The deployment "${deployment.deployment_name}" is in no work pool, and no process serves it.`,
      facts: { ...deployment, last_polled: printOptionalTime(at) },
      since: printOptionalTime(at),
    },
    { who: "somebody", message: "Start the process that serves the deployment (flow.serve)." },
  );
};

const behindOthers: Rule = (situation) => {
  const { row, standing } = situation;
  const queue = inQueue(row);
  if (!queue || !standing || !isDue(situation)) return [];
  const { in_queue, in_others } = standing.before;
  if (in_queue + in_others === 0) return [];
  const priority = row.q_priority ?? 1;
  return finding(
    {
      code: "behind_others",
      message: `Runs that come before it: ${in_queue} of its own queue, ${in_others} of queues with priority over it (its priority is ${priority}).`,
      facts: { ...queue, priority, in_queue, in_other_queues: in_others },
      since: printOptionalTime(row.due),
    },
    { who: "worker", message: "Its turn comes when those are taken." },
  );
};

const ready: Rule = ({ row, standing }) => {
  const at = standing ? standing.queue.last_polled : row.d_last_polled;
  return finding(
    {
      code: "ready",
      message: "The run is due and nothing keeps it back; whoever asks next is offered it.",
      facts: { last_polled: printOptionalTime(at) },
      since: printOptionalTime(row.due),
    },
    {
      who: "worker",
      message: "It is taken with the next poll, unless the worker already runs as many as it is allowed (--limit).",
    },
  );
};

const otherType: Rule = ({ row, standing }) => {
  const pool = inPool(row);
  const online = standing?.workers.filter(({ is_online }) => is_online) ?? [];
  if (!pool || online.length === 0 || online.some(({ type }) => type === null || type === row.p_type)) return [];
  const types = [...new Set(online.map(({ type }) => type))].join(", ");
  return finding(
    {
      code: "worker_type_differs",
      message: `The work pool "${pool.work_pool_name}" is of type ${row.p_type}, its workers are of type ${types}: they take its runs, and may not be able to run them.`,
      facts: { ...pool, work_pool_type: row.p_type ?? "", workers: printWorkers(online) },
      since: null,
    },
    { who: "somebody", message: `Start a worker of type ${row.p_type}.` },
  );
};

const pausedDeployment: Rule = ({ row }) => {
  const deployment = ofDeployment(row);
  if (!deployment || row.d_paused !== 1) return [];
  return finding(
    {
      code: "deployment_paused",
      message: `The deployment "${deployment.deployment_name}" is paused: its schedules make no runs. This run is there already and may be started.`,
      facts: deployment,
      since: null,
    },
    { who: "somebody", message: "Resume the deployment to have its schedules make runs." },
  );
};

const inactiveSchedule: Rule = ({ row }) => {
  const deployment = ofDeployment(row);
  if (!deployment || row.h_id === null || row.h_active === 1) return [];
  return finding(
    {
      code: "schedule_inactive",
      message:
        "The schedule that made this run is not active and makes no more. This run is there already and may be started.",
      facts: { ...deployment, schedule_id: row.h_id, slug: row.h_slug },
      since: null,
    },
    { who: "somebody", message: "Activate the schedule to have it make runs." },
  );
};

/** What keeps a scheduled run back; the first one that holds decides. */
const KEEPING_BACK: readonly Rule[] = [
  deletedDeployment,
  ownProcess,
  noQueue,
  waitingForTime,
  skipped,
  pausedPool,
  pausedQueue,
  poolWithoutWorkers,
  noWorker,
  unpolledQueue,
  unpolledDeployment,
  fullPool,
  fullQueue,
  behindOthers,
  (situation) => (isDue(situation) ? deploymentLimit(situation) : []),
];

/** What is worth knowing, though it keeps no run back that is there. */
const BESIDES: readonly Rule[] = [otherType, pausedDeployment, inactiveSchedule];

const said = (message: string | null | undefined) => (message ? ` (${message.replace(/\.$/, "")})` : "");

const namesOf = (workers: readonly { name: string }[]) => workers.map(({ name }) => `"${name}"`).join(", ");
