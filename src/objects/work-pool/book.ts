/** All that a pool's object knows, in memory and, step by step with it, in the object's tables. Nothing here waits. */
import type { Ids, Micros } from "#lib/clock";
import { GRACE, livenessAt, onlineUntil, POLL_COUNTS } from "#objects/work-pool/health";
import { CLEANUP_TABLES } from "#objects/work-pool/channel/cleanup-queue";
import { Ledger, type LedgerQueue, type LedgerRun, type Limits } from "#objects/work-pool/ledger";
import type { Liveness, Offer, Worker } from "#objects/work-pool/messages";

/** The object's tables; entries are never changed once they have shipped. */
export const BOOK_TABLES: readonly string[] = [
  `create table pool (id text primary key, type text not null, is_paused integer not null, concurrency_limit integer,
     status text not null, grace_until integer not null) without rowid;
   create table queue (id text primary key, name text not null, is_paused integer not null, is_status_paused integer not null,
     concurrency_limit integer, priority integer not null, status text not null, last_polled integer, ready_until integer not null,
     is_unmarked integer not null) without rowid;
   create table run (id text primary key, queue_id text not null, due integer, is_cancelling integer not null) without rowid;
   create table worker (name text primary key, id text not null, created integer not null, last_heartbeat integer not null,
     interval_seconds integer) without rowid;
   create table edge (subject text primary key, status text not null, event_id text not null, at integer not null) without rowid;`,
  `alter table run drop column is_cancelling;
   alter table run add column reserved_until integer;
   alter table run add column is_late integer not null default 0;`,
  CLEANUP_TABLES,
];

/** A poll is written down when what is written is this much older; so a reader of the tables adds as much. */
const UNWRITTEN: Micros = 10_000_000;
const HEARTBEAT_UNWRITTEN: Micros = 1_000_000;
/** So long a slot is kept for a state that is about to be committed. A commit takes far less, or does not come. */
export const RESERVED: Micros = 20_000_000;
/** And so long after somebody said that the run is still due, who may not know yet what was committed. */
export const DOUBTED: Micros = 2_000_000;

/** The pool as its object keeps it. */
export interface Pool extends Limits {
  id: string;
  type: string;
  /** What has been noted last; the present one follows from heartbeats. */
  status: Liveness;
  /** After a loss of what was known, workers have until then to send a heartbeat. */
  grace_until: Micros;
}

/** A queue as its pool's object keeps it. */
export interface Queue extends LedgerQueue {
  name: string;
  /** Prefect: a queue that was paused by a change has the status PAUSED, which polls do not alter. */
  is_status_paused: boolean;
  status: Liveness;
  last_polled: Micros | null;
  ready_until: Micros;
  /** It has deployments that are not READY yet. */
  is_unmarked: boolean;
}

/** A status that was come to and is not in D1 yet. `subject` is the pool's or a queue's id. */
export interface Edge {
  subject: string;
  status: Liveness;
  event_id: string;
  at: Micros;
}

/** What D1 says of a pool. */
export interface Config {
  pool: Limits & { id: string; type: string; status: string | null; updated: Micros };
  queues: (LedgerQueue & { name: string; status: string; last_polled: Micros | null })[];
  /** The queues with deployments that are NOT_READY. */
  unready: readonly string[];
}

/** What a run does: it is due, holds a slot, or neither. */
export type Doing = Micros | "holds" | null;

/** What D1 was asked of runs, and when. */
export interface Reading {
  at: Micros;
  /** The runs that are due or hold slots. */
  runs: readonly LedgerRun[];
  /** Which known runs would be among them. */
  covers: (run: LedgerRun) => boolean;
  /** Whether something newer was heard of a run since. */
  isOutdated: (id: string) => boolean;
}

/** The object's SQLite. */
export interface Tables {
  read(statement: string): Record<string, SqlStorageValue>[];
  write(statement: string, ...params: SqlStorageValue[]): unknown;
}

export class Book {
  readonly ledger = new Ledger();
  readonly queues = new Map<string, Queue>();
  readonly workers = new Map<string, Worker>();
  pool: Pool | null = null;
  /** Goes up with every status that is noted or reported, so that a slower read of D1 is not taken for newer. */
  turn = 0;
  /** Runs that hold a slot for a state that is not committed yet, as far as is known: until when they hold it all the same. */
  private readonly reserved = new Map<string, Micros>();
  private readonly edges = new Map<string, Edge>();
  private readonly writtenUntil = new Map<string, Micros>();
  private readonly tables: Tables;
  private readonly ids: Ids;

  constructor(tables: Tables, ids: Ids) {
    this.tables = tables;
    this.ids = ids;
  }

  /** Empties the tables. */
  clear(): void {
    for (const table of ["pool", "queue", "run", "worker", "edge"]) this.tables.write(`delete from ${table}`);
  }

