import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LeaseLedger, type LedgerStore, type Limit, type Unleased } from "#objects/concurrency-limits/ledger";
import type { Lease } from "#objects/concurrency-limits/messages";

const SECOND = 1_000_000;
const START = 1_700_000_000 * SECOND;

const aLimit = (fields: Partial<Limit> = {}): Limit => ({
  id: "limit",
  name: "limit",
  limit: 3,
  active: true,
  slot_decay_per_second: 0,
  ...fields,
});

/** Rows that outlive the ledger, like the tables of the object. */
function aStore(): LedgerStore & { leaseRows: Map<string, Lease>; unleasedRows: Map<string, Unleased> } {
  const leaseRows = new Map<string, Lease>();
  const unleasedRows = new Map<string, Unleased>();
  return {
    leaseRows,
    unleasedRows,
    leases: () => leaseRows.values(),
    putLease: (lease) => leaseRows.set(lease.id, lease),
    deleteLease: (id) => leaseRows.delete(id),
    unleased: () => unleasedRows.values(),
    putUnleased: (row) => unleasedRows.set(row.limit_id, row),
    deleteUnleased: (id) => unleasedRows.delete(id),
  };
}

const lease = (id: string, seconds: number | null = 60, now = START) => ({
  id,
  expires: seconds === null ? null : now + seconds * SECOND,
  holder: { type: "flow_run" as const, id },
});

const NAMES = ["a", "b", "c"];

/** One step of a client. `lease` numbers the leases, so that several steps can use one lease. */
type Step =
  | { do: "acquire"; on: string[]; slots: number; lease: number; seconds: number | null }
  | { do: "take"; on: string[]; slots: number }
  | { do: "give"; on: string; slots: number }
  | { do: "renew"; lease: number; seconds: number | null; holder: boolean }
  | { do: "release"; lease: number }
  | { do: "wait"; seconds: number }
  | { do: "crash" }
  | { do: "change"; on: string; limit: number; active: boolean }
  | { do: "clear"; on: string };

const aName = fc.constantFrom(...NAMES);
const someNames = fc.subarray(NAMES, { minLength: 1 });
const slots = fc.integer({ min: 1, max: 4 });
const aLease = fc.nat(6);
const seconds = fc.integer({ min: 60, max: 300 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("acquire" as const),
      on: someNames,
      slots,
      lease: aLease,
      seconds: fc.option(seconds, { freq: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("take" as const), on: someNames, slots }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("give" as const), on: aName, slots }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("renew" as const),
      lease: aLease,
      seconds: fc.option(seconds),
      holder: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("release" as const), lease: aLease }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("wait" as const), seconds: fc.integer({ min: 1, max: 200 }) }) },
  fc.record({ do: fc.constant("crash" as const) }),
  fc.record({ do: fc.constant("change" as const), on: aName, limit: fc.nat(6), active: fc.boolean() }),
  fc.record({ do: fc.constant("clear" as const), on: aName }),
);

/** A simple model of the ledger: the slots and the end of each lease. */
interface Held {
  id: string | null;
  on: string;
  slots: number;
  expires: number | null;
}

class Model {
  held: Held[] = [];

  inUse(on: string): number {
    return this.held.filter((each) => each.on === on).reduce((sum, each) => sum + each.slots, 0);
  }

  give(on: string, most: number): void {
    let left = most;
    for (const each of this.held) {
      if (each.id !== null || each.on !== on) continue;
      const given = Math.min(left, each.slots);
      each.slots -= given;
      left -= given;
    }
  }

  expire(now: number): void {
    this.held = this.held.filter(({ expires }) => expires === null || expires > now);
  }
}

