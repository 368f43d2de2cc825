/** The `WorkPool` object: the due runs of one work pool, its slots, its status and its workers. */
import type { Micros } from "#lib/clock";
import type { Implementation } from "#objects/call";
import { SocketObject } from "#objects/sockets";
import { CLEANUP_TABLES } from "#objects/work-pool/channel/cleanup-queue";
import { close, socketsOf, workerTypes } from "#objects/work-pool/channel/sockets";
import { WorkerChannel } from "#objects/work-pool/channel/worker-channel";
import { Lateness } from "#objects/work-pool/lateness";
import {
  type CleanupMessage,
  type Offer,
  type PlaceInQueue,
  type PollAnswer,
  type PollAsk,
  type PoolLiveness,
  type QueuePollAsk,
  type RunNote,
  type SlotsInUse,
  WORK_POOL,
  type WorkerAnswer,
} from "#objects/work-pool/messages";
import { DOUBTED, RESERVED } from "#objects/work-pool/pool-runs";
import type { PoolQueue, PoolState } from "#objects/work-pool/pool-state";
import { Reconciler } from "#objects/work-pool/reconciler";
import { livenessAt, onlineUntil } from "#objects/work-pool/status";
import { StatusReport } from "#objects/work-pool/status-report";

/** How long after a notice of runs the object checks D1 for lost notices. */
const CHECK_AFTER: Micros = 5_000_000;
/** How many runs with slots, and how many workers, the place of a run lists at most. */
const MOST_SHOWN = 50;

/** One entry per version. An entry never changes after it has shipped. A row of `edge` is a status change. */
const POOL_TABLES: readonly string[] = [
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
  `create table reservation (run_id text primary key, queue_id text not null, until integer not null) without rowid;
   insert into reservation select id, queue_id, reserved_until from run where due is null and reserved_until is not null;
   drop table run;`,
];

export class WorkPool extends SocketObject implements Implementation<typeof WORK_POOL> {
  override readonly migrations = POOL_TABLES;
  override readonly contract = WORK_POOL;
  /** Null until they are needed, for example after an eviction. */
  private components: ReturnType<typeof componentsOf> | null = null;

  override async onTimer(name: string): Promise<void> {
    const { pool, status, lateness, channel } = this.parts();
    if (name === "check") await pool.check();
    if (name === "change") await status.send();
    if (name === "late") {
      if ((await pool.ready())?.runs.known !== "all") await pool.check();
      const state = await pool.ready();
      if (state) await lateness.mark(state);
    }
    if (name === "cleanup") await channel.cleanups.deliver();
  }

  override accept(request: Request): Response {
    return this.parts().channel.accept(request);
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    return this.parts().channel.receive(socket, message);
  }

  override left(socket: WebSocket): void {
    this.greetings.end(socket);
  }

  async poll(ask: PollAsk): Promise<PollAnswer> {
    const { pool } = this.parts();
    await pool.knowRuns();
    let state = await pool.ready();
    let queues = state?.queuesNamed(ask.queues);
    if (typeof queues === "string") {
      await pool.readAgain();
      state = await pool.ready();
      queues = state?.queuesNamed(ask.queues);
    }
    if (!state?.pool || queues === undefined) return { kind: "no pool" };
    if (typeof queues === "string") return { kind: "no queue", name: queues };
    await this.notePoll(state, queues);
    return answer(state.pool.id, state.runs.ledger.offer(state.pool, [...state.queues.values()], queues, ask));
  }

  async pollQueue(poolId: string, { queue_id, before, limit, is_look }: QueuePollAsk): Promise<PollAnswer> {
    const { pool } = this.parts();
    await pool.knowRuns(poolId);
    const state = await pool.readyWith(queue_id, poolId);
    const queue = state?.queues.get(queue_id);
    if (!state?.pool) return { kind: "no pool" };
    if (!queue) return { kind: "no queue", name: queue_id };
    if (!is_look) await this.notePoll(state, [queue]);
    return answer(state.pool.id, state.runs.ledger.offerOfQueue(queue, { before, after: null, limit }));
  }

  private async notePoll(state: PoolState, queues: readonly PoolQueue[]): Promise<void> {
    const { pool, status } = this.parts();
    const now = this.clock();
    state.notePoll(queues, now);
    await status.arm(state, now);
    await pool.checkIfStale(now);
  }

  async notice(poolId: string, runs: readonly RunNote[]): Promise<void> {
    const { pool, lateness } = this.parts();
    await pool.readingRuns;
    const state = await pool.ready(poolId);
    if (!state) return;
    const now = this.clock();
    let isDoubted = false;
    for (const [id, queueId, phase] of runs) {
      // After an eviction, the next read of D1 finds the run.
      if (typeof phase === "number" && state.runs.known === "none") continue;
      pool.noteTold(id, phase);
      if (!state.runs.note(id, queueId, phase, now)) isDoubted = true;
    }
    await lateness.arm(state);
    const isUnknown = runs.some(([, queueId]) => !state.queues.has(queueId));
    await this.setTimerBy("check", now + (isUnknown ? 0 : isDoubted ? DOUBTED : CHECK_AFTER));
  }

