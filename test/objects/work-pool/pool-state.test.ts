import { env, runInDurableObject } from "cloudflare:test";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { systemIds } from "#lib/clock";
import type { Sql } from "#objects/sql";
import type { LedgerRun } from "#objects/work-pool/ledger";
import type { WorkPool } from "#objects/work-pool/object";
import { DOUBTED, RESERVED } from "#objects/work-pool/pool-runs";
import { type Config, PoolState } from "#objects/work-pool/pool-state";

const SECOND = 1_000_000;
const START = 1_700_000_000 * SECOND;
const QUEUES = ["a", "b"];

/** One change of a pool. `told`: whether the object gets a notice. */
type Step =
  | { do: "schedule"; run: number; queue: string; told: boolean }
  | { do: "take"; run: number }
  | { do: "commit"; flight: number }
  | { do: "lose"; flight: number }
  | { do: "force"; run: number; told: boolean }
  | { do: "finish"; run: number; told: boolean }
  | { do: "repeat"; run: number }
  | { do: "limit"; pool: number | null; queues: (number | null)[] }
  | { do: "wait"; seconds: number }
  | { do: "read" }
  | { do: "reconcile" }
  | { do: "crash" };

const aRun = fc.nat(4);
const aLimit = fc.option(fc.nat(4), { freq: 3 });
const told = fc.boolean();
const only = <T extends string>(what: T) => fc.record({ do: fc.constant(what) });
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("schedule" as const), run: aRun, queue: fc.constantFrom(...QUEUES), told }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("take" as const), run: aRun }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("commit" as const), flight: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose" as const), flight: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("force" as const), run: aRun, told }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("finish" as const), run: aRun, told }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("repeat" as const), run: aRun }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("limit" as const), pool: aLimit, queues: fc.tuple(aLimit, aLimit) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), seconds: fc.integer({ min: 0, max: 30 }) }) },
  { weight: 2, arbitrary: only("read" as const) },
  { weight: 2, arbitrary: only("reconcile" as const) },
  { weight: 1, arbitrary: only("crash" as const) },
);

/** A run in D1. `version` is the version of its state. A commit names the version on which it was decided. */
interface Row {
  id: string;
  queue_id: string;
  due: number | null;
  version: number;
}

/** A pool in D1, the proposals that have begun, and the state of the object. */
class World {
  state: PoolState;
  now = START;
  readonly d1 = new Map<string, Row>();
  /** Proposals that have a slot and are not committed yet. */
  readonly flights: { id: string; version: number; at: number }[] = [];
  /** The last notice that each run is due. The notice may arrive again, late. */
  private readonly notices = new Map<string, { queue: string; due: number }>();
  private reading: { at: number; runs: LedgerRun[]; touched: Set<string> } | null = null;
  private limits: { pool: number | null; queues: (number | null)[] } = { pool: 2, queues: [1, null] };
  private versions = 0;
  private readonly tables: Sql;

  constructor(tables: Sql) {
    this.tables = tables;
    this.state = new PoolState(tables, systemIds());
    this.state.clear();
    this.configure();
  }

  do(step: Step): void {
    switch (step.do) {
      case "schedule":
        return this.schedule(idOf(step.run), step.queue, step.told);
      case "take":
        return this.take(idOf(step.run));
      case "commit":
        return this.commit(step.flight);
      case "lose":
        this.flights.splice(step.flight, 1);
        return;
      case "force":
        return this.force(idOf(step.run), step.told);
      case "finish":
        return this.finish(idOf(step.run), step.told);
      case "repeat":
        return this.repeat(idOf(step.run));
      case "limit":
        this.limits = step;
        return this.configure();
      case "wait":
        this.now += step.seconds * SECOND;
        return;
      case "read":
        this.reading = { at: this.now, runs: this.live(), touched: new Set() };
        return;
      case "reconcile":
        return this.reconcile();
      case "crash":
        return this.crash();
      default:
        step satisfies never;
    }
  }