  /** Takes up what is in the tables. */
  load(): void {
    // The rows are what this class has written.
    for (const row of this.tables.read("select * from pool") as unknown as Stored<Pool>[])
      this.pool = { ...row, is_paused: row.is_paused === 1 };
    for (const row of this.tables.read("select * from queue") as unknown as Stored<Queue>[]) {
      this.writtenUntil.set(row.id, row.ready_until);
      this.queues.set(row.id, {
        ...row,
        is_paused: row.is_paused === 1,
        is_status_paused: row.is_status_paused === 1,
        is_unmarked: row.is_unmarked === 1,
        ready_until: row.ready_until + UNWRITTEN,
      });
    }
    for (const row of this.tables.read("select * from run") as unknown as (Stored<LedgerRun> & Reserved)[]) {
      const { id, queue_id, due, is_late, reserved_until } = row;
      this.ledger.put({ id, queue_id, due, is_late: is_late === 1 });
      if (reserved_until !== null) this.reserved.set(id, reserved_until);
    }
    for (const row of this.tables.read("select * from worker") as unknown as Worker[]) this.workers.set(row.name, row);
    for (const row of this.tables.read("select * from edge") as unknown as Edge[]) this.edges.set(row.subject, row);
  }

  /** The pool's queues by name, or all; a name that is not there comes back as it is. */
  queuesNamed(names: readonly string[] | null): Queue[] | string {
    const all = [...this.queues.values()];
    if (names === null) return all;
    const found = new Map(all.map((queue) => [queue.name, queue]));
    const missing = names.find((name) => !found.has(name));
    if (missing !== undefined) return missing;
    return [...new Set(names)].flatMap((name) => found.get(name) ?? []);
  }

  /**
   * Takes a slot for a run, under the limits of its queue and of the pool, and keeps it until the reservation runs out or
   * the run is told of. A run that holds one already keeps it; null where there is no such queue.
   */
  take(runId: string, queueId: string, now: Micros): boolean | null {
    const queue = this.queues.get(queueId);
    if (!this.pool || !queue) return null;
    if (!this.ledger.hasSlot(this.pool, this.queues.values(), queue, runId)) return false;
    this.ledger.put({ id: runId, queue_id: queueId, due: null, is_late: false });
    this.reserved.set(runId, now + RESERVED);
    this.writeRun(runId);
    return true;
  }

  /**
   * Notes what a run does now; whether it is believed. That one is due that holds a slot is not: whoever says so may not
   * know yet what was committed since. The slot is kept for a moment, after which D1 is asked.
   */
  noteRun(id: string, queueId: string, doing: Doing, now: Micros): boolean {
    const isBelieved = typeof doing !== "number" || this.ledger.read(id)?.due !== null;
    if (isBelieved) this.setRun(id, queueId, doing);
    else this.reserved.set(id, Math.min(this.reserved.get(id) ?? Infinity, now + DOUBTED));
    return isBelieved;
  }

  /** When the first reservation runs out, or null. */
  nextExpiry(): Micros | null {
    const times = [...this.reserved.values()];
    return times.length > 0 ? Math.min(...times) : null;
  }

  /** Puts right what is known of runs by what D1 said. A reservation that had not run out by then stands: its commit may still come. */
  reconcile({ at, runs, covers, isOutdated }: Reading): void {
    const found = new Set(runs.map(({ id }) => id));
    const stands = (id: string) => (this.reserved.get(id) ?? 0) > at || isOutdated(id);
    for (const run of this.ledger.all())
      if (!found.has(run.id) && covers(run) && !stands(run.id)) this.removeRun(run.id);
    for (const { id, queue_id, due, is_late } of runs) {
      if (due === null ? isOutdated(id) : stands(id)) continue;
      this.setRun(id, queue_id, due ?? "holds");
      const run = this.ledger.read(id);
      if (run && is_late) this.putRun({ ...run, is_late });
    }
  }

  /** Notes that the being late of runs has been seen to; one that is due at another time by now is another matter. */
  noteLate(runs: readonly Offer[]): void {
    for (const { id, due } of runs) {
      const run = this.ledger.read(id);
      if (run && run.due === due) this.putRun({ ...run, is_late: true });
    }
  }

  private setRun(id: string, queueId: string, doing: Doing): void {
    this.reserved.delete(id);
    const known = this.ledger.read(id);
    if (doing === null) this.removeRun(id);
    else if (doing === "holds") this.putRun({ id, queue_id: queueId, due: null, is_late: false });
    else this.putRun({ id, queue_id: queueId, due: doing, is_late: known?.due === doing && known.is_late });
  }

  private putRun(run: LedgerRun): void {
    if (this.ledger.put(run)) this.writeRun(run.id);
  }

