/** Which runs of a work pool are due, their order, and which runs have slots. Pure: no clock, no storage. */
import type { Micros } from "#lib/clock";
import type { Offer, PollAsk } from "#objects/work-pool/messages";

/** A run that is due or has a slot. */
export interface LedgerRun {
  id: string;
  queue_id: string;
  /** When a scheduled run is due; null for a run that has a slot. */
  due: Micros | null;
  /** Whether the run's lateness was handled. */
  is_late: boolean;
}

/** The limits of a pool or a queue. */
export interface Limits {
  is_paused: boolean;
  concurrency_limit: number | null;
}

/** The parts of a queue that the order of runs depends on. */
export interface LedgerQueue extends Limits {
  id: string;
  priority: number;
}

/** What a poll asks for. */
export type Ask = Omit<PollAsk, "queues">;

/** Prefect: `queue_limit` and `worker_limit` in the query of the original. */
const MOST_AT_ONCE = 1000;

/** The runs of a queue: the due runs in their order, and the number of runs that have slots. */
interface QueueRuns {
  due: Offer[];
  holding: number;
}

/** The live runs of one pool. */
export class RunLedger {
  private readonly runs = new Map<string, LedgerRun>();
  private readonly byQueue = new Map<string, QueueRuns>();
  /** The due runs with `is_late` false, in the order of their due times. */
  private readonly notLate: Offer[] = [];

  /** How many runs the ledger has. */
  get size(): number {
    return this.runs.size;
  }

  /** The run of this id, or undefined. */
  read(id: string): LedgerRun | undefined {
    return this.runs.get(id);
  }

  /** All runs. */
  all(): IterableIterator<LedgerRun> {
    return this.runs.values();
  }

  /** Puts a run in its place. */
  put(run: LedgerRun): void {
    const known = this.runs.get(run.id);
    if (known && known.queue_id === run.queue_id && known.due === run.due && known.is_late === run.is_late) return;
    this.remove(run.id);
    this.runs.set(run.id, run);
    const runs = this.runsOf(run.queue_id);
    if (run.due === null) runs.holding++;
    else {
      const offer = { id: run.id, queue_id: run.queue_id, due: run.due };
      runs.due.splice(firstNotBefore(runs.due, offer), 0, offer);
      if (!run.is_late) this.notLate.splice(firstNotBefore(this.notLate, offer), 0, offer);
    }
  }

  /** Forgets a run. */
  remove(id: string): void {
    const run = this.runs.get(id);
    if (!run) return;
    this.runs.delete(id);
    const runs = this.runsOf(run.queue_id);
    if (run.due === null) runs.holding--;
    else {
      const key = { id, due: run.due };
      runs.due.splice(firstNotBefore(runs.due, key), 1);
      if (!run.is_late) this.notLate.splice(firstNotBefore(this.notLate, key), 1);
    }
    if (runs.due.length + runs.holding === 0) this.byQueue.delete(run.queue_id);
  }

  /** Whether a slot is free for a run. `all` are the queues of the pool: the runs of each count against the limit of the pool. */
  hasSlot(pool: Limits, all: Iterable<LedgerQueue>, queue: LedgerQueue, runId: string): boolean {
    const known = this.runs.get(runId);
    const held = known?.due === null ? known.queue_id : null;
    const inPool = free(pool.concurrency_limit, this.holdingIn(all));
    const inQueue = free(queue.concurrency_limit, this.holding(queue.id));
    return (held !== null || inPool > 0) && (held === queue.id || inQueue > 0);
  }

  /** The earliest due time of the runs with `is_late` false, or null. */
  get nextNotLate(): Micros | null {
    return this.notLate[0]?.due ?? null;
  }

  /** The first runs with `is_late` false that were due by a time. */
  overdue(by: Micros, most: number): Offer[] {
    return this.notLate.slice(0, most).filter(({ due }) => due <= by);
  }

