/** What a pool's object reads from D1, and how it tells D1 of status changes. */
import { writeEvents } from "#events/emit";
import type { Event } from "#events/event";
import { deploymentEvent, workPoolStatusEvent, workQueueStatusEvent } from "#events/lifecycle";
import { earliestId, type Micros } from "#lib/clock";
import type { LedgerRun } from "#objects/work-pool/ledger";
import { POLL_COUNTS } from "#objects/work-pool/liveness";
import type { Liveness } from "#objects/work-pool/messages";
import type { Config, PoolState } from "#objects/work-pool/pool-state";
import type { StatusChange } from "#objects/work-pool/status-changes";
import { type DeploymentRow, LivePoolStore, type PoolConfig } from "#resources/work-pools/live-store";
import type { Tools } from "#tools";

const storeOf = (tools: Tools) => new LivePoolStore(tools);

/** What D1 says of the pool of this name, or null. */
export async function readConfig(tools: Tools, name: string): Promise<Config | null> {
  const config = await storeOf(tools).readConfig(name);
  if (!config) return null;
  const { pool, queues, unready } = config;
  return {
    pool: { ...pool, is_paused: pool.is_paused === 1 },
    queues: queues.map((queue) => ({ ...queue, is_paused: queue.is_paused === 1 })),
    unready,
  };
}

/** The live runs of these queues: all that hold slots, and those due by `until`, or all. */
export async function readLiveRuns(
  tools: Tools,
  queueIds: readonly string[],
  until: Micros | null,
): Promise<LedgerRun[]> {
  const rows = await storeOf(tools).readLiveRuns(queueIds, until);
  return rows.map((row) => ({
    id: row.id,
    queue_id: row.work_queue_id,
    due: row.due,
    is_late: row.due !== null && row.state_name === "Late",
  }));
}

/** What an object has to report, and the queues that it is about. */
type Report = ReturnType<PoolState["unreported"]> & Pick<PoolState, "queues">;

/**
 * Writes the events of status changes, then the statuses. The ids of the events are fixed before, so that a report that is
 * repeated after a crash, at whatever point, does the same once more.
 */
export async function reportStatuses(tools: Tools, name: string, report: Report, now: Micros): Promise<void> {
  const store = storeOf(tools);
  const config = await store.readConfig(name);
  if (!config) return;
  const poolChange = report.changes.find(({ subject }) => subject === config.pool.id) ?? null;
  const queueChanges = report.changes.filter(({ subject }) => report.queues.has(subject));
  const ready = [...idsWith(queueChanges, "READY"), ...report.unmarked.map(({ id }) => id)];
  const deployments = [
    ...(await readDeployments(store, ready, "READY", now)),
    ...(await readDeployments(store, idsWith(queueChanges, "NOT_READY"), "NOT_READY", now)),
  ];
  const lastPolled = (queueId: string) => report.queues.get(queueId)?.last_polled ?? null;
  const events = [
    ...poolEvents(config, poolChange),
    ...queueEvents(config, queueChanges),
    ...deployments.map(({ row, status }) => statusEvent(config, row, status, report)),
  ];
  if (events.length > 0) await writeEvents(tools, events);
  await store.writeStatuses({
    pool: poolChange && { ...poolChange, id: poolChange.subject, last_polled: null },
    queues: queueChanges.map((change) => ({ ...change, id: change.subject, last_polled: lastPolled(change.subject) })),
    deployments: deployments.map(({ row: { id, work_queue_id }, status }) => ({
      id,
      status,
      last_polled: lastPolled(work_queue_id),
    })),
  });
}

const idsWith = (changes: readonly StatusChange[], status: Liveness) =>
  changes.filter((change) => change.status === status).map(({ subject }) => subject);

async function readDeployments(
  store: LivePoolStore,
  queueIds: readonly string[],
  status: Liveness,
  now: Micros,
): Promise<{ row: DeploymentRow; status: Liveness }[]> {
  if (queueIds.length === 0) return [];
  const rows = await store.readDeployments(queueIds, status, now - POLL_COUNTS);
  return rows.map((row) => ({ row, status }));
}

function poolEvents({ pool }: PoolConfig, change: StatusChange | null): Event[] {
  if (!change || pool.is_paused === 1) return [];
  const { last_status_event_id: id, last_transitioned_status_at: occurred } = pool;
  // Where the report is repeated after a crash, the event must not follow itself.
  const before = id === null || occurred === null || id === change.event_id ? null : { id, occurred };
  return [
    workPoolStatusEvent({ ...pool, status: change.status }, { id: change.event_id, occurred: change.at }, before),
  ];
}

function queueEvents({ pool, queues }: PoolConfig, changes: readonly StatusChange[]): Event[] {
  return changes.flatMap((change) => {
    const queue = queues.find(({ id }) => id === change.subject);
    if (!queue || queue.status === "PAUSED") return [];
    return [
      workQueueStatusEvent({ ...queue, status: change.status }, pool, { id: change.event_id, occurred: change.at }),
    ];
  });
}

function statusEvent({ pool, queues }: PoolConfig, row: DeploymentRow, status: string, report: Report): Event {
  const change = report.changes.find(({ subject }) => subject === row.work_queue_id);
  const at = change?.at ?? report.queues.get(row.work_queue_id)?.last_polled ?? 0;
  const facts = {
    ...row,
    flow: { id: row.flow_id, name: row.flow_name ?? "" },
    work_queue: queues.find(({ id }) => id === row.work_queue_id) ?? null,
    work_pool: pool,
  };
  return deploymentEvent(facts, status, { id: eventId(row.id, at), occurred: at });
}

/** The same id for the same deployment and time: a time-ordered id with digits of the deployment's. */
function eventId(deploymentId: string, at: Micros): string {
  return `${earliestId(at).slice(0, 15)}${deploymentId.slice(15, 18)}-8${deploymentId.slice(20)}`;
}
