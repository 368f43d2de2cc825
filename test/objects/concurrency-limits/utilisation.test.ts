import { expect, test } from "vitest";
import { LeaseLedger, type LedgerStore, type Limit, type Unleased } from "#objects/concurrency-limits/ledger";
import { Waiters } from "#objects/concurrency-limits/waiters";
import type { Lease } from "#objects/concurrency-limits/messages";

const SECOND = 1_000_000;
const SLOTS = 8;
const TASKS = 800;
const limit: Limit = { id: "limit", name: "limit", limit: SLOTS, active: true, slot_decay_per_second: 0 };

function aStore(): LedgerStore {
  const leases = new Map<string, Lease>();
  const unleased = new Map<string, Unleased>();
  return {
    leases: () => leases.values(),
    putLease: (lease) => leases.set(lease.id, lease),
    deleteLease: (id) => leases.delete(id),
    unleased: () => unleased.values(),
    putUnleased: (row) => unleased.set(row.limit_id, row),
    deleteUnleased: (id) => unleased.delete(id),
  };
}

/** Random numbers between 0 and 1, the same in each test. */
function numbers(): () => number {
  let state = 42;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

/**
 * Tasks of half a second to a second with leases. The clients act like the stock client: each process requests one slot
 * at a time.
 */
function utilisation({ processes, inHand, oneWayMs }: { processes: number; inHand: number; oneWayMs: number }) {
  const random = numbers();
  const ledger = new LeaseLedger(aStore());
  const waiters = new Waiters();
  const plans: { at: number; go: () => void }[] = [];
  const begin = 1_700_000_000 * SECOND;
  let [now, worked, lastEnd, asks, most] = [begin, 0, begin, 0, 0];
  const later = (seconds: number, go: () => void) => plans.push({ at: now + seconds * SECOND, go });
  const trip = () => (oneWayMs / 1000) * (0.7 + 0.6 * random());

  const startProcess = () => {
    let [left, inWork, isAsking] = [TASKS / processes, 0, false];
    const next = () => {
      if (isAsking || left === 0 || inWork === inHand) return;
      [left, inWork, isAsking] = [left - 1, inWork + 1, true];
      later(trip(), ask);
    };
    const ask = () => {
      const id = `lease ${asks++}`;
      const full = ledger.acquire([limit], { slots: 1, lease: { id, expires: null, holder: null } }, now);
      most = Math.max(most, ledger.inUse(limit.id, now));
      if (full.length > 0) {
        const refusals = full.map((each) => ({ limit: each, free_in_seconds: 0 }));
        later(waiters.join(refusals, 1, now) + 2 * trip(), ask);
        return;
      }
      const taken = now;
      later(trip(), () => {
        isAsking = false;
        work(id, taken);
        next();
      });
    };
    const work = (id: string, taken: number) => {
      const seconds = 0.5 + random() / 2;
      worked += seconds;
      later(seconds, () => {
        lastEnd = now;
        later(trip(), () => {
          ledger.release(id, now);
          waiters.noteOccupancy(limit.id, SLOTS, (now - taken) / SECOND);
          later(trip(), () => {
            inWork--;
            next();
          });
        });
      });
    };
    next();
  };

  for (let process = 0; process < processes; process++) startProcess();
  for (;;) {
    const first = plans.reduce((least, plan, index) => (plan.at < (plans[least]?.at ?? Infinity) ? index : least), 0);
    const [plan] = plans.splice(first, 1);
    if (!plan) break;
    now = plan.at;
    plan.go();
  }
  const used = worked / (SLOTS * ((lastEnd - begin) / SECOND));
  return { used, asksATask: asks / TASKS, most };
}

test.for([
  { processes: 1, inHand: 16, oneWayMs: 5 },
  { processes: 4, inHand: 16, oneWayMs: 5 },
  { processes: 4, inHand: 16, oneWayMs: 15 },
  { processes: 16, inHand: 2, oneWayMs: 10 },
  { processes: 100, inHand: 4, oneWayMs: 10 },
])("800 short tasks use nine tenths of 8 slots if clients retry after their wait: %o", (clients) => {
  const { used, asksATask, most } = utilisation(clients);
  expect(used).toBeGreaterThan(0.9);
  expect(asksATask).toBeLessThan(4);
  expect(most).toBe(SLOTS);
});
