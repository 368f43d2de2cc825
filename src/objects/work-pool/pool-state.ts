/** The whole state of a pool's object, in memory and in the object's tables. Both change together. All methods are synchronous. */
import type { Ids, Micros } from "#lib/clock";
import type { Sql } from "#objects/sql";
import type { LedgerQueue, Limits } from "#objects/work-pool/ledger";
import type { Liveness, Worker } from "#objects/work-pool/messages";
import { PoolRuns } from "#objects/work-pool/pool-runs";
import {
  GRACE,
  livenessAt,
  onlineUntil,
  POLL_COUNTS,
  type StatusChange,
  StatusChanges,
  subjectsWith,
} from "#objects/work-pool/status";

/** A poll is written only if the stored poll is older by this time. So the object adds this time to the polls that it reads from its tables. */
const UNWRITTEN: Micros = 10_000_000;
const HEARTBEAT_UNWRITTEN: Micros = 1_000_000;

/** The pool as its object stores it. */
export interface Pool extends Limits {
  id: string;
  type: string;
  /** The status that was recorded last. The present status follows from heartbeats. */
  status: Liveness;
  /** After the object lost its state, workers have until this time to send a heartbeat. */
  grace_until: Micros;
}

/** A queue as its pool's object stores it. */
export interface PoolQueue extends LedgerQueue {
  name: string;
  /** Prefect: a queue that was paused by a change has the status PAUSED, and polls do not change PAUSED. */
  is_status_paused: boolean;
  status: Liveness;
  last_polled: Micros | null;
  ready_until: Micros;
  /** The queue has deployments that are not READY yet. */
  is_unmarked: boolean;
}

/** A pool and its queues as D1 has them. */
export interface Config {
  pool: Limits & { id: string; type: string; status: string | null; updated: Micros };
  queues: (LedgerQueue & { name: string; status: string; last_polled: Micros | null })[];
  /** The ids of the queues with deployments that are NOT_READY. */
  unready: readonly string[];
}

/** What is not in D1 yet: status changes, and READY queues with deployments that are not READY. */
export interface Unreported {
  changes: StatusChange[];
  /** The ids of the READY queues with deployments that are not READY. */
  unmarked: string[];
}

export class PoolState {
  readonly runs: PoolRuns;
  readonly changes: StatusChanges;
  readonly queues = new Map<string, PoolQueue>();
  readonly workers = new Map<string, Worker>();
  pool: Pool | null = null;
  private readonly writtenUntil = new Map<string, Micros>();
  private readonly sql: Sql;
  private readonly ids: Ids;

  constructor(sql: Sql, ids: Ids) {
    this.sql = sql;
    this.ids = ids;
    this.runs = new PoolRuns(sql);
    this.changes = new StatusChanges(sql, ids);
  }

  /** Empties the tables. */
  clear(): void {
    for (const table of ["pool", "queue", "reservation", "worker", "edge"]) this.sql.write(`delete from ${table}`);
  }

  /** Reads the tables. */
  load(): void {
    for (const pool of this.sql.rows<Pool>("pool")) this.pool = pool;
    for (const queue of this.sql.rows<PoolQueue>("queue")) {
      this.writtenUntil.set(queue.id, queue.ready_until);
      this.queues.set(queue.id, { ...queue, ready_until: queue.ready_until + UNWRITTEN });
    }
    for (const worker of this.sql.rows<Worker>("worker")) this.workers.set(worker.name, worker);
    this.runs.load();
    this.changes.load();
  }

  /** The pool's queues with these names, or all queues. If a queue does not exist, returns its name. */
  queuesNamed(names: readonly string[] | null): PoolQueue[] | string {
    const all = [...this.queues.values()];
    if (names === null) return all;
    const found = new Map(all.map((queue) => [queue.name, queue]));
    const missing = names.find((name) => !found.has(name));
    if (missing !== undefined) return missing;
    return [...new Set(names)].flatMap((name) => found.get(name) ?? []);
  }

  /** Takes a slot for a run, if the limits of its queue and of the pool allow it. Null if the queue does not exist. */
  take(runId: string, queueId: string, now: Micros): boolean | null {
    const queue = this.queues.get(queueId);
    if (!this.pool || !queue) return null;
    if (!this.runs.ledger.hasSlot(this.pool, this.queues.values(), queue, runId)) return false;
    this.runs.reserve(runId, queueId, now, this.isLimited(queueId));
    return true;
  }

  /** Whether the slots of a queue are limited, by its own limit or by the pool's. */
  isLimited(queueId: string): boolean {
    const limits = [this.pool?.concurrency_limit, this.queues.get(queueId)?.concurrency_limit];
    return limits.some((limit) => typeof limit === "number");
  }

  /** Sets the pool and its queues to their rows in D1. `isCurrent`: no status was recorded or reported during the read. */
  setConfig(config: Config, now: Micros, isCurrent: boolean): void {
    this.setPool(config, now);
    for (const queue of config.queues) this.setQueue(queue, now, config.unready.includes(queue.id));
    this.dropQueues(new Set(config.queues.map(({ id }) => id)));
    if (!isCurrent) return;
    if (this.pool && this.hasStatus() && config.pool.status !== this.pool.status)
      this.changes.note(this.pool.id, this.pool.status, now);
    for (const { id, status } of config.queues) {
      const own = this.queues.get(id);
      if (own && status !== "PAUSED" && status !== own.status) this.changes.note(id, own.status, now);
    }
  }