  /** The runs for a worker that polls some queues, in the order of priority and due time. `all` are the queues of the pool. */
  offer(pool: Limits, all: readonly LedgerQueue[], polled: readonly LedgerQueue[], ask: Ask): Offer[] {
    if (pool.is_paused) return [];
    const most = Math.min(ask.limit, MOST_AT_ONCE, free(pool.concurrency_limit, this.holdingIn(all)));
    if (most === 0) return [];
    const priorities = new Map(polled.map(({ id, priority }) => [id, priority]));
    const offers = polled.flatMap((queue) =>
      queue.is_paused
        ? []
        : this.dueIn(queue.id, ask, Math.min(most, free(queue.concurrency_limit, this.holding(queue.id)))),
    );
    return offers
      .toSorted((a, b) => (priorities.get(a.queue_id) ?? 0) - (priorities.get(b.queue_id) ?? 0) || compare(a, b))
      .slice(0, most);
  }

  /** Prefect: the runs for a client that polls a queue by its id. The pool's pause and limit do not count in this poll. */
  offerOfQueue(queue: LedgerQueue, ask: Ask): Offer[] {
    if (queue.is_paused) return [];
    return this.dueIn(queue.id, ask, Math.min(ask.limit, free(queue.concurrency_limit, this.holding(queue.id))));
  }

  /** How many runs of a queue have slots. */
  holding(queueId: string): number {
    return this.byQueue.get(queueId)?.holding ?? 0;
  }

  /** The runs that have slots of these queues, at most `most`. */
  holders(queueIds: ReadonlySet<string>, most: number): string[] {
    const found: string[] = [];
    for (const { id, queue_id, due } of this.runs.values()) {
      if (found.length === most) break;
      if (due === null && queueIds.has(queue_id)) found.push(id);
    }
    return found;
  }

  /** How many due runs come before this run: in its queue, and in the other queues of the pool within their free slots. */
  before(run: Offer, all: readonly LedgerQueue[], now: Micros): { in_queue: number; in_others: number } {
    const own = all.find(({ id }) => id === run.queue_id);
    if (!own) return { in_queue: 0, in_others: 0 };
    const ahead = ({ id, priority }: LedgerQueue) =>
      firstNotBefore(this.byQueue.get(id)?.due ?? [], priority < own.priority ? { due: now + 1, id: "" } : run);
    const mayBegin = ({ id, concurrency_limit: limit }: LedgerQueue) =>
      limit === null ? Infinity : Math.max(0, limit - this.holding(id));
    const others = all.filter(({ id, is_paused, priority }) => id !== own.id && !is_paused && priority <= own.priority);
    return {
      in_queue: ahead(own),
      in_others: others.reduce((sum, queue) => sum + Math.min(ahead(queue), mayBegin(queue)), 0),
    };
  }

  private holdingIn(queues: Iterable<LedgerQueue>): number {
    let sum = 0;
    for (const { id } of queues) sum += this.holding(id);
    return sum;
  }

  private dueIn(queueId: string, { before, after }: Ask, most: number): Offer[] {
    const due = this.byQueue.get(queueId)?.due ?? [];
    const start = after === null ? 0 : firstNotBefore(due, { due: after, id: "" });
    const offers = due.slice(start, start + most);
    return before === null ? offers : offers.filter((run) => run.due <= before);
  }

  private runsOf(queueId: string): QueueRuns {
    const known = this.byQueue.get(queueId);
    if (known) return known;
    const runs: QueueRuns = { due: [], holding: 0 };
    this.byQueue.set(queueId, runs);
    return runs;
  }
}

function free(limit: number | null, holding: number): number {
  return limit === null ? MOST_AT_ONCE : Math.max(0, limit - holding);
}

type Key = Pick<Offer, "id" | "due">;

function compare(a: Key, b: Key): number {
  if (a.due !== b.due) return a.due - b.due;
  if (a.id === b.id) return 0;
  return a.id < b.id ? -1 : 1;
}

/** The index of the first offer that does not come before the key. */
function firstNotBefore(offers: readonly Offer[], key: Key): number {
  let low = 0;
  let high = offers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const offer = offers[middle];
    if (offer && compare(offer, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