  /** The live runs in D1. */
  live(): LedgerRun[] {
    return [...this.d1.values()].map(({ id, queue_id, due }) => ({ id, queue_id, due, is_late: false }));
  }

  limitOf(queueId: string | null): number {
    return (queueId === null ? this.limits.pool : this.limits.queues[QUEUES.indexOf(queueId)]) ?? Infinity;
  }

  /** Drops the notices that have not arrived, moves the clock past all reservations, and compares the state with D1. */
  rest(): void {
    this.flights.length = 0;
    this.now += RESERVED + SECOND;
    this.do({ do: "read" });
    this.reconcile();
  }

  private configure(): void {
    const { pool, queues } = this.limits;
    const config: Config = {
      pool: { id: "pool", updated: START, type: "process", status: "READY", is_paused: false, concurrency_limit: pool },
      queues: QUEUES.map((id, at) => ({
        id,
        name: id,
        status: "READY",
        last_polled: null,
        is_paused: false,
        priority: 1,
        concurrency_limit: queues[at] ?? null,
      })),
      unready: [],
    };
    this.state.setConfig(config, this.now, true);
  }

  private schedule(id: string, queue: string, isTold: boolean): void {
    const row = this.d1.get(id);
    const due = this.now + SECOND;
    this.d1.set(id, { id, queue_id: row?.queue_id ?? queue, due, version: ++this.versions });
    this.notices.set(id, { queue: row?.queue_id ?? queue, due });
    if (isTold) this.repeat(id);
  }

  private repeat(id: string): void {
    const notice = this.notices.get(id);
    if (notice) this.tell(id, notice.queue, notice.due);
  }

  private tell(id: string, queue: string, phase: number | "holds" | null): void {
    this.reading?.touched.add(id);
    this.state.runs.note(id, queue, phase, this.now);
  }

  private take(id: string): void {
    const row = this.d1.get(id);
    if (!row || row.due === null) return;
    const before = { ...this.seen(), holding: this.holding() };
    const held = this.state.runs.ledger.read(id);
    const isTaken = this.state.take(id, row.queue_id, this.now);
    if (isTaken) {
      this.reading?.touched.add(id);
      this.flights.push({ id, version: row.version, at: this.now });
      expect(this.state.runs.ledger.read(id)?.due).toBeNull();
      const isNew = held?.due !== null;
      expect(this.holding().pool).toBe(before.holding.pool + (isNew ? 1 : 0));
      if (isNew) expect(this.holding().pool).toBeLessThanOrEqual(this.limitOf(null));
      if (isNew || held.queue_id !== row.queue_id)
        expect(this.holding()[row.queue_id]).toBeLessThanOrEqual(this.limitOf(row.queue_id));
    } else {
      expect({ ...this.seen(), holding: this.holding() }).toEqual(before);
      const isFull =
        before.holding.pool >= this.limitOf(null) || (before.holding[row.queue_id] ?? 0) >= this.limitOf(row.queue_id);
      expect(isFull && !(held?.due === null && held.queue_id === row.queue_id)).toBe(true);
    }
  }

  /** Commits a proposal unless another commit was faster. The object knows of the PENDING only from the slot. */
  private commit(flight: number): void {
    const [mine] = this.flights.splice(flight, 1);
    const row = mine && this.d1.get(mine.id);
    if (row?.version === mine?.version && row) this.d1.set(row.id, { ...row, due: null, version: ++this.versions });
  }

  private force(id: string, isTold: boolean): void {
    const row = this.d1.get(id);
    if (!row || row.due === null) return;
    this.d1.set(id, { ...row, due: null, version: ++this.versions });
    if (isTold) this.tell(id, row.queue_id, "holds");
  }

  private finish(id: string, isTold: boolean): void {
    const row = this.d1.get(id);
    if (!row || row.due !== null) return;
    this.d1.delete(id);
    // A notice that the run is due would now be too old.
    this.notices.delete(id);
    if (isTold) this.tell(id, row.queue_id, null);
  }

