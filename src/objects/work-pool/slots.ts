/** Polls, slots, and what callers tell of runs: which runs a pool's object offers, and which take a slot. */
import type { Clock, Micros } from "#lib/clock";
import type { Offer, PollAnswer, PollAsk, QueuePollAsk, RunNote } from "#objects/work-pool/messages";
import { DOUBTED, RESERVED } from "#objects/work-pool/pool-runs";
import type { PoolQueue, PoolState } from "#objects/work-pool/pool-state";
import type { Reconciler } from "#objects/work-pool/reconciler";

/** How long after a notice of runs D1 is checked for notices that were lost. */
const CHECK_AFTER: Micros = 5_000_000;

/** What the slots need of their object. */
export interface SlotsHost {
  clock: Clock;
  pool: Pick<Reconciler, "ready" | "readyWith" | "readAgain" | "noteTold" | "checkIfStale">;
  setTimerBy(name: "check", at: Micros): Promise<void>;
  armStatus(state: PoolState, now: Micros): Promise<void>;
  armLateness(state: PoolState): Promise<void>;
}

/** Offers runs, gives slots and hears of runs, as the contract says of the methods of the same names. */
export class Slots {
  private readonly host: SlotsHost;

  constructor(host: SlotsHost) {
    this.host = host;
  }

  async poll(ask: PollAsk): Promise<PollAnswer> {
    const { pool } = this.host;
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
    const state = await this.host.pool.readyWith(queue_id, poolId);
    const queue = state?.queues.get(queue_id);
    if (!state?.pool) return { kind: "no pool" };
    if (!queue) return { kind: "no queue", name: queue_id };
    if (!is_look) await this.notePoll(state, [queue]);
    return answer(state.pool.id, state.runs.ledger.offerOfQueue(queue, { before, after: null, limit }));
  }

  private async notePoll(state: PoolState, queues: readonly PoolQueue[]): Promise<void> {
    const now = this.host.clock();
    state.notePoll(queues, now);
    await this.host.armStatus(state, now);
    await this.host.pool.checkIfStale(now);
  }

  async notice(poolId: string, runs: readonly RunNote[]): Promise<void> {
    const state = await this.host.pool.ready(poolId);
    if (!state) return;
    const now = this.host.clock();
    let isDoubted = false;
    for (const [id, queueId, phase] of runs) {
      this.host.pool.noteTold(id);
      if (!state.runs.note(id, queueId, phase, now)) isDoubted = true;
    }
    await this.host.armLateness(state);
    const isUnknown = runs.some(([, queueId]) => !state.queues.has(queueId));
    await this.host.setTimerBy("check", now + (isUnknown ? 0 : isDoubted ? DOUBTED : CHECK_AFTER));
  }

  async take(poolId: string, queueId: string, runId: string): Promise<boolean> {
    const state = await this.host.pool.readyWith(queueId, poolId);
    const now = this.host.clock();
    const isTaken = state?.take(runId, queueId, now) ?? null;
    if (isTaken === null) return true;
    if (!isTaken) return false;
    this.host.pool.noteTold(runId);
    await this.host.setTimerBy("check", now + RESERVED);
    return true;
  }
}

function answer(poolId: string, offers: readonly Offer[]): PollAnswer {
  return { kind: "runs", pool_id: poolId, runs: offers.map(({ id, queue_id }) => [id, queue_id]) };
}