/** Runs the steps on a ledger and on the model, and compares the two after each step. */
function walk(
  steps: readonly Step[],
  check: (world: {
    ledger: LeaseLedger;
    model: Model;
    now: number;
    limits: Map<string, Limit>;
    step: Step;
    before: Map<string, number>;
  }) => void,
) {
  const store = aStore();
  let ledger = new LeaseLedger(store);
  let now = START;
  const model = new Model();
  const limits = new Map(NAMES.map((name) => [name, aLimit({ id: name, name })]));
  const found = (names: readonly string[]) => names.flatMap((name) => limits.get(name) ?? []);
  for (const each of steps) {
    model.expire(now);
    const before = new Map(NAMES.map((name) => [name, model.inUse(name)]));
    switch (each.do) {
      case "acquire": {
        const id = `lease-${each.lease}`;
        const blocked = ledger.acquire(found(each.on), { slots: each.slots, lease: lease(id, each.seconds, now) }, now);
        const isKnown = model.held.some((held) => held.id === id);
        const active = found(each.on).filter(({ active }) => active);
        const full = active.filter((limit) => model.inUse(limit.id) + each.slots > limit.limit);
        expect(blocked.map(({ id }) => id)).toEqual(isKnown ? [] : full.map(({ id }) => id));
        if (isKnown || full.length > 0) break;
        for (const limit of active)
          model.held.push({
            id,
            on: limit.id,
            slots: each.slots,
            expires: each.seconds === null ? null : now + each.seconds * SECOND,
          });
        break;
      }
      case "take": {
        const blocked = ledger.acquire(found(each.on), { slots: each.slots, lease: null }, now);
        const active = found(each.on).filter(({ active }) => active);
        if (blocked.length === 0)
          for (const limit of active) model.held.push({ id: null, on: limit.id, slots: each.slots, expires: null });
        break;
      }
      case "give":
        ledger.give(each.on, each.slots, now);
        model.give(each.on, each.slots);
        break;
      case "renew": {
        const expires = each.seconds === null ? null : now + each.seconds * SECOND;
        const holder = { type: "task_run" as const, id: "another" };
        const own = model.held.filter(({ id }) => id === `lease-${each.lease}`);
        const renewal = each.holder ? { expires, holder } : { expires };
        expect(ledger.renew(`lease-${each.lease}`, renewal, now)).toBe(own.length > 0);
        if (each.holder && own.length > 0) expect(store.leaseRows.get(`lease-${each.lease}`)?.holder).toEqual(holder);
        for (const held of own) held.expires = expires;
        break;
      }
      case "release": {
        const own = model.held.filter(({ id }) => id === `lease-${each.lease}`);
        expect(ledger.release(`lease-${each.lease}`, now) !== undefined).toBe(own.length > 0);
        model.held = model.held.filter((held) => !own.includes(held));
        break;
      }
      case "wait":
        now += each.seconds * SECOND;
        model.expire(now);
        break;
      case "crash":
        ledger = new LeaseLedger(store);
        break;
      case "change":
        limits.set(each.on, aLimit({ id: each.on, name: each.on, limit: each.limit, active: each.active }));
        break;
      case "clear":
        ledger.clear(each.on);
        model.held = model.held.filter(({ on }) => on !== each.on);
        break;
      default: {
        const unknown: never = each;
        throw new Error(JSON.stringify(unknown));
      }
    }
    check({ ledger, model, now, limits, step: each, before });
  }
  return store;
}

const walks = fc.array(step, { maxLength: 60 });

