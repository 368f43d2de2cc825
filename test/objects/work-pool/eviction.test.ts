/** The runs of a pool's object are in memory only. These tests show what the object knows after an eviction. */
import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { totalCost } from "#lib/cost";
import { takePoolSlot } from "#objects/work-pool/client";
import { api } from "../../support/world";
import { goes, Pool, tools } from "./pool";

const inSeconds = (seconds: number) => ({
  type: "SCHEDULED",
  state_details: { scheduled_time: new Date(Date.now() + seconds * 1000).toISOString() },
});

/** The statements that D1 runs during some work. */
async function statementsOf(work: () => Promise<unknown>): Promise<number> {
  const before = totalCost.d1_queries;
  await work();
  return totalCost.d1_queries - before;
}

/** Inserts a copy of a run into D1, of which the object gets no notice. */
async function copyUnnoticed(id: string): Promise<string> {
  const copy = crypto.randomUUID();
  await env.DB.prepare(
    `insert into flow_run (workspace_id, id, created, updated, name, flow_id, work_queue_id, parameters, context, empirical_policy, tags,
       labels, auto_scheduled, state_type, state_name, state_timestamp, state_ids, run_count, expected_start_time,
       next_scheduled_start_time, total_run_time)
     select workspace_id, ?1, created, updated, name, flow_id, work_queue_id, parameters, context, empirical_policy, tags, labels, 0,
       state_type, state_name, state_timestamp, '[]', 0, expected_start_time, next_scheduled_start_time, 0
     from flow_run where id = ?2`,
  )
    .bind(copy, id)
    .run();
  return copy;
}

describe("after an eviction", () => {
  test("a poll reads nothing from D1 if no run has a slot or is due soon", async () => {
    const pool = await Pool.made();
    await pool.run(inSeconds(3600));
    await pool.poll();
    await pool.do("check");
    await pool.evict();
    expect(await statementsOf(() => pool.poll())).toBe(0);
    expect(await pool.known()).toEqual([]);
  });

  test("a check finds the runs that are due much later", async () => {
    const pool = await Pool.made();
    const { id } = await pool.run(inSeconds(3600));
    await pool.do("check");
    await pool.evict();
    await pool.poll();
    await pool.do("check");
    expect(await pool.known()).toMatchObject([{ id, is_late: false }]);
  });

  test.for([
    ["is due", {}],
    ["will be due in a minute", { due: 60 }],
    ["has a slot", { goes: ["PENDING"] }],
    ["has a slot and is RUNNING", { goes: ["PENDING", "RUNNING"] }],
  ] as [string, { due?: number; goes?: string[] }][])("the object knows a run that %s", async ([, given]) => {
    for (const isChecked of [false, true]) {
      const pool = await Pool.made();
      // The object has found the pool quiet.
      await pool.poll();
      await pool.do("check");
      const { id } = await pool.run(inSeconds(given.due ?? 0));
      for (const type of given.goes ?? []) await goes(id, type);
      if (isChecked) await pool.do("check");
      const before = await pool.known();
      expect(before).toMatchObject([{ id }]);
      await pool.evict();
      const offered = await pool.poll();
      expect(await pool.known()).toEqual(before);
      expect(offered).toEqual(given.goes ? [] : [id]);
    }
  });

  test("a poll offers a run that was noticed before the poll, and one that was not", async () => {
    const pool = await Pool.made();
    const first = await pool.run();
    await pool.poll();
    await pool.evict();
    const second = await pool.run();
    const third = await copyUnnoticed(second.id);
    expect((await pool.poll()).toSorted()).toEqual([first.id, second.id, third].toSorted());
  });

  test("a notice sets the timer of the check, and the check finds the run", async () => {
    const pool = await Pool.made();
    await pool.run();
    await pool.evict();
    const { id } = await pool.run();
    expect(await pool.timer("check")).toBeLessThanOrEqual(Date.now() + 5_000);
    await pool.do("check");
    expect((await pool.known()).map((run) => run.id)).toContain(id);
  });

  test("a notice of an end removes the run also while D1 is read", async () => {
    const pool = await Pool.made();
    const [first, second] = [await pool.run(), await pool.run()];
    await goes(first.id, "PENDING");
    await pool.evict();
    await Promise.all([pool.poll(), goes(first.id, "COMPLETED"), pool.poll()]);
    expect((await pool.known()).map(({ id }) => id)).toEqual([second.id]);
  });

  test("the runs of D1 take the slots of a pool with a limit", async () => {
    const pool = await Pool.made({ concurrency_limit: 1 });
    const [first, second] = [await pool.run(), await pool.run()];
    await goes(first.id, "PENDING");
    await pool.do("check");
    await pool.evict();
    expect(await takePoolSlot(tools(), pool.slot(second.id))).toBe(false);
    expect(await takePoolSlot(tools(), pool.slot(first.id))).toBe(true);
  });

  test("a run becomes Late fifteen seconds after its scheduled time", async () => {
    const pool = await Pool.made();
    const { id } = await pool.run(inSeconds(-5));
    const later = await pool.run(inSeconds(3600));
    await pool.evict();
    await pool.wait(11);
    await env.DB.prepare(
      "update flow_run set next_scheduled_start_time = next_scheduled_start_time - 11000000 where id = ?",
    )
      .bind(id)
      .run();
    await pool.do("late");
    expect((await api("GET", `/flow_runs/${id}`)).body["state_name"]).toBe("Late");
    expect(await pool.known()).toMatchObject([
      { id, is_late: true },
      { id: later.id, is_late: false },
    ]);
  });
});

