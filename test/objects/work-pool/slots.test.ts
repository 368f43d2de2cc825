import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { noticeRuns, takePoolSlot } from "#objects/work-pool/client";
import { api, propose } from "../../support/world";
import { goes, Pool, statesOf, tools } from "./pool";

const stateCount = async (id: string) =>
  (await env.DB.prepare("select count(*) as count from flow_run_state where flow_run_id = ?").bind(id).first())?.[
    "count"
  ];

describe("PENDING in a pool with a limit", () => {
  test("is reached by no more runs than there are free slots, for any number of concurrent proposals", async () => {
    const pool = await Pool.made({ concurrency_limit: 5 });
    const ids = await pool.runs(24);
    const answers = await Promise.all(ids.map((id) => propose(id, { type: "PENDING" })));
    expect(answers.filter(({ status }) => status === "ACCEPT")).toHaveLength(5);
    expect(answers.filter(({ status }) => status === "ABORT")).toHaveLength(19);
    expect(await statesOf(ids)).toEqual({ Pending: 5, Scheduled: 19 });
  });

  test("is refused without a write, and the run keeps its place", async () => {
    const pool = await Pool.made({ concurrency_limit: 1 });
    const [first, second] = [await pool.run(), await pool.run()];
    await goes(first.id, "PENDING");
    const before = await env.DB.prepare("select * from flow_run where id = ?").bind(second.id).first();
    const answer = await propose(second.id, { type: "PENDING" });
    expect(answer).toMatchObject({ status: "ABORT", details: { type: "abort_details" } });
    expect(answer.details.reason).toBeTruthy();
    expect(await env.DB.prepare("select * from flow_run where id = ?").bind(second.id).first()).toEqual(before);
    expect(await stateCount(second.id)).toBe(1);
    await goes(first.id, "RUNNING");
    await goes(first.id, "COMPLETED");
    expect(await pool.poll()).toEqual([second.id]);
    await goes(second.id, "PENDING");
  });

  test("is limited by its queue as well as by its pool", async () => {
    const pool = await Pool.made({ concurrency_limit: 2 });
    await api("POST", `/work_pools/${pool.name}/queues`, { name: "narrow", concurrency_limit: 1 });
    const [one, two] = [
      await pool.run({ type: "SCHEDULED" }, "narrow"),
      await pool.run({ type: "SCHEDULED" }, "narrow"),
    ];
    await goes(one.id, "PENDING");
    expect((await propose(two.id, { type: "PENDING" })).status).toBe("ABORT");
    const [third, fourth] = await pool.runs(2);
    await goes(third ?? "", "PENDING");
    expect((await propose(fourth ?? "", { type: "PENDING" })).status).toBe("ABORT");
  });

  test("is allowed while the pool is paused", async () => {
    const pool = await Pool.made({ is_paused: true, concurrency_limit: 1 });
    await goes((await pool.run()).id, "PENDING");
  });

  test("calls the pool's object once, and calls D1 no more often than without a limit", async () => {
    const pool = await Pool.made({ concurrency_limit: 2 });
    const free = await Pool.made();
    const cost = async (id: string) =>
      (
        await api("POST", `/flow_runs/${id}/set_state`, { state: { type: "PENDING" } }, { "x-sluice-cost": "1" })
      ).headers.get("x-sluice-cost");
    const [limited, unlimited] = [await pool.run(), await free.run()];
    const first = await cost(limited.id);
    expect(first).toContain("objects=1");
    expect(first).toBe(await cost(unlimited.id));
  });
});

