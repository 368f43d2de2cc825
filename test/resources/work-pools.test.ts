import { env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { DEFAULT_WORKSPACE } from "#env";
import { objectName } from "#objects/client";
import { noticeDeployments, noticeRuns } from "#objects/work-pool/client";
import type { WorkPool } from "#objects/work-pool/object";
import { ensureQueue } from "#resources/work-pools/queues";
import { WorkPoolStore } from "#resources/work-pools/store";
import { knownRuns } from "../objects/work-pool/pool";
import { TELL_COST } from "../support/cost";
import { tools } from "../support/tools";
import { api } from "../support/world";

const SECOND = 1_000_000;
function fail(message: string): never {
  throw new Error(message);
}

const HOUR = 3600 * SECOND;

type Json = Record<string, never>;

async function send(method: string, path: string, body?: unknown) {
  const answer = await api<never>(method, path, body, TELL_COST);
  return { ...answer, cost: answer.headers.get("x-sluice-cost") ?? "" };
}

const stubOf = (pool: string) => env.WORK_POOL.get(env.WORK_POOL.idFromName(objectName(DEFAULT_WORKSPACE, pool)));
const inObject = <T>(pool: string, look: (object: WorkPool, state: DurableObjectState) => T | Promise<T>) =>
  runInDurableObject(stubOf(pool), (object, state) => look(object as unknown as WorkPool, state));

let names = 0;

interface Pool {
  id: string;
  name: string;
  default_queue_id: string;
}

async function aPool(fields: Record<string, unknown> = {}): Promise<Pool> {
  const made = await send("POST", "/work_pools/", { name: `pool-${++names}`, type: "process", ...fields });
  expect(made.status).toBe(201);
  return made.body;
}

async function aQueue(pool: Pool, name: string, fields: Record<string, unknown> = {}): Promise<string> {
  const made = await send("POST", `/work_pools/${pool.name}/queues`, { name, ...fields });
  expect(made.status).toBe(201);
  return (made.body as { id: string }).id;
}

/** Inserts a run of a pool into D1. Only the columns that polls read are realistic. */
async function putRun(
  queueId: string | null,
  fields: { id?: string; type?: string; due?: number | null; policy?: object } = {},
): Promise<string> {
  const { id = crypto.randomUUID(), type = "SCHEDULED", due = 1000 * SECOND, policy = {} } = fields;
  const ended = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"].includes(type) ? 1 : null;
  await env.DB.prepare(
    `insert or replace into flow_run (workspace_id, id, created, updated, name, flow_id, work_queue_id, parameters, context,
       empirical_policy, tags, labels, auto_scheduled, state_type, state_name, state_ids, run_count, expected_start_time,
       next_scheduled_start_time, end_time, total_run_time)
     values (?, ?, 1, 1, 'run', ?, ?, '{}', '{}', ?, '[]', '{}', 0, ?, ?, '[]', 0, 1, ?, ?, 0)`,
  )
    .bind(
      DEFAULT_WORKSPACE,
      id,
      crypto.randomUUID(),
      queueId,
      JSON.stringify(policy),
      type,
      type,
      type === "SCHEDULED" ? due : null,
      ended,
    )
    .run();
  return id;
}

const poll = async (pool: Pool, ask: Record<string, unknown> = {}): Promise<string[]> => {
  const answer = await send("POST", `/work_pools/${pool.name}/get_scheduled_flow_runs`, ask);
  expect(answer.status).toBe(200);
  return (answer.body as { flow_run: { id: string } }[]).map(({ flow_run }) => flow_run.id);
};

function live(
  pool: Pool,
  queueId: string,
  id: string,
  type: "SCHEDULED" | "PENDING" | "COMPLETED",
  due: number | null = null,
) {
  return { id, work_pool_id: pool.id, work_pool_name: pool.name, work_queue_id: queueId, state_type: type, due };
}

/** Moves the object's clock, and runs its timer. */
async function later(pool: Pool, micros: number): Promise<void> {
  await inObject(pool.name, async (object) => {
    const now = object.clock() + micros;
    object.clock = () => now;
    await object.onTimer("change");
  });
}

/** Runs the object's alarm and its timer, whether or not the alarm has run by itself. */
async function settled(pool: Pool): Promise<void> {
  await runDurableObjectAlarm(stubOf(pool.name));
  await inObject(pool.name, (object) => object.onTimer("change"));
}

const column = async (table: string, id: string, name: string) =>
  (await env.DB.prepare(`select ${name} as value from ${table} where id = ?`).bind(id).first<{ value: unknown }>())
    ?.value;

describe("an idle poll", () => {
  test("calls the pool's object once and never D1", async () => {
    const pool = await aPool();
    await poll(pool);
    const { cost } = await send("POST", `/work_pools/${pool.name}/get_scheduled_flow_runs`, {});
    expect(cost).toBe("queries=0;round_trips=0;rows_read=0;rows_written=0;objects=1;r2_class_a=0;r2_class_b=0");
  });

  test("costs no more while runs wait for a later time", async () => {
    const pool = await aPool();
    await putRun(pool.default_queue_id, { due: 4_000_000_000 * SECOND });
    const answer = await send("POST", `/work_pools/${pool.name}/get_scheduled_flow_runs`, {
      scheduled_before: "2030-01-01T00:00:00Z",
    });
    expect(answer.body).toEqual([]);
    const { cost } = await send("POST", `/work_pools/${pool.name}/get_scheduled_flow_runs`, {
      scheduled_before: "2030-01-01T00:00:00Z",
    });
    expect(cost).toContain("queries=0");
  });

  test("writes no row in D1 or in the object for frequent polls", async () => {
    const pool = await aPool();
    await poll(pool);
    await settled(pool);
    const rows = () => inObject(pool.name, (object) => object.sql.exec("select total_changes() as rows").one()["rows"]);
    const before = await rows();
    for (let i = 0; i < 20; i++) await poll(pool);
    expect(await rows()).toBe(before);
  });

  test("of an unknown pool is refused", async () => {
    const answer = await send("POST", "/work_pools/nowhere/get_scheduled_flow_runs", {});
    expect(answer.status).toBe(404);
    expect(answer.body).toEqual({ detail: 'Work pool "nowhere" not found.' });
  });
});

describe("the object", () => {
  test("offers the same runs in the same order after its storage is lost", async () => {
    const pool = await aPool();
    const high = await aQueue(pool, "high", { priority: 1 });
    for (const due of [5, 3, 4]) await putRun(high, { due: due * SECOND });
    for (const due of [2, 1]) await putRun(pool.default_queue_id, { due: due * SECOND });
    await putRun(high, { type: "RUNNING" });
    await send("PATCH", `/work_pools/${pool.name}`, { concurrency_limit: 5 });
    const before = await poll(pool);
    expect(before).toHaveLength(4);
    await inObject(pool.name, async (object) => {
      await object.forget();
      // After a restart the object's memory is empty too.
      Object.assign(object, { components: null });
    });
    expect(await poll(pool)).toEqual(before);
  });

  test("reads its tables after an eviction, and not D1", async () => {
    const pool = await aPool();
    const id = await putRun(pool.default_queue_id);
    expect(await poll(pool)).toEqual([id]);
    await inObject(pool.name, (object) => Object.assign(object, { components: null }));
    await env.DB.prepare("update flow_run set next_scheduled_start_time = 7 where id = ?").bind(id).run();
    const offered = await send("POST", `/work_pools/${pool.name}/get_scheduled_flow_runs`, {});
    // The only read is the read of the run itself.
    expect(offered.cost).toContain("queries=1");
    expect(await poll(pool)).toEqual([id]);
  });

  test("gets notices of runs from the requests that commit them", async () => {
    const pool = await aPool({ concurrency_limit: 1 });
    expect(await poll(pool)).toEqual([]);
    const [first, second] = [
      await putRun(pool.default_queue_id, { due: 1 }),
      await putRun(pool.default_queue_id, { due: 2 }),
    ];
    await noticeRuns(tools(), [
      live(pool, pool.default_queue_id, first, "SCHEDULED", 1),
      live(pool, pool.default_queue_id, second, "SCHEDULED", 2),
    ]);
    expect(await poll(pool)).toEqual([first]);
    await putRun(pool.default_queue_id, { id: first, type: "PENDING" });
    await noticeRuns(tools(), [live(pool, pool.default_queue_id, first, "PENDING")]);
    expect(await poll(pool)).toEqual([]);
    await putRun(pool.default_queue_id, { id: first, type: "COMPLETED" });
    await noticeRuns(tools(), [live(pool, pool.default_queue_id, first, "COMPLETED")]);
    expect(await poll(pool)).toEqual([second]);
  });

  test("finds by its timer the changes without a notice", async () => {
    const pool = await aPool();
    const known = await putRun(pool.default_queue_id, { due: 1 });
    expect(await poll(pool)).toEqual([known]);
    const missed = await putRun(pool.default_queue_id, { due: 2 });
    await putRun(pool.default_queue_id, { id: known, type: "RUNNING" });
    await inObject(pool.name, (object) => object.onTimer("check"));
    expect(await inObject(pool.name, knownRuns)).toMatchObject([
      { id: known, due: null },
      { id: missed, due: 2 },
    ]);
    expect(await poll(pool)).toEqual([missed]);
  });

  test("sets its timer after a notice of a run, and sets none if no run waits", async () => {
    const pool = await aPool();
    const timers = () =>
      inObject(pool.name, (object) => object.sql.exec<{ name: string }>("select name from sluice_timer").toArray());
    await send("GET", `/work_pools/${pool.name}`);
    expect(await timers()).toEqual([]);
    await noticeRuns(tools(), [live(pool, pool.default_queue_id, crypto.randomUUID(), "PENDING")]);
    expect(await timers()).toEqual([{ name: "check" }]);
  });

  test("offers no run that is no longer SCHEDULED, and offers the next run instead", async () => {
    const pool = await aPool();
    const [gone, next] = [
      await putRun(pool.default_queue_id, { due: 1 }),
      await putRun(pool.default_queue_id, { due: 2 }),
    ];
    expect(await poll(pool, { limit: 1 })).toEqual([gone]);
    await putRun(pool.default_queue_id, { id: gone, type: "CANCELLED" });
    expect(await poll(pool, { limit: 1 })).toEqual([next]);
  });

  test("offers no run that waits in its process for a retry", async () => {
    const pool = await aPool();
    const id = await putRun(pool.default_queue_id, { policy: { retry_type: "in_process" } });
    expect(await poll(pool)).toEqual([]);
    await noticeRuns(tools(), [live(pool, pool.default_queue_id, id, "SCHEDULED", 1)]);
    expect(await poll(pool)).toEqual([]);
  });

  test("reads more runs than one page has", async () => {
    const pool = await aPool();
    const ids = Array.from({ length: 2300 }, () => crypto.randomUUID());
    await env.DB.prepare(
      `insert into flow_run (workspace_id, id, created, updated, name, flow_id, work_queue_id, parameters, context, empirical_policy, tags,
         labels, auto_scheduled, state_type, state_name, state_ids, run_count, next_scheduled_start_time, total_run_time)
       select ?1, value, 1, 1, 'run', value, ?2, '{}', '{}', '{}', '[]', '{}', 0, 'SCHEDULED', 'Scheduled', '[]', 0, key / 1500, 0 from json_each(?3)`,
    )
      .bind(DEFAULT_WORKSPACE, pool.default_queue_id, JSON.stringify(ids))
      .run();
    await poll(pool, { limit: 1 });
    expect(await inObject(pool.name, knownRuns)).toHaveLength(2300);
  });

  test("ignores a notice about a deleted pool with the same name", async () => {
    const old = await aPool();
    await putRun(old.default_queue_id);
    expect(await poll(old)).toHaveLength(1);
    await send("DELETE", `/work_pools/${old.name}`);
    const pool = await aPool({ name: old.name });
    const id = await putRun(pool.default_queue_id);
    await noticeRuns(tools(), [live(old, old.default_queue_id, crypto.randomUUID(), "SCHEDULED", 1)]);
    await noticeRuns(tools(), [live(pool, pool.default_queue_id, id, "SCHEDULED", 1000 * SECOND)]);
    expect(await poll(pool)).toEqual([id]);
  });
});

describe("a pool that was deleted and created again", () => {
  test("has no runs, workers, queues or polls of the deleted pool", async () => {
    const old = await aPool();
    const queue = await aQueue(old, "extra");
    const run = await putRun(queue);
    await send("POST", `/work_pools/${old.name}/workers/heartbeat`, { name: "w" });
    await poll(old);
    await send("DELETE", `/work_pools/${old.name}`);
    expect((await send("POST", `/work_pools/${old.name}/get_scheduled_flow_runs`, {})).status).toBe(404);
    expect((await send("POST", `/work_pools/${old.name}/workers/heartbeat`, { name: "w" })).status).toBe(404);
    const pool = await aPool({ name: old.name });
    expect(await poll(pool)).toEqual([]);
    expect((await send("POST", `/work_pools/${pool.name}/workers/filter`, {})).body).toEqual([]);
    expect((await send("GET", `/work_pools/${pool.name}`)).body).toMatchObject({ status: "NOT_READY" });
    expect((await send("POST", `/work_pools/${pool.name}/queues/filter`, {})).body).toMatchObject([
      { name: "default" },
    ]);
    expect(await column("flow_run", run, "work_queue_id")).toBeNull();
  });

  test("is the new pool for its object, even without a notice to the object", async () => {
    const old = await aPool();
    await send("POST", `/work_pools/${old.name}/workers/heartbeat`, { name: "w" });
    await env.DB.prepare("update work_pool set id = 'another' where id = ?").bind(old.id).run();
    expect((await send("POST", `/work_pools/${old.name}/workers/filter`, {})).body).toEqual([]);
  });
});

describe("a change of a pool or a queue", () => {
  test("applies from the next poll on", async () => {
    const pool = await aPool();
    const queue = await aQueue(pool, "q", { priority: 1 });
    const [inQueue, inDefault] = [await putRun(queue, { due: 2 }), await putRun(pool.default_queue_id, { due: 1 })];
    expect(await poll(pool)).toEqual([inQueue, inDefault]);
    await send("PATCH", `/work_pools/${pool.name}/queues/q`, { priority: 9 });
    expect(await poll(pool)).toEqual([inDefault, inQueue]);
    await send("PATCH", `/work_pools/${pool.name}/queues/q`, { is_paused: true });
    expect(await poll(pool)).toEqual([inDefault]);
    await send("PATCH", `/work_pools/${pool.name}/queues/q`, { is_paused: false, concurrency_limit: 0 });
    expect(await poll(pool)).toEqual([inDefault]);
    await send("PATCH", `/work_pools/${pool.name}`, { is_paused: true });
    expect(await poll(pool)).toEqual([]);
    await send("PATCH", `/work_pools/${pool.name}`, { is_paused: false });
    await send("DELETE", `/work_pools/${pool.name}/queues/q`);
    expect(await poll(pool)).toEqual([inDefault]);
    expect(await column("flow_run", inQueue, "work_queue_id")).toBeNull();
  });

  test("without a notice is found when a request names the queue to the object", async () => {
    const pool = await aPool();
    await poll(pool);
    await tools().db.batch([
      new WorkPoolStore({ db: tools().db, workspaceId: DEFAULT_WORKSPACE }).insertQueue({
        workspace_id: DEFAULT_WORKSPACE,
        id: crypto.randomUUID(),
        created: 1,
        updated: 1,
        name: "silent",
        work_pool_id: pool.id,
        description: null,
        is_paused: 0,
        concurrency_limit: null,
        priority: 7,
        filter: null,
        status: "NOT_READY",
        last_polled: null,
      }),
    ]);
    expect(await poll(pool, { work_queue_names: ["silent"] })).toEqual([]);
  });
});

describe("the status", () => {
  test("of a worker is ONLINE for three of its intervals, and its pool is READY for the same time", async () => {
    const pool = await aPool();
    const status = async () => (await send("GET", `/work_pools/${pool.name}`)).body as { status: string };
    const workers = async () => (await send("POST", `/work_pools/${pool.name}/workers/filter`, {})).body as Json[];
    await send("POST", `/work_pools/${pool.name}/workers/heartbeat`, { name: "w", heartbeat_interval_seconds: 20 });
    expect(await status()).toMatchObject({ status: "READY" });
    await later(pool, 50 * SECOND);
    expect(await workers()).toMatchObject([{ name: "w", status: "ONLINE" }]);
    expect(await column("work_pool", pool.id, "status")).toBe("READY");
    await later(pool, 10 * SECOND);
    expect(await workers()).toMatchObject([{ name: "w", status: "OFFLINE" }]);
    expect(await status()).toMatchObject({ status: "NOT_READY" });
    expect(await column("work_pool", pool.id, "status")).toBe("NOT_READY");
  });

  test("of a worker without an interval is ONLINE for ninety seconds", async () => {
    const pool = await aPool();
    await send("POST", `/work_pools/${pool.name}/workers/heartbeat`, { name: "w" });
    await later(pool, 80 * SECOND);
    expect(await column("work_pool", pool.id, "status")).toBe("READY");
    await later(pool, 10 * SECOND);
    expect(await column("work_pool", pool.id, "status")).toBe("NOT_READY");
  });

  test("changes by an alarm, to the second", async () => {
    const pool = await aPool();
    await send("POST", `/work_pools/${pool.name}/workers/heartbeat`, { name: "w", heartbeat_interval_seconds: 3 });
    await settled(pool);
    const [beat, alarm] = await inObject(pool.name, async (object, state) => [
      object.sql.exec<{ last_heartbeat: number }>("select last_heartbeat from worker").one().last_heartbeat,
      await state.storage.getAlarm(),
    ]);
    expect(alarm).toBe(Math.ceil((beat + 9 * SECOND) / 1000));
  });

  test("of a queue is READY for a minute after a poll, also in D1", async () => {
    const pool = await aPool();
    await poll(pool);
    const queue = async () =>
      (await send("GET", `/work_pools/${pool.name}/queues/default`)).body as { last_polled: string | null };
    expect(await queue()).toMatchObject({ status: "READY" });
    expect((await queue()).last_polled).not.toBeNull();
    await settled(pool);
    expect(await column("work_queue", pool.default_queue_id, "status")).toBe("READY");
    await later(pool, 61 * SECOND);
    expect(await queue()).toMatchObject({ status: "NOT_READY" });
    expect(await column("work_queue", pool.default_queue_id, "status")).toBe("NOT_READY");
  });

  test("of a paused queue stays PAUSED at a poll, and is READY when the queue is resumed", async () => {
    const pool = await aPool();
    await send("PATCH", `/work_pools/${pool.name}/queues/default`, { is_paused: true });
    await poll(pool);
    const queue = async () => (await send("GET", `/work_pools/${pool.name}/queues/default`)).body;
    expect(await queue()).toMatchObject({ status: "PAUSED" });
    await send("PATCH", `/work_pools/${pool.name}/queues/default`, { is_paused: false });
    expect(await queue()).toMatchObject({ status: "READY" });
    expect(await column("work_queue", pool.default_queue_id, "status")).toBe("READY");
  });

  test("of a paused pool is PAUSED even with online workers, and is computed when the pool is resumed", async () => {
    const pool = await aPool();
    await send("PATCH", `/work_pools/${pool.name}`, { is_paused: true });
    await send("POST", `/work_pools/${pool.name}/workers/heartbeat`, { name: "w" });
    expect((await send("GET", `/work_pools/${pool.name}`)).body).toMatchObject({ status: "PAUSED" });
    await send("PATCH", `/work_pools/${pool.name}`, { is_paused: false });
    expect((await send("GET", `/work_pools/${pool.name}`)).body).toMatchObject({ status: "READY" });
  });

  test("of a pool of agents is null", async () => {
    const pool = await aPool({ type: "prefect-agent" });
    await send("POST", `/work_pools/${pool.name}/workers/heartbeat`, { name: "w" });
    expect((await send("GET", `/work_pools/${pool.name}`)).body).toMatchObject({ status: null });
    await inObject(pool.name, (object) => object.onTimer("change"));
    expect(await column("work_pool", pool.id, "status")).toBeNull();
  });

  test("of deployments is READY with the next poll of their queue, and NOT_READY a minute after the last", async () => {
    const pool = await aPool();
    const put = async (id: string) => {
      await env.DB.prepare(
        `insert into deployment (workspace_id, id, created, updated, name, flow_id, paused, status, job_variables, parameters,
           enforce_parameter_schema, tags, labels, work_queue_id) values (?, ?, 1, 1, ?, 'f', 0, 'NOT_READY', '{}', '{}', 1, '[]', '{}', ?)`,
      )
        .bind(DEFAULT_WORKSPACE, id, id, pool.default_queue_id)
        .run();
      return id;
    };
    const first = await put(crypto.randomUUID());
    await poll(pool);
    await settled(pool);
    expect(await column("deployment", first, "status")).toBe("READY");
    const second = await put(crypto.randomUUID());
    await noticeDeployments(tools(), pool.name, [pool.default_queue_id]);
    await poll(pool);
    await settled(pool);
    expect(await column("deployment", second, "status")).toBe("READY");
    await later(pool, 61 * SECOND);
    expect([await column("deployment", first, "status"), await column("deployment", second, "status")]).toEqual([
      "NOT_READY",
      "NOT_READY",
    ]);
  });

  test("is reported again in the same event if a report failed", async () => {
    const pool = await aPool();
    await send("GET", `/work_pools/${pool.name}`);
    const away = { prepare: () => fail("D1 is away") };
    const swap = (bindings: unknown) => inObject(pool.name, (object) => Object.assign(object, { bindings }));
    await swap({ ...env, DB: away });
    await send("POST", `/work_pools/${pool.name}/workers/heartbeat`, { name: "w" });
    const edges = () => inObject(pool.name, (object) => object.sql.exec("select * from edge").toArray());
    const [edge] = await edges();
    await inObject(pool.name, (object) => expect(object.onTimer("change")).rejects.toThrow("D1 is away"));
    expect(await edges()).toEqual([edge]);
    await swap(env);
    await settled(pool);
    expect(await edges()).toEqual([]);
    expect(await column("work_pool", pool.id, "last_status_event_id")).toBe(edge?.["event_id"]);
  });

  test("has the event of a pause after the event of the earlier status", async () => {
    const pool = await aPool();
    await send("POST", `/work_pools/${pool.name}/workers/heartbeat`, { name: "w" });
    await send("PATCH", `/work_pools/${pool.name}`, { is_paused: true });
    const events = (await inObject(pool.name, (object) => object.sql.exec("select * from edge").toArray())).length;
    expect(events).toBe(0);
    const stamp = await column("work_pool", pool.id, "last_status_event_id");
    await send("PATCH", `/work_pools/${pool.name}`, { is_paused: false });
    expect(await column("work_pool", pool.id, "last_status_event_id")).not.toBe(stamp);
    expect(await column("work_pool", pool.id, "status")).toBe("READY");
  });
});

describe("queues that a request creates by name", () => {
  test("are created once, for any number of concurrent requests", async () => {
    const pool = await aPool();
    const made = await Promise.all(
      Array.from({ length: 5 }, () => ensureQueue(tools(), { ...pool, type: "process" }, "new")),
    );
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    expect((await send("POST", `/work_pools/${pool.name}/queues/filter`, {})).body).toMatchObject([
      { name: "default" },
      { name: "new", priority: 2 },
    ]);
  });
});

describe("refusals", () => {
  test("the default queue of a pool cannot be deleted, by either route", async () => {
    const pool = await aPool();
    const refusal = { detail: "'default' is the default queue of its work pool and cannot be deleted." };
    for (const path of [`/work_pools/${pool.name}/queues/default`, `/work_queues/${pool.default_queue_id}`]) {
      expect(await send("DELETE", path)).toMatchObject({ status: 409, body: refusal });
    }
    expect((await send("GET", `/work_pools/${pool.name}/queues/default`)).status).toBe(200);
  });
});

test("runs that are due in hours are known, and are offered to a poll without an end time", async () => {
  const pool = await aPool();
  const id = await putRun(pool.default_queue_id, { due: Date.now() * 1000 + 5 * HOUR });
  expect(await poll(pool)).toEqual([id]);
  await inObject(pool.name, (object) => object.onTimer("check"));
  expect(await poll(pool)).toEqual([id]);
});
