import {
  abortAllDurableObjects,
  env,
  evictDurableObject,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Cost, totalCost } from "#lib/cost";
import {
  acquireLease,
  concurrencyLimits,
  keepLease,
  type LeaseAsk,
  limitChanged,
  limitsRemoved,
  readInUse,
  releaseLease,
  renewLease,
} from "#objects/concurrency-limits/client";
import type { ConcurrencyLimits } from "#objects/concurrency-limits/object";
import { makeTools } from "#tools";
import { aFlowRun, propose, unique, WORKSPACE } from "../../support/world";

const tools = () => makeTools(env, WORKSPACE, () => undefined);
const stub = () => env.CONCURRENCY_LIMITS.get(env.CONCURRENCY_LIMITS.idFromName(WORKSPACE));

/** A limit in D1. The object was not notified of the limit. */
async function anUntoldLimit(
  fields: { name?: string; limit?: number; decay?: number } = {},
): Promise<{ id: string; name: string }> {
  const id = crypto.randomUUID();
  const name = fields.name ?? unique("limit");
  await env.DB.prepare(
    `insert into concurrency_limit (workspace_id, id, created, updated, name, "limit", active, slot_decay_per_second, avg_slot_occupancy_seconds)
     values (?, ?, 0, 0, ?, ?, 1, ?, 2)`,
  )
    .bind(WORKSPACE, id, name, fields.limit ?? 2, fields.decay ?? 0)
    .run();
  return { id, name };
}

async function aLimit(fields: { name?: string; limit?: number; decay?: number } = {}) {
  const limit = await anUntoldLimit(fields);
  await limitChanged(tools(), { id: limit.id });
  return limit;
}

const setLimit = (id: string, limit: number) =>
  env.DB.prepare(`update concurrency_limit set "limit" = ? where id = ?`).bind(limit, id).run();

function lease(ids: readonly string[], fields: Partial<LeaseAsk> = {}) {
  const holder = { type: "flow_run" as const, id: crypto.randomUUID() };
  return acquireLease(tools(), {
    lease_id: crypto.randomUUID(),
    limit_ids: ids,
    slots: 1,
    seconds: 60,
    holder,
    ...fields,
  });
}

const inUse = async (id: string) => (await readInUse(tools(), [id]))[id];

/** The cost of a call, including the reads of the object. */
async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  const before = { ...totalCost };
  await work();
  return Object.fromEntries(
    Object.entries(totalCost).map(([name, value]) => [name, value - before[name as keyof Cost]]),
  ) as unknown as Cost;
}

const wait = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1000);

/** Moves the clock only forward, because the object's clock never goes back. */
let now = Date.now();

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now });
});
afterEach(() => {
  now = Date.now() + 1000;
  vi.useRealTimers();
});