describe("a slot", () => {
  test.for(["COMPLETED", "FAILED", "CRASHED", "CANCELLED"])("is released when its run is %s", async (type) => {
    const pool = await Pool.made({ concurrency_limit: 1 });
    const [first, second] = [await pool.run(), await pool.run()];
    await goes(first.id, "PENDING");
    expect(await pool.poll()).toEqual([]);
    await goes(first.id, type);
    expect(await pool.poll()).toEqual([second.id]);
  });

  test("is in use from PENDING to the end of CANCELLING, also after polls", async () => {
    const pool = await Pool.made({ concurrency_limit: 1 });
    await api("PATCH", `/work_pools/${pool.name}/queues/default`, { concurrency_limit: 1 });
    const [first, second] = [await pool.run(), await pool.run()];
    for (const type of ["PENDING", "RUNNING", "CANCELLING"]) {
      await goes(first.id, type);
      await pool.do("check");
      expect([type, await pool.poll(), await pool.pollQueue()]).toEqual([type, [], []]);
      expect((await propose(second.id, { type: "PENDING" })).status).toBe("ABORT");
    }
    await goes(first.id, "CANCELLED");
    expect(await pool.poll()).toEqual([second.id]);
    expect(await pool.pollQueue()).toEqual([second.id]);
  });

  test("is taken by a run that was forced to RUNNING though no slot was free", async () => {
    const pool = await Pool.made({ concurrency_limit: 1 });
    const [first, second, third] = [await pool.run(), await pool.run(), await pool.run()];
    await goes(first.id, "PENDING");
    await goes(second.id, "RUNNING", true);
    await goes(first.id, "COMPLETED");
    expect(await pool.poll()).toEqual([]);
    expect((await propose(third.id, { type: "PENDING" })).status).toBe("ABORT");
    await goes(second.id, "COMPLETED");
    await goes(third.id, "PENDING");
  });

  test("is kept by its run, and the run is not offered", async () => {
    const pool = await Pool.made({ concurrency_limit: 1 });
    const [first, second] = [await pool.run(), await pool.run()];
    expect(await takePoolSlot(tools(), pool.slot(first.id))).toBe(true);
    expect(await takePoolSlot(tools(), pool.slot(first.id))).toBe(true);
    expect(await takePoolSlot(tools(), pool.slot(second.id))).toBe(false);
    await api("PATCH", `/work_pools/${pool.name}`, { concurrency_limit: 2 });
    expect(await pool.poll()).toEqual([second.id]);
  });

  test("without a committed PENDING is free after its wait, and the run is offered again", async () => {
    const pool = await Pool.made({ concurrency_limit: 1 });
    const { id } = await pool.run();
    expect(await takePoolSlot(tools(), pool.slot(id))).toBe(true);
    const timer = await pool.timer("check");
    expect(timer).toBeLessThanOrEqual(Date.now() + 30_000);
    await pool.wait(10);
    await pool.do("check");
    expect(await pool.poll()).toEqual([]);
    await pool.wait(11);
    await pool.do("check");
    expect(await pool.poll()).toEqual([id]);
  });

  test("stays taken after an eviction of the object", async () => {
    const pool = await Pool.made({ concurrency_limit: 1 });
    const [first, second] = [await pool.run(), await pool.run()];
    expect(await takePoolSlot(tools(), pool.slot(first.id))).toBe(true);
    await pool.evict();
    await pool.do("check");
    expect(await takePoolSlot(tools(), pool.slot(second.id))).toBe(false);
  });

  test("of a run that ended without a notice is released by the check", async () => {
    const pool = await Pool.made({ concurrency_limit: 1 });
    const [first, second] = [await pool.run(), await pool.run()];
    await goes(first.id, "PENDING");
    await env.DB.prepare("update flow_run set state_type = 'COMPLETED', end_time = 1 where id = ?")
      .bind(first.id)
      .run();
    await pool.wait(21);
    await pool.do("check");
    expect(await pool.poll()).toEqual([second.id]);
  });

  test("is kept after an old notice about its run", async () => {
    const pool = await Pool.made({ concurrency_limit: 1 });
    const [first, second] = [await pool.run(), await pool.run()];
    await goes(first.id, "PENDING");
    const { work_pool_id, work_pool_name, work_queue_id } = pool.slot(first.id);
    const due = Date.now() * 1000;
    await noticeRuns(tools(), [
      { id: first.id, work_pool_id, work_pool_name, work_queue_id, state_type: "SCHEDULED", due },
    ]);
    expect((await propose(second.id, { type: "PENDING" })).status).toBe("ABORT");
    await pool.wait(3);
    await pool.do("check");
    expect((await propose(second.id, { type: "PENDING" })).status).toBe("ABORT");
    await goes(first.id, "COMPLETED");
    await goes(second.id, "PENDING");
  });

  test("of an unknown pool or queue is granted", async () => {
    const pool = await Pool.made({ concurrency_limit: 0 });
    const id = crypto.randomUUID();
    expect(await takePoolSlot(tools(), pool.slot(id))).toBe(false);
    expect(await takePoolSlot(tools(), { ...pool.slot(id), work_queue_id: crypto.randomUUID() })).toBe(true);
    expect(await takePoolSlot(tools(), { ...pool.slot(id), work_pool_name: "nowhere" })).toBe(true);
    expect(await pool.known()).toEqual([]);
  });
});
