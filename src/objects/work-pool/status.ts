/** The status of a pool, its queues and its workers: how long a poll or a heartbeat counts, and the changes that are not in D1 yet. */
import { type Ids, type Micros, SECOND } from "#lib/clock";
import type { Sql } from "#objects/sql";
import type { Liveness, Worker } from "#objects/work-pool/messages";

/** Prefect: WORK_QUEUE_LAST_POLLED_TIMEOUT, how long a queue is ready after a poll. */
export const POLL_COUNTS: Micros = 60 * SECOND;

/** Prefect: `fallback_heartbeat_interval_seconds`, `inactivity_heartbeat_multiple`. */
const DEFAULT_INTERVAL_SECONDS = 30;
const MISSED_HEARTBEATS = 3;

/** When a worker without new heartbeats counts as offline. */
export function onlineUntil(worker: Pick<Worker, "last_heartbeat" | "interval_seconds">): Micros {
  return worker.last_heartbeat + (worker.interval_seconds || DEFAULT_INTERVAL_SECONDS) * MISSED_HEARTBEATS * SECOND;
}

/** A pool that was READY when its object lost its state stays READY for this time. */
export const GRACE: Micros = DEFAULT_INTERVAL_SECONDS * MISSED_HEARTBEATS * SECOND;

/** READY before `until`, else NOT_READY. */
export function livenessAt(until: Micros, now: Micros): Liveness {
  return now < until ? "READY" : "NOT_READY";
}

/** A new status that is not in D1 yet. `subject` is the id of the pool or of a queue. */
export interface StatusChange {
  subject: string;
  status: Liveness;
  /** The id of the event. It is made with the change, so that a repeated report writes the same event. */
  event_id: string;
  at: Micros;
}

/** The pools and queues that change to this status. */
export function subjectsWith(status: Liveness, changes: readonly StatusChange[]): string[] {
  return changes.filter((change) => change.status === status).map(({ subject }) => subject);
}

/** The status changes that are not in D1 yet, in memory and in the table `edge`. All methods are synchronous. */
export class StatusChanges {
  /** Grows with every status that is recorded or reported. A read from D1 that began before is outdated. */
  turn = 0;
  private readonly changes = new Map<string, StatusChange>();
  private readonly sql: Sql;
  private readonly ids: Ids;

  constructor(sql: Sql, ids: Ids) {
    this.sql = sql;
    this.ids = ids;
  }

  /** Reads the table. */
  load(): void {
    for (const change of this.sql.rows<StatusChange>("edge")) this.changes.set(change.subject, change);
  }

  all(): StatusChange[] {
    return [...this.changes.values()];
  }

  note(subject: string, status: Liveness, at: Micros): void {
    if (this.changes.get(subject)?.status === status) return;
    this.turn++;
    const change = { subject, status, event_id: this.ids.ordered(at), at };
    this.changes.set(subject, change);
    this.sql.put("edge", "subject", change);
  }

  /** Records that D1 has these changes. */
  reported(changes: readonly StatusChange[]): void {
    this.turn++;
    for (const { subject, event_id } of changes)
      if (this.changes.get(subject)?.event_id === event_id) this.drop(subject);
  }

  drop(subject: string): void {
    if (this.changes.delete(subject)) this.sql.write("delete from edge where subject = ?", subject);
  }
}