  async take(poolId: string, queueId: string, runId: string): Promise<boolean> {
    const { pool } = this.parts();
    let state = await pool.readyWith(queueId, poolId);
    if (state?.isLimited(queueId)) {
      await pool.knowRuns(poolId);
      state = await pool.readyWith(queueId, poolId);
    }
    const now = this.clock();
    const isTaken = state?.take(runId, queueId, now) ?? null;
    if (isTaken === null) return true;
    if (!isTaken) return false;
    pool.noteTold(runId, "holds");
    await this.setTimerBy("check", now + RESERVED);
    return true;
  }

  /** An object without state reads the pool when it is asked. */
  async change(): Promise<void> {
    const { pool } = this.parts();
    if (!pool.isBuilt()) return;
    await pool.ready();
    await pool.readAgain();
  }

  async noticeDeployments(queueIds: readonly string[]): Promise<void> {
    const { pool } = this.parts();
    const state = await pool.ready();
    if (queueIds.some((id) => state && !state.queues.has(id))) await pool.readAgain();
    pool.state?.noteUnmarked(queueIds);
  }

  async heartbeat(worker: string, intervalSeconds: number | null): Promise<boolean> {
    const { pool, status } = this.parts();
    const state = await pool.ready();
    if (!state) return false;
    const now = this.clock();
    state.noteHeartbeat(worker, intervalSeconds, now);
    await status.arm(state, now);
    return true;
  }

  async liveness(poolId: string): Promise<PoolLiveness | null> {
    const state = await this.parts().pool.ready(poolId);
    if (!state) return null;
    const now = this.clock();
    const queues = [...state.queues.values()].map((queue) => [queue.id, livenessOf(queue, now)] as const);
    return { status: livenessAt(state.readyUntil(), now), queues: Object.fromEntries(queues) };
  }

  async placeInQueue(poolId: string, run: Offer): Promise<PlaceInQueue | null> {
    const { pool } = this.parts();
    await pool.knowRuns(poolId);
    const state = await pool.readyWith(run.queue_id, poolId);
    const queue = state?.queues.get(run.queue_id);
    if (!state || !queue) return null;
    const now = this.clock();
    const types = workerTypes(this);
    const workers = [...state.workers.values()].toSorted((a, b) => b.last_heartbeat - a.last_heartbeat);
    return {
      status: livenessAt(state.readyUntil(), now),
      workers: workers.slice(0, MOST_SHOWN).map((worker) => ({
        name: worker.name,
        type: types.get(worker.name) ?? null,
        last_heartbeat: worker.last_heartbeat,
        is_online: now < onlineUntil(worker),
      })),
      queue: livenessOf(queue, now),
      pool_slots: slotsOf(state, new Set(state.queues.keys())),
      queue_slots: slotsOf(state, new Set([queue.id])),
      before: state.runs.ledger.before(run, [...state.queues.values()], now),
    };
  }

  reportNow(): Promise<void> {
    return this.parts().status.send();
  }

  async workers(poolId: string): Promise<WorkerAnswer[]> {
    const state = await this.parts().pool.ready(poolId);
    const now = this.clock();
    return [...(state?.workers.values() ?? [])].map((worker) => ({ ...worker, is_online: now < onlineUntil(worker) }));
  }

  async deleteWorker(poolId: string, name: string): Promise<boolean> {
    const { pool, status } = this.parts();
    const state = await pool.ready(poolId);
    if (!state) return false;
    const now = this.clock();
    const isRemoved = state.removeWorker(name, now);
    await status.arm(state, now);
    return isRemoved;
  }

  async enqueueCleanup(poolId: string, message: CleanupMessage): Promise<boolean> {
    const { pool, channel } = this.parts();
    if (!(await pool.ready(poolId))) return false;
    await channel.cleanups.enqueue(message);
    return true;
  }

  private parts() {
    return (this.components ??= componentsOf(this));
  }
}

function componentsOf(object: WorkPool) {
  const pool = new Reconciler(object, {
    async arm(state, now) {
      await status.arm(state, now);
      await lateness.arm(state);
    },
    poolRead: (updated) => channel.snapshots.poolRead(updated),
    poolGone() {
      for (const socket of socketsOf(object)) close(socket, "authorization_failed");
      // The timers are deleted with the pool.
      status.timerAt = null;
      lateness.timerAt = null;
    },
  });
  const status = new StatusReport(object, pool);
  const lateness = new Lateness(object);
  const channel = new WorkerChannel(object, pool);
  return { pool, status, lateness, channel };
}

function answer(poolId: string, offers: readonly Offer[]): PollAnswer {
  return { kind: "runs", pool_id: poolId, runs: offers.map(({ id, queue_id }) => [id, queue_id]) };
}

const livenessOf = ({ ready_until, last_polled }: PoolQueue, now: Micros) => ({
  status: livenessAt(ready_until, now),
  last_polled,
});

function slotsOf({ runs: { ledger } }: PoolState, queueIds: ReadonlySet<string>): SlotsInUse {
  const in_use = [...queueIds].reduce((sum, id) => sum + ledger.holding(id), 0);
  return { in_use, holders: ledger.holders(queueIds, MOST_SHOWN) };
}