  private setPool({ pool }: Config, now: Micros): void {
    const isReady = pool.status === "READY";
    const known = this.pool ?? { status: isReady ? "READY" : "NOT_READY", grace_until: isReady ? now + GRACE : 0 };
    const { id, type, is_paused, concurrency_limit } = pool;
    this.pool = { ...known, id, type, is_paused, concurrency_limit };
    this.sql.put("pool", "id", this.pool);
  }

  private setQueue(config: Config["queues"][number], now: Micros, hasUnready: boolean): void {
    const { id, name, is_paused, concurrency_limit, priority, status } = config;
    const isReady = status === "READY";
    const known = this.queues.get(id) ?? {
      status: isReady ? "READY" : "NOT_READY",
      last_polled: null,
      ready_until: isReady ? now + POLL_COUNTS : 0,
      is_unmarked: false,
    };
    this.writeQueue({
      ...known,
      id,
      name,
      is_paused,
      concurrency_limit,
      priority,
      is_status_paused: status === "PAUSED",
      last_polled: latest(known.last_polled, config.last_polled),
      is_unmarked: hasUnready || known.is_unmarked,
    });
  }

  private dropQueues(kept: ReadonlySet<string>): void {
    for (const id of this.queues.keys()) {
      if (kept.has(id)) continue;
      this.queues.delete(id);
      this.writtenUntil.delete(id);
      this.sql.write("delete from queue where id = ?", id);
      this.changes.drop(id);
    }
    this.runs.keepOnly(kept);
  }

  /** Records that the queues were polled. */
  notePoll(queues: readonly PoolQueue[], now: Micros): void {
    for (const queue of queues) {
      queue.last_polled = now;
      queue.ready_until = now + POLL_COUNTS;
      if (queue.ready_until - (this.writtenUntil.get(queue.id) ?? 0) > UNWRITTEN) this.writeQueue(queue);
      if (queue.status === "NOT_READY") this.settleQueue(queue, now);
    }
  }

  /** Records that queues have deployments that are not READY. */
  noteUnmarked(queueIds: readonly string[]): void {
    for (const id of queueIds) {
      const queue = this.queues.get(id);
      if (queue && !queue.is_unmarked) this.writeQueue({ ...queue, is_unmarked: true });
    }
  }

  /** Records that a worker is alive. */
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
    if (!isFresh) this.sql.put("worker", "name", worker);
    this.settlePool(now);
  }

  /** Forgets a worker. Returns whether the worker was known. */
  removeWorker(name: string, now: Micros): boolean {
    if (!this.workers.delete(name)) return false;
    this.sql.write("delete from worker where name = ?", name);
    this.settlePool(now);
    return true;
  }

  /** The time until which the pool is READY if no more heartbeats come. */
  readyUntil(): Micros {
    const grace = this.pool?.grace_until ?? 0;
    return this.workers.values().reduce((until, worker) => Math.max(until, onlineUntil(worker)), grace);
  }

  /** Records the present status of the pool and its queues. */
  settle(now: Micros): void {
    this.settlePool(now);
    for (const queue of this.queues.values()) this.settleQueue(queue, now);
  }

  private settlePool(now: Micros): void {
    if (!this.pool || !this.hasStatus()) return;
    const status = livenessAt(this.readyUntil(), now);
    if (status === this.pool.status) return;
    this.pool.status = status;
    this.sql.put("pool", "id", this.pool);
    this.changes.note(this.pool.id, status, now);
  }

  private settleQueue(queue: PoolQueue, now: Micros): void {
    const status = livenessAt(queue.ready_until, now);
    if (status === queue.status) return;
    queue.status = status;
    this.writeQueue(queue);
    if (!queue.is_status_paused) this.changes.note(queue.id, status, now);
  }

  /** Prefect: pools of agents have no status. */
  private hasStatus(): boolean {
    return this.pool !== null && this.pool.type !== "prefect-agent";
  }

  /** When the next status changes if no poll and no heartbeat comes, or null. */
  nextChange(): Micros | null {
    const ready = [...this.queues.values()].filter(({ status }) => status === "READY");
    const times = ready.map(({ ready_until }) => ready_until);
    if (this.hasStatus() && this.pool?.status === "READY") times.push(this.readyUntil());
    return times.length > 0 ? Math.min(...times) : null;
  }

  /** What is not in D1 yet; null if D1 has everything. */
  unreported(): Unreported | null {
    const changes = this.changes.all();
    const isUnmarked = ({ is_unmarked, status }: PoolQueue) => is_unmarked && status === "READY";
    const unmarked = [...this.queues.values()].filter(isUnmarked).map(({ id }) => id);
    return changes.length + unmarked.length > 0 ? { changes, unmarked } : null;
  }

  /** Records that D1 has these changes, and that the deployments of the READY queues are READY in D1. */
  reported({ changes, unmarked }: Unreported): void {
    this.changes.reported(changes);
    for (const id of [...subjectsWith("READY", changes), ...unmarked]) {
      const queue = this.queues.get(id);
      if (queue) this.writeQueue({ ...queue, is_unmarked: false });
    }
  }

  private writeQueue(queue: PoolQueue): void {
    this.queues.set(queue.id, queue);
    this.writtenUntil.set(queue.id, queue.ready_until);
    this.sql.put("queue", "id", queue);
  }
}

function latest(a: Micros | null, b: Micros | null): Micros | null {
  if (a === null) return b;
  return b === null ? a : Math.max(a, b);
}
