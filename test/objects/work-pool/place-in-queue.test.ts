import * as fc from "fast-check";
import { expect, test } from "vitest";
import { RunLedger, type LedgerQueue, type LedgerRun } from "#objects/work-pool/ledger";

const NOW = 50;

const aQueue = (id: string) =>
  fc.record({
    id: fc.constant(id),
    is_paused: fc.boolean(),
    priority: fc.integer({ min: 1, max: 3 }),
    concurrency_limit: fc.option(fc.integer({ min: 0, max: 5 })),
  });
const someQueues = fc.tuple(aQueue("a"), aQueue("b"), aQueue("c"));
const someRuns = fc.uniqueArray(
  fc.record({
    id: fc.integer({ min: 0, max: 99 }).map((number) => `run-${number}`),
    queue_id: fc.constantFrom("a", "b", "c"),
    due: fc.option(fc.integer({ min: 0, max: 100 })),
    is_late: fc.constant(false),
  }),
  { selector: ({ id }) => id, maxLength: 30 },
);

function aLedger(runs: readonly LedgerRun[]): RunLedger {
  const ledger = new RunLedger();
  for (const run of runs) ledger.put(run);
  return ledger;
}

/** The runs that a worker of all queues would get without a limit. */
function offered(ledger: RunLedger, queues: readonly LedgerQueue[]): string[] {
  const pool = { is_paused: false, concurrency_limit: null };
  return ledger.offer(pool, queues, queues, { before: NOW, after: null, limit: 1000 }).map(({ id }) => id);
}

test("the number of runs before a run is the number of runs that are offered before it", () => {
  fc.assert(
    fc.property(someQueues, someRuns, (queues, runs) => {
      const ledger = aLedger(runs);
      const places = offered(ledger, queues).map((id) => {
        const run = runs.find((each) => each.id === id);
        const { in_queue, in_others } = ledger.before(
          { id, queue_id: run?.queue_id ?? "", due: run?.due ?? 0 },
          queues,
          NOW,
        );
        return in_queue + in_others;
      });
      expect(places).toEqual(places.map((_, place) => place));
    }),
  );
});

test("the runs that hold slots of queues are named, up to a maximum number", () => {
  fc.assert(
    fc.property(someRuns, fc.subarray(["a", "b", "c"]), fc.integer({ min: 0, max: 10 }), (runs, ids, most) => {
      const ledger = aLedger(runs);
      const holding = runs.filter(({ due, queue_id }) => due === null && ids.includes(queue_id)).map(({ id }) => id);
      const named = ledger.holders(new Set(ids), most);
      expect(named).toHaveLength(Math.min(most, holding.length));
      expect(holding).toEqual(expect.arrayContaining(named));
    }),
  );
});
