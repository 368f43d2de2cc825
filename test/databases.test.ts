/** Workspaces with a database of their own. The tests have two databases, `DB` and `DB_OTHER`. */
import {
  applyD1Migrations,
  createExecutionContext,
  createMessageBatch,
  createScheduledController,
  env,
  getQueueResult,
  runInDurableObject,
  waitOnExecutionContext,
} from "cloudflare:test";
import { sql } from "drizzle-orm";
import { beforeAll, beforeEach, expect, test, vi } from "vitest";
import { databasesInUse } from "#databases";
import { Database } from "#db/database";
import type { Env } from "#env";
import { segmentMessages } from "#events/consumer";
import { writeEvents } from "#events/emit";
import { keyOf, writeSegments } from "#events/segments";
import { noCost } from "#lib/cost";
import { objectName } from "#objects/client";
import type { EventStream } from "#objects/event-stream/object";
import { removeLeftoverObjects } from "#services/retention-archive";
import { makeSweepTools, makeTools, type SweepTools } from "#tools";
import worker from "#worker";
import { anArchive } from "./archive/world";
import { anEvent } from "./events/world";
import { archiveTools, DAY, moveAll, objectsOf, segmentsOf, settleOutbox, write } from "./events/archive-world";
import { askApp } from "./support/app";
import { unique, WORKSPACE } from "./support/world";

const OTHER = "00000000-0000-4000-8000-0000000000db";

/** The environment with the databases of workspaces. */
const envWith = (databases: Record<string, string | { from: string; to: string }>): Env => ({
  ...env,
  SLUICE_DATABASES: JSON.stringify(databases),
});

beforeAll(() => applyD1Migrations(env.DB_OTHER, env.TEST_MIGRATIONS));

beforeEach(async () => {
  for (const d1 of [env.DB, env.DB_OTHER])
    await d1.batch(
      ["task_run_state_cache", "event_segment", "event_resource", "event_archive", "dead_letter", "sweep_mark"].map(
        (table) => d1.prepare(`delete from ${table}`),
      ),
    );
});

const countIn = async (d1: D1Database, table: string, workspace: string) =>
  Number(await d1.prepare(`select count(*) as n from ${table} where workspace_id = ?`).bind(workspace).first("n"));

/** How many rows of a workspace `DB` and `DB_OTHER` have. */
const counts = async (table: string, workspace: string) => [
  await countIn(env.DB, table, workspace),
  await countIn(env.DB_OTHER, table, workspace),
];

async function runCron(bindings: Env): Promise<void> {
  const context = createExecutionContext();
  const controller = createScheduledController({ cron: "* * * * *", scheduledTime: new Date() });
  await worker.scheduled(controller, bindings, context);
  await waitOnExecutionContext(context);
}

test("requests read and write the database of their workspace", async () => {
  const name = unique("flow");
  const settings = envWith({ [WORKSPACE]: "DB_OTHER" });
  const send = async (method: string, path: string, body?: unknown) => {
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    const headers = { "content-type": "application/json" };
    return askApp(new Request(`http://sluice/api${path}`, { method, headers, ...text }), settings);
  };
  const { id } = await (await send("POST", "/flows/", { name })).json<{ id: string }>();
  const named = "select id from flow where name = ?";
  expect(await env.DB.prepare(named).bind(name).first("id")).toBeNull();
  expect(await env.DB_OTHER.prepare(named).bind(name).first("id")).toBe(id);
  expect((await send("GET", `/flows/${id}`)).status).toBe(200);
  expect((await askApp(new Request(`http://sluice/api/flows/${id}`))).status).toBe(404);
  const size = await (await send("GET", "/admin/database")).json<{ size_bytes: number }>();
  expect(size.size_bytes).toBe((await env.DB_OTHER.prepare("select 1").all()).meta.size_after);
  await env.DB_OTHER.prepare("delete from flow").run();
});

test("the event stream writes to the database of its workspace", async () => {
  const stream = env.EVENT_STREAM.get(env.EVENT_STREAM.idFromName(objectName(OTHER)));
  await runInDurableObject(stream, (object: EventStream) => {
    Object.assign(object, { bindings: envWith({ [OTHER]: "DB_OTHER" }) });
  });
  await writeEvents(
    makeTools(env, OTHER, () => {}),
    [anEvent({})],
  );
  expect(await counts("event_segment", OTHER)).toEqual([0, 1]);
});

test("the queue's messages are handled in the database of their workspace", async () => {
  const segments = segmentsOf([{ age: 0 }], 0);
  await writeSegments(new Database(env.DB_OTHER, noCost()), OTHER, segments, () => true);
  const [body] = segmentMessages(OTHER, segments.map(keyOf));
  const consumed = () => env.DB_OTHER.prepare("select consumed from event_segment").first("consumed");
  expect(await consumed()).toBe(0);
  const deliver = async (queue: string, bindings: Env, attempts = 1) => {
    const context = createExecutionContext();
    const batch = createMessageBatch(queue, [{ id: "message", timestamp: new Date(), attempts, body }]);
    await worker.queue(batch, bindings, context);
    return getQueueResult(batch, context);
  };
  const moving = envWith({ [OTHER]: { from: "DB", to: "DB_OTHER" } });
  expect(await deliver("sluice-events", moving)).toMatchObject({ explicitAcks: [], retryMessages: [{}] });
  // After the last delivery, the sweep of waiting segments queues them again.
  expect(await deliver("sluice-events", moving, 5)).toMatchObject({ explicitAcks: ["message"] });
  expect(await consumed()).toBe(0);
  const own = envWith({ [OTHER]: "DB_OTHER" });
  expect(await deliver("sluice-events", own)).toMatchObject({ explicitAcks: ["message"] });
  expect(await consumed()).toBe(1);
  expect(await deliver("sluice-events-dead", own)).toMatchObject({ explicitAcks: ["message"] });
  expect(await counts("dead_letter", OTHER)).toEqual([0, 1]);
});