describe("the rows of the object", () => {
  const reservations = (pool: Pool) =>
    pool.inObject((object) => object.sql.exec<{ run_id: string }>("select run_id from reservation").toArray());

  test("do not grow with the runs of a pool without a limit", async () => {
    const pool = await Pool.made();
    // Sets the timers.
    await pool.run();
    const before = totalCost.object_rows_written;
    const ids = await pool.runs(20);
    for (const id of ids) await goes(id, "PENDING");
    expect(await reservations(pool)).toEqual([]);
    for (const id of ids) await goes(id, "COMPLETED");
    // Objects may set timers meanwhile.
    expect(totalCost.object_rows_written - before).toBeLessThan(5);
  });

  test("have a reserved slot of a pool with a limit, until the slot is confirmed or released", async () => {
    const pool = await Pool.made({ concurrency_limit: 2 });
    const [first, second] = [await pool.run(), await pool.run()];
    await goes(first.id, "PENDING");
    await goes(second.id, "PENDING");
    expect(await reservations(pool)).toHaveLength(2);
    await goes(first.id, "COMPLETED");
    expect(await reservations(pool)).toEqual([{ run_id: second.id }]);
    await pool.do("check");
    expect(await reservations(pool)).toEqual([]);
    expect(await pool.known()).toMatchObject([{ id: second.id, due: null }]);
  });

  test("take over the reservations of a version before, and nothing else of its runs", async () => {
    const pool = await Pool.made({ concurrency_limit: 1 });
    const [first, second] = [await pool.run(), await pool.run()];
    await pool.inObject((object) => {
      object.sql.exec(`drop table reservation;
        create table run (id text primary key, queue_id text not null, due integer, reserved_until integer, is_late integer not null) without rowid`);
      const until = object.clock() + 10_000_000;
      object.sql.exec("insert into run values (?, ?, null, ?, 0)", first.id, pool.defaultQueueId, until);
      object.sql.exec("insert into run values (?, ?, 5, null, 0)", crypto.randomUUID(), pool.defaultQueueId);
      object.writeMeta("version", "3");
      object.writeMeta("checked", String(object.clock()));
      Object.assign(object, { opened: false, components: null });
    });
    expect(await takePoolSlot(tools(), pool.slot(second.id))).toBe(false);
    expect((await pool.known()).map(({ id }) => id).toSorted()).toEqual([first.id, second.id].toSorted());
    expect(await reservations(pool)).toEqual([{ run_id: first.id }]);
  });

  test("say that the pool is no longer quiet, only for a run that is due soon", async () => {
    const pool = await Pool.made();
    await pool.poll();
    await pool.do("check");
    const checked = () => pool.inObject((object) => object.readMeta("checked"));
    expect(await checked()).toMatch(/ quiet$/);
    await pool.run(inSeconds(3600));
    expect(await checked()).toMatch(/ quiet$/);
    await pool.run(inSeconds(100));
    expect(await checked()).not.toMatch(/quiet/);
  });
});