describe("after any takes, renewals, releases, expiries and crashes", () => {
  test("the slots in use are the sum of the reservations", () => {
    fc.assert(
      fc.property(walks, (steps) => {
        walk(steps, ({ ledger, model, now }) => {
          for (const name of NAMES) expect(ledger.inUse(name, now)).toBe(model.inUse(name));
        });
      }),
      { numRuns: 500 },
    );
  });

  test("no step makes the slots in use more than the limit or less than 0", () => {
    fc.assert(
      fc.property(walks, (steps) => {
        walk(steps, ({ ledger, now, limits, before }) => {
          for (const name of NAMES) {
            const used = ledger.inUse(name, now);
            expect(used).toBeGreaterThanOrEqual(0);
            // More slots than the limit are in use only if the limit was lowered or activated later, and then never more than before.
            if (used > (before.get(name) ?? 0)) expect(used).toBeLessThanOrEqual(limits.get(name)?.limit ?? 0);
          }
        });
      }),
      { numRuns: 500 },
    );
  });

  test("an acquisition takes slots of all its limits or of none", () => {
    fc.assert(
      fc.property(walks, (steps) => {
        walk(steps, ({ ledger, now, limits, step, before }) => {
          if (step.do !== "acquire" && step.do !== "take") return;
          const active = step.on.filter((name) => limits.get(name)?.active);
          const taken = active.map((name) => ledger.inUse(name, now) - (before.get(name) ?? 0));
          expect([0, step.slots]).toContain(taken[0] ?? 0);
          expect(new Set(taken).size).toBeLessThanOrEqual(1);
        });
      }),
      { numRuns: 500 },
    );
  });

  test("no rows are left when all slots were released or have expired", () => {
    fc.assert(
      fc.property(walks, (steps) => {
        const ledgerRows = walk(steps, () => undefined);
        const ledger = new LeaseLedger(ledgerRows);
        const end = START + 1e6 * SECOND;
        for (const name of NAMES) ledger.give(name, 1000, end);
        ledger.expire(end);
        for (const { id } of ledgerRows.leaseRows.values()) ledger.release(id, end);
        expect(ledgerRows.leaseRows.size + ledgerRows.unleasedRows.size).toBe(0);
        expect(NAMES.map((name) => ledger.inUse(name, end))).toEqual([0, 0, 0]);
      }),
    );
  });

  test("the next expiry is never later than the first expiry of a lease", () => {
    fc.assert(
      fc.property(walks, (steps) => {
        walk(steps, ({ ledger, model, now }) => {
          model.expire(now);
          const times = model.held.flatMap(({ expires }) => (expires === null ? [] : [expires]));
          if (times.length > 0) expect(ledger.nextExpiry).toBeLessThanOrEqual(Math.min(...times));
        });
      }),
    );
  });
});

describe("a limit with slots that decay", () => {
  const rate = aLimit({ limit: 5, slot_decay_per_second: 2 });

  test("grants in any time at most its slots and the slots that decayed in that time", () => {
    const takings = fc.array(
      fc.record({ slots: fc.integer({ min: 1, max: 5 }), waitMs: fc.nat(2000), leased: fc.boolean() }),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(takings, (all) => {
        const ledger = new LeaseLedger(aStore());
        let now = START;
        const through: { at: number; slots: number }[] = [];
        for (const [index, { slots, waitMs, leased }] of all.entries()) {
          now += waitMs * 1000;
          if (ledger.acquire([rate], { slots, lease: leased ? lease(`lease-${index}`) : null }, now).length === 0)
            through.push({ at: now, slots });
          expect(ledger.inUse(rate.id, now)).toBeLessThanOrEqual(rate.limit);
          expect(ledger.inUse(rate.id, now)).toBeGreaterThanOrEqual(0);
        }
        for (const [index, first] of through.entries()) {
          let sum = 0;
          for (const { at, slots } of through.slice(index)) {
            sum += slots;
            expect(sum).toBeLessThanOrEqual(rate.limit + (2 * (at - first.at)) / SECOND + 1);
          }
        }
      }),
    );
  });

  test("has a free slot exactly after the wait that it returned", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 5 }),
        fc.nat(3000),
        (taken, wanted, waitMs) => {
          const ledger = new LeaseLedger(aStore());
          ledger.acquire([rate], { slots: taken, lease: null }, START);
          const now = START + waitMs * 1000;
          const freeAt = Math.ceil(now + ledger.freeIn(rate, wanted, now) * SECOND);
          if (freeAt > now + 1000)
            expect(ledger.acquire([rate], { slots: wanted, lease: null }, freeAt - 1000)).toEqual([rate]);
          expect(ledger.acquire([rate], { slots: wanted, lease: null }, freeAt + 1)).toEqual([]);
        },
      ),
    );
  });

  test("counts whole slots: a slot is in use until it has decayed completely", () => {
    const ledger = new LeaseLedger(aStore());
    ledger.acquire([rate], { slots: 3, lease: null }, START);
    const inUse = [0, 0.4, 0.5, 1.4, 1.5, 9].map((after) => ledger.inUse(rate.id, START + after * SECOND));
    expect(inUse).toEqual([3, 3, 2, 1, 0, 0]);
  });

  test("gets the slots of a released lease back, except the slots that have decayed", () => {
    const ledger = new LeaseLedger(aStore());
    ledger.acquire([rate], { slots: 2, lease: lease("one") }, START);
    ledger.acquire([rate], { slots: 3, lease: null }, START);
    ledger.release("one", START + SECOND);
    expect(ledger.inUse(rate.id, START + SECOND)).toBe(1);
  });

  test("keeps only the slots of leases if the decay is removed", () => {
    const ledger = new LeaseLedger(aStore());
    ledger.acquire([rate], { slots: 1, lease: lease("one") }, START);
    ledger.acquire([rate], { slots: 4, lease: null }, START);
    const steady = { ...rate, slot_decay_per_second: 0 };
    ledger.settle(steady, START);
    expect(ledger.inUse(rate.id, START + 30 * SECOND)).toBe(1);
    ledger.release("one", START + 30 * SECOND);
    expect(ledger.inUse(rate.id, START + 30 * SECOND)).toBe(0);
  });
});