describe("leases", () => {
  test("have slots until they are released, and are released only once", async () => {
    const { id } = await aLimit();
    const leaseId = crypto.randomUUID();
    expect(await lease([id], { lease_id: leaseId, slots: 2 })).toMatchObject({ kind: "acquired", is_held: true });
    expect(await inUse(id)).toBe(2);
    expect(await lease([id])).toMatchObject({ kind: "full", limits: [{ id }] });
    expect(await releaseLease(tools(), leaseId)).toBe(true);
    expect(await releaseLease(tools(), leaseId)).toBe(false);
    expect(await inUse(id)).toBe(0);
  });

  test("that are requested again under the same id are the same lease", async () => {
    const { id } = await aLimit({ limit: 1 });
    const leaseId = crypto.randomUUID();
    await lease([id], { lease_id: leaseId });
    expect(await lease([id], { lease_id: leaseId })).toMatchObject({ kind: "acquired" });
    expect(await inUse(id)).toBe(1);
  });

  test("do not change when their limit changes", async () => {
    const { id } = await aLimit({ limit: 3 });
    const leaseId = crypto.randomUUID();
    await lease([id], { lease_id: leaseId, slots: 2 });
    await setLimit(id, 1);
    await limitChanged(tools(), { id });
    const again = await lease([id], { lease_id: leaseId, slots: 2 });
    expect(again).toMatchObject({ kind: "acquired", is_held: true, limits: [{ id, limit: 1 }] });
    expect(await inUse(id)).toBe(2);
  });

  test.for([0, -1])("on a limit of %i are refused because there are too few slots", async (limit) => {
    const { id } = await aLimit({ limit });
    expect(await lease([id])).toMatchObject({ kind: "too many", limits: [{ id, limit }] });
  });

  test("that are not renewed end by the alarm; a renewed lease is kept", async () => {
    const { id } = await aLimit();
    const kept = crypto.randomUUID();
    await lease([id], { seconds: 60 });
    await lease([id], { seconds: 60, lease_id: kept });
    wait(45);
    expect(await renewLease(tools(), kept, 60)).toBe(true);
    wait(16);
    expect(await runDurableObjectAlarm(stub())).toBe(true);
    expect(await inUse(id)).toBe(1);
    wait(60);
    expect(await runDurableObjectAlarm(stub())).toBe(true);
    expect(await inUse(id)).toBe(0);
    expect(await renewLease(tools(), kept, 60)).toBe(false);
  });

  test("that have expired have no slots, even before the alarm", async () => {
    const { id } = await aLimit({ limit: 1 });
    await lease([id], { seconds: 60 });
    wait(61);
    expect(await lease([id])).toMatchObject({ kind: "acquired" });
  });

  test("are kept after an eviction and after a crash of the object", async () => {
    const { id } = await aLimit();
    const leaseId = crypto.randomUUID();
    await lease([id], { lease_id: leaseId });
    await evictDurableObject(stub());
    expect(await inUse(id)).toBe(1);
    await abortAllDurableObjects();
    expect(await lease([id], { slots: 2 })).toMatchObject({ kind: "full" });
    expect(await releaseLease(tools(), leaseId)).toBe(true);
    expect(await inUse(id)).toBe(0);
  });

  test("without an end are kept until their holder's run has ended, and no longer", async () => {
    const { id } = await aLimit({ limit: 9 });
    const running = await aFlowRun({ state: { type: "RUNNING" } });
    const over = await aFlowRun({ state: { type: "COMPLETED" } });
    const unknown = crypto.randomUUID();
    const holders = [
      { type: "flow_run", id: running.id },
      { type: "flow_run", id: over.id },
      { type: "flow_run", id: unknown },
      { type: "task_run", id: unknown },
    ] as const;
    for (const holder of holders) {
      await acquireLease(tools(), { lease_id: crypto.randomUUID(), limit_ids: [id], slots: 1, seconds: null, holder });
    }
    wait(290);
    await lease([id], { seconds: null });
    wait(20);
    await runDurableObjectAlarm(stub());
    // Kept: the lease of the active run, of the task run that may still be reported, and the lease that is too young
    // for a check.
    expect(await inUse(id)).toBe(3);
    await propose(running.id, { type: "COMPLETED" });
    wait(310);
    await runDurableObjectAlarm(stub());
    expect(await inUse(id)).toBe(1);
    wait(86_400);
    await runDurableObjectAlarm(stub());
    expect(await inUse(id)).toBe(0);
  });

  test("of a run that ended without a release end long before they expire, and the leases of active runs are kept", async () => {
    const { id } = await aLimit({ limit: 9 });
    const over = await aFlowRun({ state: { type: "COMPLETED" } });
    const running = await aFlowRun({ state: { type: "RUNNING" } });
    for (const run of [over, running]) {
      const holder = { type: "flow_run" as const, id: run.id };
      await acquireLease(tools(), {
        lease_id: crypto.randomUUID(),
        limit_ids: [id],
        slots: 1,
        seconds: 86_400,
        holder,
      });
    }
    wait(310);
    await runDurableObjectAlarm(stub());
    expect(await inUse(id)).toBe(1);
    wait(86_100);
    expect(await inUse(id)).toBe(0);
  });

  test("of a run that ended without a release end also if the object is evicted during the search", async () => {
    const { id } = await aLimit();
    const run = await aFlowRun({ state: { type: "RUNNING" } });
    await lease([id], { seconds: null, holder: { type: "flow_run", id: run.id } });
    await propose(run.id, { type: "COMPLETED" });
    wait(310);
    await runInDurableObject(stub(), (object: ConcurrencyLimits) => {
      object.onTimer = () => new Promise(() => undefined);
      void object.alarm();
    });
    await abortAllDurableObjects();
    expect(await inUse(id)).toBe(1);
    await runDurableObjectAlarm(stub());
    expect(await inUse(id)).toBe(0);
  });

  test("of many concurrent requests never exceed a limit, and take all its slots", async () => {
    const { id } = await aLimit({ limit: 5 });
    const answers = await Promise.all(Array.from({ length: 40 }, () => lease([id])));
    expect(answers.filter(({ kind }) => kind === "acquired")).toHaveLength(5);
    expect(await inUse(id)).toBe(5);
  });

  test("over two limits are taken from both or from neither", async () => {
    const wide = await aLimit({ limit: 5 });
    const narrow = await aLimit({ limit: 1 });
    const ids = [wide.id, narrow.id];
    expect(await lease(ids)).toMatchObject({ kind: "acquired" });
    expect(await lease(ids)).toMatchObject({ kind: "full", limits: [{ id: narrow.id }] });
    expect([await inUse(wide.id), await inUse(narrow.id)]).toEqual([1, 1]);
  });
});

