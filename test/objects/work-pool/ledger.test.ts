import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Ask, RunLedger, type LedgerQueue, type LedgerRun, type Limits } from "#objects/work-pool/ledger";

const QUEUES = ["a", "b", "c"];

const limits = { is_paused: fc.boolean(), concurrency_limit: fc.option(fc.integer({ min: 0, max: 6 })) };
const aPool: fc.Arbitrary<Limits> = fc.record(limits);
const someQueues: fc.Arbitrary<LedgerQueue[]> = fc.tuple(
  ...QUEUES.map((id) => fc.record({ id: fc.constant(id), priority: fc.integer({ min: 1, max: 3 }), ...limits })),
);
const aRun: fc.Arbitrary<LedgerRun> = fc
  .record({
    id: fc.integer({ min: 0, max: 15 }).map((n) => `run-${String(n).padStart(2, "0")}`),
    queue_id: fc.constantFrom(...QUEUES, "gone"),
    due: fc.option(fc.integer({ min: 0, max: 9 })),
    is_late: fc.boolean(),
  })
  .map((run) => ({ ...run, is_late: run.due !== null && run.is_late }));
/** The notices about runs, in order. "gone" removes a run. */
const messages = fc.array(fc.record({ run: aRun, isGone: fc.boolean() }), { maxLength: 60 });
const anAsk: fc.Arbitrary<Ask> = fc.record({
  before: fc.option(fc.integer({ min: 0, max: 9 })),
  after: fc.option(fc.integer({ min: 0, max: 9 })),
  limit: fc.integer({ min: 0, max: 12 }),
});

function told(all: readonly { run: LedgerRun; isGone: boolean }[]): { ledger: RunLedger; runs: LedgerRun[] } {
  const ledger = new RunLedger();
  const runs = new Map<string, LedgerRun>();
  for (const { run, isGone } of all) {
    if (isGone) ledger.remove(run.id);
    else ledger.put(run);
    if (isGone) runs.delete(run.id);
    else runs.set(run.id, run);
  }
  return { ledger, runs: [...runs.values()] };
}

/** A simple model of the original's query. */
function expected(
  runs: readonly LedgerRun[],
  pool: Limits,
  all: readonly LedgerQueue[],
  polled: readonly LedgerQueue[],
  ask: Ask,
): string[] {
  const holding = (ids: readonly string[]) =>
    runs.filter((run) => run.due === null && ids.includes(run.queue_id)).length;
  const free = ({ concurrency_limit: limit }: Limits, ids: readonly string[]) =>
    limit === null ? Infinity : Math.max(0, limit - holding(ids));
  if (pool.is_paused) return [];
  const byDue = (a: LedgerRun, b: LedgerRun) => (a.due ?? 0) - (b.due ?? 0) || (a.id < b.id ? -1 : 1);
  return polled
    .filter((queue) => !queue.is_paused)
    .flatMap((queue) =>
      runs
        .filter(({ queue_id, due }) => queue_id === queue.id && due !== null)
        .filter(
          ({ due }) =>
            (ask.before === null || (due ?? 0) <= ask.before) && (ask.after === null || (due ?? 0) >= ask.after),
        )
        .toSorted(byDue)
        .slice(0, free(queue, [queue.id]))
        .map((run) => ({ run, priority: queue.priority })),
    )
    .toSorted((a, b) => a.priority - b.priority || byDue(a.run, b.run))
    .slice(
      0,
      Math.min(
        ask.limit,
        free(
          pool,
          all.map(({ id }) => id),
        ),
      ),
    )
    .map(({ run }) => run.id);
}

const ids = (offers: readonly { id: string }[]) => offers.map(({ id }) => id);

describe("the runs that a poll gets", () => {
  test("are the runs of the original's query, after any notices", () => {
    fc.assert(
      fc.property(messages, aPool, someQueues, fc.subarray(QUEUES), anAsk, (all, pool, queues, names, ask) => {
        const { ledger, runs } = told(all);
        const polled = queues.filter(({ id }) => names.includes(id));
        expect(ids(ledger.offer(pool, queues, polled, ask))).toEqual(expected(runs, pool, queues, polled, ask));
      }),
      { numRuns: 500 },
    );
  });

  test("are never more than the free slots of the pool and of a queue, and none if the pool or queue is paused", () => {
    fc.assert(
      fc.property(messages, aPool, someQueues, anAsk, (all, pool, queues, ask) => {
        const { ledger, runs } = told(all);
        const offers = ledger.offer(pool, queues, queues, ask);
        const holding = runs.filter((run) => run.due === null && QUEUES.includes(run.queue_id));
        if (pool.concurrency_limit !== null)
          expect(offers.length).toBeLessThanOrEqual(Math.max(0, pool.concurrency_limit - holding.length));
        if (pool.is_paused) expect(offers).toEqual([]);
        for (const queue of queues) {
          const own = offers.filter(({ queue_id }) => queue_id === queue.id);
          const held = holding.filter(({ queue_id }) => queue_id === queue.id).length;
          if (queue.is_paused) expect(own).toEqual([]);
          if (queue.concurrency_limit !== null)
            expect(own.length).toBeLessThanOrEqual(Math.max(0, queue.concurrency_limit - held));
        }
      }),
    );
  });

  test("are the same after a rebuild as after the notices, in any order of reading", () => {
    fc.assert(
      fc.property(messages, aPool, someQueues, anAsk, fc.infiniteStream(fc.nat()), (all, pool, queues, ask, order) => {
        const { ledger, runs } = told(all);
        const rebuilt = new RunLedger();
        const shuffled = runs.map((run) => ({ run, key: order.next().value })).toSorted((a, b) => a.key - b.key);
        for (const { run } of shuffled) rebuilt.put(run);
        expect(rebuilt.offer(pool, queues, queues, ask)).toEqual(ledger.offer(pool, queues, queues, ask));
        expect(rebuilt.size).toBe(ledger.size);
      }),
    );
  });

  test("are the same at the next poll, because a poll does not change the ledger", () => {
    fc.assert(
      fc.property(messages, aPool, someQueues, anAsk, (all, pool, queues, ask) => {
        const { ledger } = told(all);
        expect(ledger.offer(pool, queues, queues, ask)).toEqual(ledger.offer(pool, queues, queues, ask));
      }),
    );
  });
});

const EVERYTHING: Ask = { before: null, after: null, limit: 200 };

test("of a queue that is polled by its id depend on the queue's own pause and limit, not on the pool's", () => {
  const ledger = new RunLedger();
  const queue = { id: "a", priority: 1, is_paused: false, concurrency_limit: null };
  for (const id of ["late", "early"]) ledger.put({ id, queue_id: "a", due: id === "late" ? 2 : 1, is_late: false });
  expect(ids(ledger.offerOfQueue(queue, EVERYTHING))).toEqual(["early", "late"]);
  expect(ids(ledger.offerOfQueue({ ...queue, concurrency_limit: 1 }, EVERYTHING))).toEqual(["early"]);
  expect(ids(ledger.offerOfQueue({ ...queue, is_paused: true }, EVERYTHING))).toEqual([]);
});
