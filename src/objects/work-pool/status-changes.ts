/** The status changes of a pool and its queues that D1 does not know yet, in memory and in the table `edge`. Nothing here waits. */
import type { Ids, Micros } from "#lib/clock";
import type { Sql } from "#objects/sql";
import type { Liveness } from "#objects/work-pool/messages";

/** A new status that is not in D1 yet. `subject` is the id of the pool or of a queue. */
export interface StatusChange {
  subject: string;
  status: Liveness;
  /** Fixed from the beginning, so that a report that is repeated gives the same event. */
  event_id: string;
  at: Micros;
}

export class StatusChanges {
  /** Goes up with every status that is noted or reported, so that a slower read of D1 is not taken for newer. */
  turn = 0;
  private readonly changes = new Map<string, StatusChange>();
  private readonly sql: Sql;
  private readonly ids: Ids;

  constructor(sql: Sql, ids: Ids) {
    this.sql = sql;
    this.ids = ids;
  }

  /** Takes up what is in the table. */
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

  /** D1 knows these changes now. */
  reported(changes: readonly StatusChange[]): void {
    this.turn++;
    for (const { subject, event_id } of changes)
      if (this.changes.get(subject)?.event_id === event_id) this.drop(subject);
  }

  drop(subject: string): void {
    if (this.changes.delete(subject)) this.sql.write("delete from edge where subject = ?", subject);
  }
}