describe("a lease that a request keeps", () => {
  const keep = (id: string, leaseId: string, fields: { seconds?: number | null } = {}) =>
    keepLease(tools(), {
      lease_id: leaseId,
      limit_ids: [id],
      slots: 1,
      seconds: 60,
      holder: { type: "flow_run", id: crypto.randomUUID() },
      ...fields,
    });

  test("is renewed if it exists, even if no slot is free, by one call and one row", async () => {
    const { id } = await aLimit({ limit: 1 });
    const leaseId = crypto.randomUUID();
    await lease([id], { lease_id: leaseId, seconds: 60 });
    wait(50);
    const cost = await costOf(async () =>
      expect(await keep(id, leaseId)).toMatchObject({ kind: "acquired", is_held: true }),
    );
    expect(cost).toMatchObject({ object_calls: 1, object_rows_written: 1, d1_round_trips: 0 });
    wait(50);
    expect(await inUse(id)).toBe(1);
    wait(11);
    expect(await inUse(id)).toBe(0);
  });

  test("is taken again if it has expired and a slot is free, under the same id, and once for several requests", async () => {
    const { id } = await aLimit({ limit: 1 });
    const leaseId = crypto.randomUUID();
    await lease([id], { lease_id: leaseId, seconds: 60 });
    wait(61);
    for (let time = 0; time < 2; time++) expect(await keep(id, leaseId)).toMatchObject({ kind: "acquired" });
    expect(await inUse(id)).toBe(1);
    expect(await releaseLease(tools(), leaseId)).toBe(true);
    expect(await inUse(id)).toBe(0);
  });

  test("is refused if it has expired and another lease has its slot", async () => {
    const { id } = await aLimit({ limit: 1 });
    const leaseId = crypto.randomUUID();
    await lease([id], { lease_id: leaseId, seconds: 60 });
    wait(61);
    await lease([id]);
    expect(await keep(id, leaseId)).toMatchObject({ kind: "full", limits: [{ id }] });
    expect(await renewLease(tools(), leaseId, 60)).toBe(false);
    expect(await inUse(id)).toBe(1);
  });
});

describe("a lease without an end", () => {
  test("no longer expires, and ends with the run that now has it", async () => {
    const { id } = await aLimit();
    const run = await aFlowRun({ state: { type: "RUNNING" } });
    const leaseId = crypto.randomUUID();
    await lease([id], { lease_id: leaseId, seconds: 60 });
    for (let time = 0; time < 2; time++)
      expect(await concurrencyLimits(tools()).makeEndless(leaseId, { type: "flow_run", id: run.id })).toBe(true);
    wait(400);
    await runDurableObjectAlarm(stub());
    await evictDurableObject(stub());
    expect(await inUse(id)).toBe(1);
    await propose(run.id, { type: "COMPLETED" });
    wait(310);
    await runDurableObjectAlarm(stub());
    expect(await inUse(id)).toBe(0);
  });

  test("cannot be made from a lease that has ended", async () => {
    const { id } = await aLimit();
    const leaseId = crypto.randomUUID();
    await lease([id], { lease_id: leaseId, seconds: 60 });
    wait(61);
    expect(await concurrencyLimits(tools()).makeEndless(leaseId, { type: "flow_run", id: crypto.randomUUID() })).toBe(
      false,
    );
    expect(await inUse(id)).toBe(0);
  });
});