  /** That a reservation has become certain is not written: once it has run out, it makes no difference. */
  private writeRun(id: string): void {
    const run = this.ledger.read(id);
    if (!run) return;
    this.tables.write(
      "insert into run (id, queue_id, due, reserved_until, is_late) values (?, ?, ?, ?, ?) on conflict (id) do update set queue_id = excluded.queue_id, due = excluded.due, reserved_until = excluded.reserved_until, is_late = excluded.is_late",
      run.id,
      run.queue_id,
      run.due,
      this.reserved.get(id) ?? null,
      Number(run.is_late),
    );
  }

  /** Forgets a run. */
  private removeRun(id: string): void {
    this.reserved.delete(id);
    if (this.ledger.remove(id)) this.tables.write("delete from run where id = ?", id);
  }

  /** Takes over what D1 says. `isCurrent`: no status was noted or reported while it was read. */
  setConfig(config: Config, now: Micros, isCurrent: boolean): void {
    this.setPool(config, now);
    for (const queue of config.queues) this.setQueue(queue, now, config.unready.includes(queue.id));
    this.dropQueues(new Set(config.queues.map(({ id }) => id)));
    if (!isCurrent) return;
    if (this.pool && this.hasStatus() && config.pool.status !== this.pool.status)
      this.note(this.pool.id, this.pool.status, now);
    for (const { id, status } of config.queues) {
      const own = this.queues.get(id);
      if (own && status !== "PAUSED" && status !== own.status) this.note(id, own.status, now);
    }
  }

  private setPool({ pool }: Config, now: Micros): void {
    const isReady = pool.status === "READY";
    const known = this.pool ?? { status: isReady ? "READY" : "NOT_READY", grace_until: isReady ? now + GRACE : 0 };
    const { id, type, is_paused, concurrency_limit } = pool;
    this.pool = { id, type, is_paused, concurrency_limit, status: known.status, grace_until: known.grace_until };
    this.writePool(this.pool);
  }

  private setQueue(config: Config["queues"][number], now: Micros, hasUnready: boolean): void {
    const known = this.queues.get(config.id);
    const isReady = config.status === "READY";
    const { id, name, is_paused, concurrency_limit, priority } = config;
    this.writeQueue({
      id,
      name,
      is_paused,
      concurrency_limit,
      priority,
      is_status_paused: config.status === "PAUSED",
      status: known?.status ?? (isReady ? "READY" : "NOT_READY"),
      last_polled: known ? latest(known.last_polled, config.last_polled) : config.last_polled,
      ready_until: known?.ready_until ?? (isReady ? now + POLL_COUNTS : 0),
      is_unmarked: hasUnready || (known?.is_unmarked ?? false),
    });
  }

  private dropQueues(kept: ReadonlySet<string>): void {
    for (const id of this.queues.keys()) {
      if (kept.has(id)) continue;
      this.queues.delete(id);
      this.writtenUntil.delete(id);
      this.tables.write("delete from queue where id = ?", id);
      this.dropEdge(id);
    }
    for (const run of this.ledger.all()) if (!kept.has(run.queue_id)) this.removeRun(run.id);
  }

  /** Notes that the queues were polled. */
  notePoll(queues: readonly Queue[], now: Micros): void {
    for (const queue of queues) {
      queue.last_polled = now;
      queue.ready_until = now + POLL_COUNTS;
      if (queue.ready_until - (this.writtenUntil.get(queue.id) ?? 0) > UNWRITTEN) this.writeQueue(queue);
      if (queue.status === "NOT_READY") this.settleQueue(queue, now);
    }
  }

  /** Notes that queues have deployments that are not READY. */
  noteUnmarked(queueIds: readonly string[]): void {
    for (const id of queueIds) {
      const queue = this.queues.get(id);
      if (queue && !queue.is_unmarked) this.writeQueue({ ...queue, is_unmarked: true });
    }
  }

  /** Notes that a worker is alive. */
  noteHeartbeat(name: string, intervalSeconds: number | null, now: Micros): void {
    const known = this.workers.get(name);
    const interval = intervalSeconds ?? known?.interval_seconds ?? null;
    const isFresh =
      known !== undefined && now - known.last_heartbeat < HEARTBEAT_UNWRITTEN && interval === known.interval_seconds;
    const worker = {
      id: known?.id ?? this.ids.random(),
      name,
      created: known?.created ?? now,
      last_heartbeat: now,
      interval_seconds: interval,
    };
    this.workers.set(name, worker);
    if (!isFresh) {
      this.tables.write(
        "insert into worker (name, id, created, last_heartbeat, interval_seconds) values (?, ?, ?, ?, ?) on conflict (name) do update set last_heartbeat = excluded.last_heartbeat, interval_seconds = excluded.interval_seconds",
        name,
        worker.id,
        worker.created,
        now,
        interval,
      );
    }
    this.settlePool(now);
  }