  private reconcile(): void {
    if (!this.reading) return;
    const { at, runs, touched } = this.reading;
    this.reading = null;
    this.state.runs.reconcile({ at, runs, covers: () => true, isOutdated: (id) => touched.has(id) });
  }

  /** Evicts the object: its memory is lost, its tables stay, and it reads the runs from D1 before it offers any. */
  private crash(): void {
    this.state = new PoolState(this.tables, systemIds());
    this.state.load();
    expect(this.state.runs.known).toBe("none");
    this.reading = { at: this.now, runs: this.live(), touched: new Set() };
    this.reconcile();
  }

  /** The number of runs with slots: counted run by run, and by the ledger. */
  holding(): Record<string, number> & { pool: number } {
    const holders = [...this.state.runs.ledger.all()].filter(({ due }) => due === null);
    const counts = Object.fromEntries(
      QUEUES.map((id) => [id, holders.filter(({ queue_id }) => queue_id === id).length]),
    );
    for (const id of QUEUES) expect(this.state.runs.ledger.holding(id)).toBe(counts[id]);
    return { ...counts, pool: holders.length };
  }

  /** All runs in the state, and the runs that it offers. */
  seen() {
    const pool = this.state.pool;
    const queues = [...this.state.queues.values()];
    const ask = { before: null, after: null, limit: 100 };
    return {
      runs: [...this.state.runs.ledger.all()].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
      offers: pool ? this.state.runs.ledger.offer(pool, queues, queues, ask) : [],
    };
  }
}

const idOf = (run: number) => `run-${run}`;

/** Calls a function with the tables of a new object. */
function inTables<T>(work: (tables: Sql) => T): Promise<T> {
  const stub = env.WORK_POOL.get(env.WORK_POOL.idFromName(crypto.randomUUID()));
  return runInDurableObject(stub, (object) => {
    const pool = object as unknown as WorkPool;
    pool.open();
    return work(pool.storage);
  });
}

describe("slots of a pool, after any changes of its runs", () => {
  test("are never granted beyond a limit, and are the slots of D1 when no proposal is active", async () => {
    await inTables((tables) => {
      fc.assert(
        fc.property(fc.array(anyStep, { maxLength: 60, size: "max" }), (steps) => {
          const world = new World(tables);
          for (const step of steps) {
            world.do(step);
            expect(world.holding().pool).toBeGreaterThanOrEqual(0);
          }
          world.rest();
          expect(world.seen().runs.map(({ id, queue_id, due }) => [id, queue_id, due])).toEqual(
            world
              .live()
              .toSorted((a, b) => (a.id < b.id ? -1 : 1))
              .map(({ id, queue_id, due }) => [id, queue_id, due]),
          );
          world.do({ do: "crash" });
        }),
        { numRuns: 500 },
      );
    });
  }, 60_000);

  /**
   * Steps without lost notices: a proposal with a slot commits soon or never, and the object gets a notice of each
   * run's end.
   */
  const orderly = anyStep.map((step): Step => {
    if (step.do === "limit" || step.do === "force") return { do: "reconcile" };
    if (step.do === "wait") return { do: "wait", seconds: step.seconds % 5 };
    return "told" in step ? { ...step, told: true } : step;
  });

  test("are never those of more runs in D1 than the limits allow, though notices arrive late and objects crash", async () => {
    await inTables((tables) => {
      fc.assert(
        fc.property(fc.array(orderly, { maxLength: 80, size: "max" }), (steps) => {
          const world = new World(tables);
          for (const step of steps) {
            // A PENDING run is not rescheduled before it has ended.
            if (step.do === "schedule" && world.d1.has(idOf(step.run))) continue;
            world.do(step);
            // A proposal that is not committed within the object's wait is never committed.
            const late = world.flights.filter(({ at }) => at <= world.now - DOUBTED);
            for (const flight of late) world.flights.splice(world.flights.indexOf(flight), 1);
            const running = world.live().filter(({ due }) => due === null);
            expect(running.length).toBeLessThanOrEqual(world.limitOf(null));
            for (const id of QUEUES)
              expect(running.filter(({ queue_id }) => queue_id === id).length).toBeLessThanOrEqual(world.limitOf(id));
          }
        }),
        { numRuns: 500 },
      );
    });
  }, 60_000);
});

