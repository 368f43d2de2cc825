/** Writes to D1 the status changes of a pool and its queues, by the timer `change`. */
import { parseSettings } from "#env";
import { writeEvents } from "#events/emit";
import type { Event } from "#events/event";
import { deploymentEvent, workPoolStatusEvent, workQueueStatusEvent } from "#events/lifecycle";
import { earliestId, type Micros } from "#lib/clock";
import { type SluiceObject, TIMER_RETRY } from "#objects/base";
import type { Liveness } from "#objects/work-pool/messages";
import type { PoolState, Unreported } from "#objects/work-pool/pool-state";
import type { Reconciler } from "#objects/work-pool/reconciler";
import { POLL_COUNTS, type StatusChange, subjectsWith } from "#objects/work-pool/status";
import { type DeploymentRow, LivePoolStore, type PoolConfig } from "#resources/work-pools/live-store";

export class StatusReport {
  /** The time to which the timer was last set, or null. */
  timerAt: Micros | null = null;
  private readonly object: SluiceObject;
  private readonly pool: Reconciler;

  constructor(object: SluiceObject, pool: Reconciler) {
    this.object = object;
    this.pool = pool;
  }

  /** Writes the status changes to D1, and sets the timer for the next change. */
  async send(): Promise<void> {
    const now = this.object.clock();
    // If this fails, the base class sets the timer again. Polls must not set it earlier.
    this.timerAt = now + TIMER_RETRY;
    const state = await this.pool.ready();
    if (!state) return;
    if (this.isForemanEnabled()) state.settle(now);
    const unreported = state.unreported();
    if (unreported) {
      await this.write(state, unreported, now);
      state.reported(unreported);
    }
    this.timerAt = null;
    await this.arm(state, this.object.clock());
  }

  /** Sets the timer for the next status change, or for now if D1 does not have the last change. */
  async arm(state: PoolState, now: Micros): Promise<void> {
    const nextChange = this.isForemanEnabled() ? state.nextChange() : null;
    const at = state.unreported() ? now : nextChange;
    if (at === null || (this.timerAt !== null && this.timerAt <= at)) return;
    this.timerAt = at;
    await this.object.setTimerBy("change", at);
  }

  private isForemanEnabled(): boolean {
    return parseSettings(this.object.bindings).services.foreman.enabled;
  }

  /** Writes the events of the changes, then the statuses. May be repeated after a crash, because the events keep their ids. */
  private async write({ queues }: PoolState, { changes, unmarked }: Unreported, now: Micros): Promise<void> {
    const tools = this.object.tools();
    const store = new LivePoolStore(tools);
    const config = await store.readConfig(this.pool.name);
    if (!config) return;
    const poolChange = changes.find(({ subject }) => subject === config.pool.id) ?? null;
    const queueChanges = changes.filter(({ subject }) => queues.has(subject));
    const withStatus = async (status: Liveness, ids: readonly string[]) => {
      const rows = ids.length === 0 ? [] : await store.readDeployments(ids, status, now - POLL_COUNTS);
      return rows.map((row) => ({ ...row, status }));
    };
    const deployments = [
      ...(await withStatus("READY", [...subjectsWith("READY", queueChanges), ...unmarked])),
      ...(await withStatus("NOT_READY", subjectsWith("NOT_READY", queueChanges))),
    ];
    const lastPolled = (id: string) => queues.get(id)?.last_polled ?? null;
    const changedAt = (id: string) => changes.find(({ subject }) => subject === id)?.at ?? lastPolled(id) ?? 0;
    const events = [
      ...poolEvents(config, poolChange),
      ...queueEvents(config, queueChanges),
      ...deployments.map((row) => statusEvent(config, row, changedAt(row.work_queue_id))),
    ];
    if (events.length > 0) await writeEvents(tools, events);
    const rowOf = (change: StatusChange) => ({
      ...change,
      id: change.subject,
      last_polled: lastPolled(change.subject),
    });
    await store.writeStatuses({
      pool: poolChange && rowOf(poolChange),
      queues: queueChanges.map(rowOf),
      deployments: deployments.map(({ id, status, work_queue_id }) => ({
        id,
        status,
        last_polled: lastPolled(work_queue_id),
      })),
    });
  }
}

function poolEvents({ pool }: PoolConfig, change: StatusChange | null): Event[] {
  if (!change || pool.is_paused === 1) return [];
  const { last_status_event_id: id, last_transitioned_status_at: occurred } = pool;
  // If the report is repeated after a crash, the event must not name itself as the event that it follows.
  const before = id === null || occurred === null || id === change.event_id ? null : { id, occurred };
  const stamp = { id: change.event_id, occurred: change.at };
  return [workPoolStatusEvent({ ...pool, status: change.status }, stamp, before)];
}

function queueEvents({ pool, queues }: PoolConfig, changes: readonly StatusChange[]): Event[] {
  return changes.flatMap(({ subject, status, event_id, at }) => {
    const queue = queues.find(({ id }) => id === subject);
    if (!queue || queue.status === "PAUSED") return [];
    return [workQueueStatusEvent({ ...queue, status }, pool, { id: event_id, occurred: at })];
  });
}

function statusEvent({ pool, queues }: PoolConfig, row: DeploymentRow & { status: Liveness }, at: Micros): Event {
  const facts = {
    ...row,
    flow: { id: row.flow_id, name: row.flow_name ?? "" },
    work_queue: queues.find(({ id }) => id === row.work_queue_id) ?? null,
    work_pool: pool,
  };
  return deploymentEvent(facts, row.status, { id: eventId(row.id, at), occurred: at });
}

/** The same id for the same deployment and time: a time-ordered id with digits of the deployment's id. */
function eventId(deploymentId: string, at: Micros): string {
  return `${earliestId(at).slice(0, 15)}${deploymentId.slice(15, 18)}-8${deploymentId.slice(20)}`;
}
