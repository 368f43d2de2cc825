/** The queue's rows in the object's own tables. */
import type { Micros } from "#lib/clock";
import type { Sql } from "#objects/sql";
import type { QueuedRun } from "#objects/task-queue/messages";

/** The object's tables. An entry never changes after it has shipped. A run is one row until it has begun. */
export const QUEUE_TABLES: readonly string[] = [
  `create table queued_run (id text primary key, task_key text not null, state_id text not null, is_retry integer not null,
     due integer not null, at integer not null, is_again integer not null, given_to text, given_at integer) without rowid;
   create table subscription (id integer primary key, client_id text not null, keys text not null);
   create table absent (client_id text primary key, until integer not null) without rowid;`,
];

/** A run as it is stored. `given_to` is the task worker that has confirmed the run. */
export interface KeptRun extends QueuedRun {
  given_to: string | null;
  given_at: Micros | null;
}

/** The rows of one object. */
export class QueueTables {
  private readonly sql: Sql;

  constructor(sql: Sql) {
    this.sql = sql;
  }

  all(): KeptRun[] {
    return this.sql.rows("queued_run");
  }

  read(id: string): KeptRun | undefined {
    return this.sql.rows<KeptRun>("queued_run where id = ?", id)[0];
  }

  /** Writes a run that no task worker has confirmed. */
  put(run: QueuedRun): void {
    this.sql.put<KeptRun>("queued_run", "id", { ...run, given_to: null, given_at: null });
  }

  give(id: string, clientId: string, now: Micros): void {
    this.sql.write("update queued_run set given_to = ?, given_at = ? where id = ?", clientId, now, id);
  }

  remove(id: string): void {
    this.sql.write("delete from queued_run where id = ?", id);
  }

  /** Removes the runs with these ids that a task worker still has. */
  removeGiven(ids: readonly string[]): void {
    if (ids.length === 0) return;
    this.sql.write(
      "delete from queued_run where given_to is not null and id in (select value from json_each(?))",
      JSON.stringify(ids),
    );
  }

  /** A page of the runs that task workers have confirmed until a time, by their ids. For one task worker, or for all. */
  given(until: Micros, after: string, limit: number, clientId: string | null): KeptRun[] {
    return this.sql.rows(
      "queued_run where given_at <= ? and id > ? and given_to = coalesce(?, given_to) order by id limit ?",
      until,
      after,
      clientId,
      limit,
    );
  }

  hasGiven(clientId: string): boolean {
    return this.sql.read("select 1 from queued_run where given_to = ? limit 1", clientId).length > 0;
  }

  subscribe(clientId: string, keys: readonly string[]): number {
    const [next] = this.sql.read<{ id: number }>("select coalesce(max(id), 0) + 1 as id from subscription");
    const id = next?.id ?? 1;
    this.sql.put("subscription", "id", { id, client_id: clientId, keys: JSON.stringify(keys) });
    return id;
  }

  unsubscribe(id: number): void {
    this.sql.write("delete from subscription where id = ?", id);
  }

  /** The subscriptions: each task worker with the keys of its tasks. */
  subscriptions() {
    const rows = this.sql.rows<{ id: number; client_id: string; keys: string }>("subscription");
    return rows.map((row) => ({ ...row, keys: JSON.parse(row.keys) as string[] }));
  }

  /** Disconnected task workers that have runs, with the time until which they may connect again. */
  absent(): Map<string, Micros> {
    const rows = this.sql.rows<{ client_id: string; until: Micros }>("absent");
    return new Map(rows.map((row) => [row.client_id, row.until]));
  }

  setAbsent(clientId: string, until: Micros): void {
    this.sql.put("absent", "client_id", { client_id: clientId, until });
  }

  setPresent(clientId: string): void {
    if (this.absent().has(clientId)) this.sql.write("delete from absent where client_id = ?", clientId);
  }
}