describe("a slot that was taken", () => {
  const config = (limit: number | null): Config => ({
    pool: { id: "pool", updated: START, type: "process", status: "READY", is_paused: true, concurrency_limit: limit },
    queues: [
      {
        id: "a",
        name: "a",
        status: "READY",
        last_polled: null,
        is_paused: true,
        priority: 1,
        concurrency_limit: null,
      },
    ],
    unready: [],
  });
  const everyone = { covers: () => true, isOutdated: () => false };
  const due = (id: string): LedgerRun => ({ id, queue_id: "a", due: START, is_late: false });

  const withState = (limit: number | null, work: (state: PoolState) => void) =>
    inTables((tables) => {
      const state = new PoolState(tables, systemIds());
      state.setConfig(config(limit), START, true);
      work(state);
    });

  test("is granted if the pool or the queue is paused, because only the limits are checked", () =>
    withState(1, (state) => {
      expect([state.take("first", "a", START), state.take("second", "a", START)]).toEqual([true, false]);
    }));

  test("is not counted if the queue is unknown", () =>
    withState(0, (state) => {
      expect(state.take("run", "elsewhere", START)).toBeNull();
      expect(state.runs.ledger.size).toBe(0);
    }));

  test("stays with its run while the commit may still arrive, and is free if the commit did not arrive", () =>
    withState(1, (state) => {
      state.runs.note("run", "a", START, START);
      expect(state.take("run", "a", START)).toBe(true);
      state.runs.reconcile({ at: START + RESERVED - 1, runs: [due("run")], ...everyone });
      expect(state.take("other", "a", START)).toBe(false);
      state.runs.reconcile({ at: START + RESERVED, runs: [due("run")], ...everyone });
      expect(state.runs.ledger.read("run")).toEqual(due("run"));
      expect(state.take("other", "a", START)).toBe(true);
    }));

  test("is kept for a moment after a notice that the run is due, because the notice may be old", () =>
    withState(1, (state) => {
      state.take("run", "a", START);
      expect(state.runs.note("run", "a", START, START)).toBe(false);
      expect(state.runs.nextExpiry()).toBe(START + DOUBTED);
      state.runs.reconcile({ at: START + DOUBTED, runs: [due("run")], ...everyone });
      expect(state.runs.ledger.read("run")?.due).toBe(START);
    }));

  test("is confirmed if D1 shows that the run has it, and is released if D1 shows that the run does not", () =>
    withState(1, (state) => {
      state.take("run", "a", START);
      state.runs.reconcile({ at: START + 1, runs: [{ ...due("run"), due: null }], ...everyone });
      expect(state.runs.nextExpiry()).toBeNull();
      state.runs.reconcile({ at: START + 2, runs: [], ...everyone });
      expect(state.runs.ledger.size).toBe(0);
    }));

  test("is released at once after a notice that the run has ended", () =>
    withState(1, (state) => {
      state.take("run", "a", START);
      expect(state.runs.note("run", "a", null, START)).toBe(true);
      expect(state.take("other", "a", START)).toBe(true);
    }));

  test("is taken without a request by a run that was forced to RUNNING", () =>
    withState(1, (state) => {
      state.runs.note("forced", "a", "holds", START);
      state.runs.note("forced too", "a", "holds", START);
      expect(state.runs.ledger.holding("a")).toBe(2);
      expect(state.take("other", "a", START)).toBe(false);
    }));
});