describe("slots that are set to a number", () => {
  test.for([
    [0, []],
    [1, ["young"]],
    [2, ["young", "old"]],
    [4, ["young", "old"]],
    [7, ["young", "old"]],
  ] as const)("%i of 1 unleased and 3 leased ones", ([wanted, left]) => {
    const store = aStore();
    const ledger = new LeaseLedger(store);
    const limit = aLimit({ limit: 10 });
    ledger.acquire([limit], { slots: 2, lease: lease("old") }, START);
    ledger.acquire([limit], { slots: 1, lease: lease("young") }, START + 1);
    ledger.acquire([limit], { slots: 1, lease: null }, START + 2);
    ledger.setInUse(limit, wanted, START + 3);
    expect(ledger.inUse(limit.id, START + 3)).toBe(wanted);
    expect(new Set(store.leaseRows.keys())).toEqual(new Set(left));
  });

  test("a lease that lost slots releases only its remaining slots", () => {
    const ledger = new LeaseLedger(aStore());
    const limit = aLimit({ limit: 10 });
    ledger.acquire([limit], { slots: 3, lease: lease("one") }, START);
    ledger.acquire([limit], { slots: 2, lease: lease("two") }, START + 1);
    ledger.setInUse(limit, 3, START + 2);
    ledger.release("one", START + 3);
    expect(ledger.inUse(limit.id, START + 3)).toBe(2);
  });
});

test("slots that are released by name are never slots of a lease", () => {
  const ledger = new LeaseLedger(aStore());
  const limit = aLimit();
  ledger.acquire([limit], { slots: 2, lease: lease("one") }, START);
  ledger.acquire([limit], { slots: 1, lease: null }, START);
  ledger.give(limit.id, 3, START);
  expect(ledger.inUse(limit.id, START)).toBe(2);
});

test("a lease over two limits ends when its slots of both limits were removed, and not before", () => {
  const ledger = new LeaseLedger(aStore());
  const limits = ["a", "b"].map((id) => aLimit({ id, name: id }));
  ledger.acquire(limits, { slots: 1, lease: lease("one") }, START);
  ledger.clear("a");
  expect(ledger.renew("one", { expires: START + 90 * SECOND }, START + 1)).toBe(true);
  ledger.clear("b");
  expect(ledger.renew("one", { expires: START + 90 * SECOND }, START + 1)).toBe(false);
});