  /** Forgets a worker; whether it was known. */
  removeWorker(name: string, now: Micros): boolean {
    if (!this.workers.delete(name)) return false;
    this.tables.write("delete from worker where name = ?", name);
    this.settlePool(now);
    return true;
  }

  /** Until when the pool counts as served, if no more heartbeats come. */
  servedUntil(): Micros {
    return [...this.workers.values()].reduce(
      (until, worker) => Math.max(until, onlineUntil(worker)),
      this.pool?.grace_until ?? 0,
    );
  }

  /** Notes what the pool and its queues have come to by now. */
  settle(now: Micros): void {
    this.settlePool(now);
    for (const queue of this.queues.values()) this.settleQueue(queue, now);
  }

  private settlePool(now: Micros): void {
    if (!this.pool || !this.hasStatus()) return;
    const status = livenessAt(this.servedUntil(), now);
    if (status === this.pool.status) return;
    this.pool.status = status;
    this.writePool(this.pool);
    this.note(this.pool.id, status, now);
  }

  private settleQueue(queue: Queue, now: Micros): void {
    const status = livenessAt(queue.ready_until, now);
    if (status === queue.status) return;
    queue.status = status;
    this.writeQueue(queue);
    if (!queue.is_status_paused) this.note(queue.id, status, now);
  }

  /** Prefect: pools of agents have no status. */
  private hasStatus(): boolean {
    return this.pool !== null && this.pool.type !== "prefect-agent";
  }

  /** When the next status changes if nobody polls and no heartbeat comes, or null. */
  nextChange(): Micros | null {
    const queues = [...this.queues.values()]
      .filter(({ status }) => status === "READY")
      .map(({ ready_until }) => ready_until);
    const pool = this.hasStatus() && this.pool?.status === "READY" ? [this.servedUntil()] : [];
    const times = [...queues, ...pool];
    return times.length > 0 ? Math.min(...times) : null;
  }

  /** What D1 does not know yet. */
  unreported(): { edges: Edge[]; unmarked: Queue[] } {
    const unmarked = [...this.queues.values()].filter((queue) => queue.is_unmarked && queue.status === "READY");
    return { edges: [...this.edges.values()], unmarked };
  }

  /** D1 knows it now. */
  reported(edges: readonly Edge[], marked: readonly string[]): void {
    this.turn++;
    for (const edge of edges) if (this.edges.get(edge.subject)?.event_id === edge.event_id) this.dropEdge(edge.subject);
    for (const id of marked) {
      const queue = this.queues.get(id);
      if (queue) this.writeQueue({ ...queue, is_unmarked: false });
    }
  }

  private note(subject: string, status: Liveness, at: Micros): void {
    const present = this.edges.get(subject);
    if (present?.status === status) return;
    this.turn++;
    const edge = { subject, status, event_id: this.ids.ordered(at), at };
    this.edges.set(subject, edge);
    this.tables.write(
      "insert into edge (subject, status, event_id, at) values (?, ?, ?, ?) on conflict (subject) do update set status = excluded.status, event_id = excluded.event_id, at = excluded.at",
      subject,
      status,
      edge.event_id,
      at,
    );
  }

  private dropEdge(subject: string): void {
    if (this.edges.delete(subject)) this.tables.write("delete from edge where subject = ?", subject);
  }

  private writePool(pool: Pool): void {
    this.tables.write(
      "insert or replace into pool (id, type, is_paused, concurrency_limit, status, grace_until) values (?, ?, ?, ?, ?, ?)",
      pool.id,
      pool.type,
      Number(pool.is_paused),
      pool.concurrency_limit,
      pool.status,
      pool.grace_until,
    );
  }

  private writeQueue(queue: Queue): void {
    this.queues.set(queue.id, queue);
    this.writtenUntil.set(queue.id, queue.ready_until);
    this.tables.write(
      `insert or replace into queue (id, name, is_paused, is_status_paused, concurrency_limit, priority, status, last_polled,
         ready_until, is_unmarked) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      queue.id,
      queue.name,
      Number(queue.is_paused),
      Number(queue.is_status_paused),
      queue.concurrency_limit,
      queue.priority,
      queue.status,
      queue.last_polled,
      queue.ready_until,
      Number(queue.is_unmarked),
    );
  }
}

/** A row as SQLite has it: flags are numbers. */
type Stored<Row> = { [K in keyof Row]: Row[K] extends boolean ? number : Row[K] };

interface Reserved {
  reserved_until: Micros | null;
}

function latest(a: Micros | null, b: Micros | null): Micros | null {
  if (a === null) return b;
  return b === null ? a : Math.max(a, b);
}
