import { env } from "cloudflare:test";
import { sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { Database } from "#db/database";
import { DEFAULT_WORKSPACE } from "#env";
import { noCost } from "#lib/cost";
import { LivePoolStore } from "#resources/work-pools/live-store";
import { QUEUE_SLOT_TYPES, WorkPoolStore } from "#resources/work-pools/store";
import { api, unique } from "../support/world";

interface Queue {
  id: string;
  name: string;
  work_pool_id: string;
}

const send = api<never>;

let names = 0;

async function aQueue(fields: Record<string, unknown> = {}): Promise<Queue> {
  const made = await send("POST", "/work_queues/", { name: `queue-${++names}`, ...fields });
  expect(made.status).toBe(201);
  return made.body;
}

async function putRun(queueId: string, type: string, due: number | null): Promise<string> {
  const id = crypto.randomUUID();
  await env.DB.prepare(
    `insert into flow_run (workspace_id, id, created, updated, name, flow_id, work_queue_id, parameters, context, empirical_policy, tags,
       labels, auto_scheduled, state_type, state_name, state_ids, run_count, next_scheduled_start_time, total_run_time)
     values (?, ?, 1, 1, 'run', 'f', ?, '{}', '{}', '{}', '[]', '{}', 0, ?, ?, '[]', 0, ?, 0)`,
  )
    .bind(DEFAULT_WORKSPACE, id, queueId, type, due === null ? type : "Late", due)
    .run();
  return id;
}

test("several concurrent first queues create the pool of agents once, and all queues are created", async () => {
  const made = await Promise.all([aQueue(), aQueue(), aQueue()]);
  expect(new Set(made.map(({ work_pool_id }) => work_pool_id)).size).toBe(1);
});

test("a queue without a pool creates the pool of agents", async () => {
  const queue = await aQueue();
  expect(queue).toMatchObject({ work_pool_name: "default-agent-pool", status: "NOT_READY" });
  expect((await send("GET", "/work_pools/default-agent-pool")).body).toMatchObject({
    type: "prefect-agent",
    status: null,
  });
  expect((await aQueue()).work_pool_id).toBe(queue.work_pool_id);
  expect((await send("POST", "/work_queues/", { name: queue.name })).status).toBe(409);
});

test("the default queue of the pool of agents is the queue named default", async () => {
  await send("DELETE", "/work_pools/default-agent-pool");
  const made = await aQueue({ name: "default" });
  const pool = (await send("GET", "/work_pools/default-agent-pool")).body as { default_queue_id: string };
  expect(made.id).toBe(pool.default_queue_id);
});

describe("a poll of a queue by its id", () => {
  test("returns its runs by their time, as many as there are free slots", async () => {
    const queue = await aQueue({ concurrency_limit: 2 });
    const [second, first] = [await putRun(queue.id, "SCHEDULED", 2), await putRun(queue.id, "SCHEDULED", 1)];
    const poll = async () =>
      ((await send("POST", `/work_queues/${queue.id}/get_runs`, {})).body as { id: string }[]).map(({ id }) => id);
    expect(await poll()).toEqual([first, second]);
    await putRun(queue.id, "CANCELLING", null);
    await send("PATCH", `/work_queues/${queue.id}`, { description: "so that the queue is read again" });
    expect((await send("POST", `/work_queues/${queue.id}/concurrency_status`, {})).body).toMatchObject({
      active_slots: 1,
      count: 1,
    });
  });

  test("counts as a poll, unless it comes from the user interface", async () => {
    const queue = await aQueue();
    const status = async () =>
      (await send("GET", `/work_queues/${queue.id}`)).body as { status: string; last_polled: string | null };
    await send("POST", `/work_queues/${queue.id}/get_runs`, {}, { "x-prefect-ui": "yes" });
    expect(await status()).toMatchObject({ status: "NOT_READY", last_polled: null });
    await send("POST", `/work_queues/${queue.id}/get_runs`, {});
    expect(await status()).toMatchObject({ status: "READY", last_polled: expect.any(String) });
  });
});

test("a poll whose header is neither true nor false is refused", async () => {
  const queue = await aQueue();
  const answer = await send("POST", `/work_queues/${queue.id}/get_runs`, {}, { "x-prefect-ui": "maybe" });
  expect(answer).toMatchObject({
    status: 422,
    body: { exception_detail: [{ type: "bool_parsing", loc: ["header", "x-prefect-ui"], input: "maybe" }] },
  });
});

test("a queue is healthy if it was polled recently and has no late runs", async () => {
  const queue = await aQueue();
  const status = async () => (await send("GET", `/work_queues/${queue.id}/status`)).body;
  expect(await status()).toMatchObject({ healthy: false, late_runs_count: 0, last_polled: null });
  await send("POST", `/work_queues/${queue.id}/get_runs`, {});
  expect(await status()).toMatchObject({ healthy: true });
  await putRun(queue.id, "SCHEDULED", 1);
  expect(await status()).toMatchObject({ healthy: false, late_runs_count: 1 });
});

/** A database that records the plans of its statements. */
function planning(plans: string[]): D1Database {
  return new Proxy(env.DB, {
    get: (db, name) =>
      name === "prepare"
        ? (text: string) => ({
            bind: (...values: unknown[]) => {
              const all = async () => {
                const { results } = await db
                  .prepare(`explain query plan ${text}`)
                  .bind(...values)
                  .all<{ detail: string }>();
                plans.push(...results.map(({ detail }) => detail).filter((detail) => / r\b| flow_run\b/.test(detail)));
                return { results: [], meta: {} };
              };
              return { all };
            },
          })
        : Reflect.get(db, name),
  });
}

const QUEUE_SEEK =
  "SEARCH r USING INDEX flow_run_live (next_scheduled_start_time=? AND workspace_id=? AND work_queue_id=?)";

test("runs with slots are found by their queue in the index of live runs, and due runs by their time", async () => {
  const plans: string[] = [];
  const db = new Database(planning(plans), noCost());
  const store = new WorkPoolStore({ db, workspaceId: DEFAULT_WORKSPACE });
  await store.countSlotHolders(["q"], QUEUE_SLOT_TYPES);
  await store.readSlotHolders(["q"], QUEUE_SLOT_TYPES, 10);
  await store.listQueues(sql`1`, "name", QUEUE_SLOT_TYPES, 10, 0);
  await store.listPools(sql`1`, 10, 0);
  expect(plans).toEqual([QUEUE_SEEK, QUEUE_SEEK, QUEUE_SEEK, QUEUE_SEEK]);
  plans.length = 0;
  await new LivePoolStore({ db, workspaceId: DEFAULT_WORKSPACE }).readLiveRuns(["q"], 1);
  expect(plans).toEqual([
    QUEUE_SEEK,
    "SEARCH r USING INDEX flow_run_live (next_scheduled_start_time>? AND next_scheduled_start_time<?)",
  ]);
});

test.for([
  ["a pool", "/work_pools/{pool}/queues"],
  ["no pool", "/work_queues/"],
] as const)("a queue of %s that is created with the description null has an empty description", async ([, path]) => {
  const pool = unique("pool");
  await api("POST", "/work_pools/", { name: pool, type: "process" });
  // Prefect: its client sends null for a queue without a description.
  const body = { name: unique("queue"), description: null };
  const { status, body: queue } = await api("POST", path.replace("{pool}", pool), body);
  expect(status).toBe(201);
  expect(queue).toMatchObject({ description: "" });
});