/** Writes a cached result that has expired, which a job removes. */
const anExpiredCache = (d1: D1Database, workspace: string) =>
  d1
    .prepare("insert into task_run_state_cache values (?, 'key', ?, 1, 1, '{}')")
    .bind(workspace, crypto.randomUUID())
    .run();

test("a turn of the clock runs its jobs in every database that is in use", async () => {
  await anExpiredCache(env.DB, WORKSPACE);
  await anExpiredCache(env.DB_OTHER, OTHER);
  await runCron(env);
  expect(await countIn(env.DB, "task_run_state_cache", WORKSPACE)).toBe(0);
  expect(await counts("task_run_state_cache", OTHER)).toEqual([0, 1]);
  await runCron(envWith({ [OTHER]: "DB_OTHER" }));
  expect(await counts("task_run_state_cache", OTHER)).toEqual([0, 0]);
});

test("two workspaces with one database do not make its jobs run twice", () => {
  const settings = envWith({
    [OTHER]: "DB_OTHER",
    "00000000-0000-4000-8000-0000000000dc": "DB_OTHER",
    [WORKSPACE]: "DB",
  });
  expect(databasesInUse(settings).map(({ name }) => name)).toEqual(["DB", "DB_OTHER"]);
});

test("no job runs in a database with rows of a workspace that belongs to another database", async () => {
  const complaints = vi.spyOn(console, "error").mockReturnValue(undefined);
  await writeSegments(new Database(env.DB_OTHER, noCost()), WORKSPACE, segmentsOf([{ age: 0 }], 0), () => false);
  await anExpiredCache(env.DB, WORKSPACE);
  await anExpiredCache(env.DB_OTHER, OTHER);
  await runCron(envWith({ [OTHER]: "DB_OTHER" }));
  expect(await countIn(env.DB, "task_run_state_cache", WORKSPACE)).toBe(0);
  expect(await countIn(env.DB_OTHER, "task_run_state_cache", OTHER)).toBe(1);
  const told = complaints.mock.calls.map(([line]) => JSON.parse(String(line)) as Record<string, unknown>);
  expect(told.filter(({ database }) => database === "DB_OTHER")).toMatchObject([{ workspaces: [WORKSPACE] }]);
});

test("while a workspace is moved, its requests get 503, and no job runs", async () => {
  const moving = envWith({ [WORKSPACE]: { from: "DB", to: "DB_OTHER" } });
  const answer = await askApp(new Request("http://sluice/api/admin/database"), moving);
  expect([answer.status, answer.headers.get("retry-after"), await answer.json()]).toEqual([
    503,
    "60",
    { exception_message: "The workspace is being moved to another database." },
  ]);
  await anExpiredCache(env.DB, WORKSPACE);
  await anExpiredCache(env.DB, OTHER);
  await runCron(moving);
  expect(await countIn(env.DB, "task_run_state_cache", WORKSPACE)).toBe(1);
  expect(await countIn(env.DB, "task_run_state_cache", OTHER)).toBe(1);
});

test("an object is left over only if the database of its workspace has no row for it", async () => {
  const workspace = crypto.randomUUID();
  await settleOutbox();
  await write(workspace, [{ age: 2 * DAY }], { ago: 2 * DAY });
  await moveAll(archiveTools(workspace));
  const rows = await env.DB.prepare("select * from event_archive").raw();
  expect(await objectsOf(workspace)).toHaveLength(1);
  const insert = `insert into event_archive values (${Array.from(rows[0] ?? [], () => "?").join(", ")})`;
  await env.DB_OTHER.batch(rows.map((row) => env.DB_OTHER.prepare(insert).bind(...row)));
  await env.DB.prepare("delete from event_archive").run();
  const later = (Date.now() + 2 * 86_400_000) * 1000;
  const sweepAll = async () => {
    for (const tools of makeSweepTools(envWith({ [workspace]: "DB_OTHER" }), () => {})) await searchAll(tools, later);
  };
  await sweepAll();
  expect(await objectsOf(workspace)).toHaveLength(1);
  await env.DB_OTHER.prepare("delete from event_archive").run();
  await sweepAll();
  expect(await objectsOf(workspace)).toEqual([]);
});

/** Searches the whole bucket. */
async function searchAll(tools: SweepTools, now: number): Promise<void> {
  await tools.db.run(sql`delete from sweep_mark where name like 'leftover objects%'`);
  for (let turns = 0; turns < 60; turns++)
    await removeLeftoverObjects({ ...tools, clock: () => now, archive: anArchive() });
}
