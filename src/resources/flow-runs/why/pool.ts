/** The reasons about a run's work pool, its work queue and their workers. */
import { type Facts, inPool, inQueue, isDue, reason, type Situation } from "#resources/flow-runs/why/reason";
import { printOptionalTime, printTime } from "#wire/dates";

/** Old agents poll queues and send no heartbeats. */
const AGENT_POOL = "prefect-agent";

export const pausedPool = reason("work_pool_paused", {
  when: ({ row }) => (row.p_is_paused === 1 ? inPool(row) : null),
  sentence: ({ work_pool_name }) => `The work pool "${work_pool_name}" is paused.`,
  next: () => ({ who: "somebody", message: "Workers are offered the run once the work pool is resumed." }),
});

export const pausedQueue = reason("work_queue_paused", {
  when: ({ row }) => (row.q_is_paused === 1 ? inQueue(row) : null),
  sentence: ({ work_queue_name }) => `The work queue "${work_queue_name}" is paused.`,
  next: () => ({ who: "somebody", message: "Workers are offered the run once the work queue is resumed." }),
});

export const poolWithoutWorkers = reason("work_pool_without_workers", {
  when: ({ row, isWorkerless }) => {
    const pool = inPool(row);
    return pool && isWorkerless ? { ...pool, work_pool_type: row.p_type ?? "" } : null;
  },
  sentence: ({ work_pool_name }, { row }) =>
    `The work pool "${work_pool_name}" is of type ${row.p_type}, which has no workers: such runs are started by Prefect Cloud alone.`,
  next: () => ({ who: "nobody", message: "Move the deployment to a work pool that a worker serves." }),
});

export const noWorker = reason("no_worker_online", {
  when: ({ row, standing, pools, isWorkerless }) => {
    const pool = inPool(row);
    if (!pool || !standing || isWorkerless || row.p_type === AGENT_POOL) return null;
    if (standing.status === "READY" || standing.queue.status === "READY") return null;
    const last_workers = printWorkers(standing.workers);
    return { ...pool, work_pool_type: row.p_type ?? "", last_workers, pools_online: pools };
  },
  sentence: ({ work_pool_name, last_workers: [last], pools_online }) => {
    const elsewhere = pools_online.map(({ name, type }) => `"${name}" (${type})`).join(", ");
    return (
      `No worker of the work pool "${work_pool_name}" is online${last ? `; "${last.name}" was the last` : ""}.` +
      (elsewhere === "" ? "" : ` Workers of other pools are: ${elsewhere}; they take no runs of this one.`)
    );
  },
  since: ({ last_workers: [last] }) => last?.last_heartbeat ?? null,
  next: ({ work_pool_name }, { row }) => ({
    who: "somebody",
    message: `Start a worker: prefect worker start --pool "${work_pool_name}" --type ${row.p_type}`,
  }),
});

export const unpolledQueue = reason("work_queue_not_polled", {
  when: ({ row, standing, isWorkerless }) => {
    const queue = inQueue(row);
    if (!queue || !standing || isWorkerless || standing.queue.status === "READY") return null;
    if (standing.status !== "READY" && row.p_type !== AGENT_POOL) return null;
    const last_polled = printOptionalTime(standing.queue.last_polled);
    return { ...queue, last_polled, workers: printWorkers(online(standing)) };
  },
  sentence: ({ work_queue_name, workers }) => {
    const names = workers.map(({ name }) => `"${name}"`).join(", ");
    const though = workers.length === 0 ? "." : `, though ${names} of the work pool is online.`;
    return `Nobody asks for runs of the work queue "${work_queue_name}"${though}`;
  },
  since: ({ last_polled }) => last_polled,
  next: ({ work_pool_name, work_queue_name }) => ({
    who: "somebody",
    message: `Start a worker that asks for this queue: prefect worker start --pool "${work_pool_name}" --work-queue "${work_queue_name}"`,
  }),
});

export const behindOthers = reason("behind_others", {
  when: (situation) => {
    const { row, standing } = situation;
    const queue = inQueue(row);
    if (!queue || !standing || !isDue(situation)) return null;
    const { in_queue, in_others } = standing.before;
    if (in_queue + in_others === 0) return null;
    return { ...queue, priority: row.q_priority ?? 1, in_queue, in_other_queues: in_others };
  },
  sentence: ({ in_queue, in_other_queues, priority }) =>
    `Runs that come before it: ${in_queue} of its own queue, ${in_other_queues} of queues with priority over it (its priority is ${priority}).`,
  since: (_, { row }) => printOptionalTime(row.due),
  next: () => ({ who: "worker", message: "Its turn comes when those are taken." }),
});

export const ready = reason("ready", {
  when: ({ row, standing }) => ({
    last_polled: printOptionalTime(standing ? standing.queue.last_polled : row.d_last_polled),
  }),
  sentence: () => "The run is due and nothing keeps it back; whoever asks next is offered it.",
  since: (_, { row }) => printOptionalTime(row.due),
  next: () => ({
    who: "worker",
    message: "It is taken with the next poll, unless the worker already runs as many as it is allowed (--limit).",
  }),
});

export const otherType = reason("worker_type_differs", {
  when: ({ row, standing }) => {
    const pool = inPool(row);
    const workers = standing ? online(standing) : [];
    if (!pool || workers.length === 0) return null;
    if (workers.some(({ type }) => type === null || type === row.p_type)) return null;
    return { ...pool, work_pool_type: row.p_type ?? "", workers: printWorkers(workers) };
  },
  sentence: ({ work_pool_name, workers }, { row }) => {
    const types = [...new Set(workers.map(({ type }) => type))].join(", ");
    return `The work pool "${work_pool_name}" is of type ${row.p_type}, its workers are of type ${types}: they take its runs, and may not be able to run them.`;
  },
  next: (_, { row }) => ({ who: "somebody", message: `Start a worker of type ${row.p_type}.` }),
});

type PoolWorkers = NonNullable<Situation["standing"]>["workers"];

function online({ workers }: { workers: PoolWorkers }): PoolWorkers {
  return workers.filter(({ is_online }) => is_online);
}

function printWorkers(workers: PoolWorkers): Facts<"worker_type_differs">["workers"] {
  return workers.map(({ name, type, last_heartbeat }) => ({ name, type, last_heartbeat: printTime(last_heartbeat) }));
}