describe("definitions", () => {
  test("are used at once if the object was notified", async () => {
    const { id } = await aLimit({ limit: 1 });
    await lease([id]);
    await setLimit(id, 2);
    await limitChanged(tools(), { id });
    expect(await lease([id])).toMatchObject({ kind: "acquired" });
    await setLimit(id, 1);
    await limitChanged(tools(), { id });
    expect(await inUse(id)).toBe(2);
    expect(await lease([id])).toMatchObject({ kind: "full" });
  });

  test("are used within half a minute if the object was not notified", async () => {
    const known = await aLimit({ limit: 1 });
    await lease([known.id]);
    await setLimit(known.id, 2);
    expect(await lease([known.id])).toMatchObject({ kind: "full" });
    wait(31);
    expect(await lease([known.id])).toMatchObject({ kind: "acquired" });
  });

  test("of deleted limits are removed with all their slots, whether the object was notified or not", async () => {
    const told = await aLimit();
    const untold = await aLimit();
    await lease([told.id, untold.id], { seconds: null });
    await env.DB.prepare("delete from concurrency_limit where id in (?, ?)").bind(told.id, untold.id).run();
    await limitsRemoved(tools(), [told.id]);
    expect(await inUse(told.id)).toBe(0);
    wait(31);
    expect(await lease([untold.id])).toMatchObject({ kind: "acquired", limits: [], is_held: false });
    expect(await inUse(untold.id)).toBe(0);
  });

  test("of a limit that was deleted while the object slept are removed with the limit at the next request", async () => {
    const { id } = await aLimit();
    await lease([id], { seconds: null });
    await evictDurableObject(stub());
    await env.DB.prepare("delete from concurrency_limit where id = ?").bind(id).run();
    expect(await inUse(id)).toBe(1);
    expect(await lease([id])).toMatchObject({ kind: "acquired", limits: [], is_held: false });
    expect(await inUse(id)).toBe(0);
  });

  test("of deployments' limits are found by their ids", async () => {
    const own = await aLimit({ name: `deployment:${crypto.randomUUID()}`, limit: 1 });
    expect(await lease([own.id])).toMatchObject({ kind: "acquired", limits: [{ id: own.id, limit: 1 }] });
    expect(await lease([own.id])).toMatchObject({ kind: "full" });
  });

  test("are read once for many requests, and names without a limit are not read again for a while", async () => {
    const { id } = await aLimit({ limit: 100 });
    const many = await costOf(() => Promise.all(Array.from({ length: 20 }, () => lease([id]))));
    expect(many.d1_round_trips).toBeLessThanOrEqual(2);
    const unlimited = await costOf(async () => {
      for (let count = 0; count < 20; count++) {
        const ask = { names: [unique("tag:none")], ids: [], slots: 1, mode: "concurrency" as const, lease: null };
        expect(await concurrencyLimits(tools()).acquire(ask)).toMatchObject({ kind: "acquired", limits: [] });
      }
    });
    expect(unlimited).toMatchObject({ object_calls: 20, object_rows_written: 0 });
    expect(unlimited.d1_round_trips).toBeLessThanOrEqual(1);
  });

  test("a lease that is taken, renewed and released writes one row each time, and the timer's row once", async () => {
    const { id } = await aLimit({ limit: 100 });
    await lease([id], { seconds: 60 });
    const leaseId = crypto.randomUUID();
    const cost = await costOf(async () => {
      await lease([id], { lease_id: leaseId, seconds: 300 });
      await renewLease(tools(), leaseId, 300);
      await releaseLease(tools(), leaseId);
    });
    expect(cost).toMatchObject({ object_calls: 3, object_rows_written: 3, d1_round_trips: 0 });
  });
});

describe("slots that a change sets", () => {
  test("are in use, and can be released by name", async () => {
    const { id, name } = await aLimit({ limit: 5 });
    await limitChanged(tools(), { id, active_slots: 4 });
    expect(await inUse(id)).toBe(4);
    await concurrencyLimits(tools()).give([name], 3, null);
    expect(await inUse(id)).toBe(1);
    await lease([id]);
    await limitChanged(tools(), { id, active_slots: 0 });
    expect(await inUse(id)).toBe(0);
  });

  test("the wait of a refused client grows with the waiters before it", async () => {
    const { id } = await aLimit({ limit: 1 });
    await lease([id]);
    await limitChanged(tools(), { id, denied_slots: 6 });
    expect(await lease([id])).toMatchObject({ kind: "full", retry_after_seconds: expect.closeTo(7, 1) as number });
  });
});
