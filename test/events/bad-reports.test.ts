import { digitsOf } from "#db/short/uuid";
import { createExecutionContext, createMessageBatch, env, getQueueResult } from "cloudflare:test";
import type { SQL } from "drizzle-orm";
import { SQLiteSyncDialect } from "drizzle-orm/sqlite-core";
import { beforeEach, expect, test, vi } from "vitest";
import { consumeSegments, segmentMessages } from "#events/consumer";
import { recordSegments } from "#events/record-segments";
import type { Event } from "#events/event";
import { DEFAULT_WORKSPACE } from "#env";
import { parseJson } from "#lib/json";
import { makeTools } from "#tools";
import worker from "#worker";
import { aroundCalls } from "../support/around-calls.ts";
import { api } from "../support/world.ts";
import { aSegment, deliver, taskRunsOf } from "./recording.ts";
import { taskRunReports } from "./world.ts";

const START = Date.UTC(2026, 0, 1) * 1000;
const LIFE = [
  { type: "PENDING", at: START },
  { type: "RUNNING", at: START + 10 },
  { type: "COMPLETED", at: START + 20 },
];

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});

/** The fields of a payload about the task run and its state. */
interface Told {
  task_run?: Record<string, unknown>;
  validated_state?: Record<string, unknown>;
}

/** The report with other fields in its payload. */
function telling(report: Event | undefined, { task_run, validated_state }: Told): Event {
  const { payload, ...rest } = report as Event;
  return {
    ...rest,
    payload: {
      ...payload,
      task_run: { ...(payload["task_run"] as object), ...task_run },
      validated_state: { ...(payload["validated_state"] as object), ...validated_state },
    },
  };
}

const nested = (depth: number): unknown => JSON.parse("[".repeat(depth) + "]".repeat(depth));

async function lettersOf(eventIds: readonly string[]) {
  const { results } = await env.DB.prepare(
    "select key, reason, message from dead_letter where queue = 'task-runs' and key in (select value from json_each(?))",
  )
    .bind(JSON.stringify(eventIds))
    .all<{ key: string; reason: string; message: string }>();
  return results;
}

async function consumed(id: string | undefined) {
  return (await env.DB.prepare("select consumed from event_segment where id = ?").bind(id).first())?.["consumed"];
}

/** The texts that are bound to statements. */
const textsOf = (statements: readonly SQL[]): string[] =>
  statements.flatMap((statement) => new SQLiteSyncDialect().sqlToQuery(statement).params.map(String));

/** Six valid task runs of a flow run. */
const healthy = (flowRunId: string) => Array.from({ length: 6 }, () => taskRunReports(LIFE, { flowRunId }));

test("two reports that nest too deep for SQLite become dead letters, and the six valid reports of the segment are recorded", async () => {
  const flowRunId = crypto.randomUUID();
  const deep = taskRunReports(LIFE.slice(0, 2)).map((report) =>
    telling(report, { validated_state: { data: nested(1_100) } }),
  );
  const lives = healthy(flowRunId);
  await deliver(await aSegment(deep.slice(0, 1)));
  const keys = await aSegment([...lives.slice(0, 3).flat(), ...deep.slice(1), ...lives.slice(3).flat()]);
  const result = await deliver(keys);
  expect(result.explicitAcks).toHaveLength(1);
  expect((await taskRunsOf(flowRunId)).map(({ state_name, states }) => [state_name, states.length])).toEqual(
    lives.map(() => ["Completed", 3]),
  );
  const letters = await lettersOf(deep.map(({ id }) => id));
  expect(letters).toHaveLength(2);
  for (const { reason } of letters) expect(reason).toMatch(/900 levels/);
  expect(await consumed(keys[0]?.id)).toBe(1);
});

test("a statement that fails because of one report is repeated without the report, and the report becomes a dead letter", async () => {
  const flowRunId = crypto.randomUUID();
  const lives = healthy(flowRunId);
  const bad = lives[2]?.[1];
  const keys = await aSegment(lives.flat());
  const { db, ...tools } = makeTools(env, DEFAULT_WORKSPACE, () => {});
  const failing = aroundCalls(db, async (name, call, args) => {
    const tellsOfIt =
      name === "batch" &&
      textsOf(args[0] as SQL[]).some((text) => text.includes(bad?.id ?? "") || text.includes(digitsOf(bad?.id ?? "")));
    if (tellsOfIt) throw new Error("D1_ERROR: no");
    return call();
  });
  await recordSegments({ ...tools, db: failing }, keys);
  expect((await taskRunsOf(flowRunId)).filter(({ states }) => states.length === 3)).toHaveLength(5);
  expect(await taskRunsOf(flowRunId)).toHaveLength(6);
  expect(await lettersOf([bad?.id ?? ""])).toEqual([
    { key: bad?.id, reason: "D1_ERROR: no", message: expect.stringContaining(`"id":"${bad?.id}"`) },
  ]);
  expect(await consumed(keys[0]?.id)).toBe(1);
});

test("if the database is unreachable, the segment stays unchanged for the next try", async () => {
  const flowRunId = crypto.randomUUID();
  const keys = await aSegment(healthy(flowRunId).flat());
  const { db, ...tools } = makeTools(env, DEFAULT_WORKSPACE, () => {});
  const lost = aroundCalls(db, async (name, call) => {
    if (name === "batch") throw new Error("D1_ERROR: Network connection lost.");
    return call();
  });
  await expect(recordSegments({ ...tools, db: lost }, keys)).rejects.toThrow("Network connection lost");
  expect(await consumed(keys[0]?.id)).toBe(0);
  await deliver(keys);
  expect(await taskRunsOf(flowRunId)).toHaveLength(6);
});

test("if an outage of the database outlasts the deliveries of a message, the sweep handles the message", async () => {
  const keys = await aSegment(healthy(crypto.randomUUID()).flat());
  const messages = [1, 5].map((attempts) => ({
    id: String(attempts),
    timestamp: new Date(0),
    attempts,
    body: segmentMessages(DEFAULT_WORKSPACE, keys)[0],
  }));
  const batch = createMessageBatch("sluice-events", messages);
  const context = createExecutionContext();
  await consumeSegments(batch, () => {
    const { db, ...tools } = makeTools(env, DEFAULT_WORKSPACE, () => {});
    const lost = aroundCalls(db, () => Promise.reject(new Error("D1_ERROR: D1 DB is overloaded.")));
    return { ...tools, db: lost };
  });
  const result = await getQueueResult(batch, context);
  expect([result.explicitAcks, result.retryMessages.map(({ msgId }) => msgId)]).toEqual([["5"], ["1"]]);
  expect(await consumed(keys[0]?.id)).toBe(0);
});

test("a segment that cannot be read becomes a dead letter, and the other segments are recorded", async () => {
  const flowRunId = crypto.randomUUID();
  const [broken, ...rest] = [await aSegment(taskRunReports(LIFE)), await aSegment(taskRunReports(LIFE, { flowRunId }))];
  await env.DB.prepare("update event_segment set events = substr(events, 1, octet_length(events) - 10) where id = ?")
    .bind(broken[0]?.id)
    .run();
  await deliver([...broken, ...rest.flat()]);
  expect(await taskRunsOf(flowRunId)).toHaveLength(1);
  const [letter] = await lettersOf([broken[0]?.id ?? ""]);
  expect(letter?.reason).toMatch(/unexpected end of file/);
  expect(JSON.parse(letter?.message ?? "")).toMatchObject({ segment: { id: broken[0]?.id } });
  expect(await consumed(broken[0]?.id)).toBe(2);
});

test("the letter of a segment that is not in the database any more is kept", async () => {
  const [key] = await aSegment(taskRunReports(LIFE));
  const id = key?.id ?? "";
  await env.DB.prepare("update event_segment set events = '[' where id = ?").bind(id).run();
  await deliver(key ? [key] : []);
  const letter = await env.DB.prepare("select id from dead_letter where key = ?").bind(id).first<string>("id");
  await env.DB.prepare("delete from event_segment where id = ?").bind(id).run();
  expect((await api("POST", `/admin/dead-letters/${letter}/replay`)).status).toBeLessThan(500);
  expect(await lettersOf([id])).toMatchObject([{ reason: "the segment is not in the database any more" }]);
});

test("a queue message of an unknown type is delivered again, and the other messages are consumed", async () => {
  const flowRunId = crypto.randomUUID();
  const [body] = segmentMessages(DEFAULT_WORKSPACE, await aSegment(taskRunReports(LIFE, { flowRunId })));
  const strange = [null, "text", { v: 2 }, { v: 1, workspace: DEFAULT_WORKSPACE, segments: [{ id: 1, hour: "x" }] }];
  const messages = [...strange, body].map((each, index) => ({
    id: String(index),
    timestamp: new Date(0),
    attempts: 1,
    body: each,
  }));
  const batch = createMessageBatch("sluice-events", messages);
  const context = createExecutionContext();
  await worker.queue(batch, env, context);
  const result = await getQueueResult(batch, context);
  expect(result.explicitAcks).toEqual([String(strange.length)]);
  expect(result.retryMessages.map(({ msgId }) => msgId)).toEqual(strange.map((_, index) => String(index)));
  expect(await taskRunsOf(flowRunId)).toHaveLength(1);
});

const REFUSED: { title: string; told: Told; reason: RegExp }[] = [
  { title: "a time after year 9999", told: { task_run: { cache_expiration: 1e18 } }, reason: /cache_expiration/ },
  {
    title: "a time before year 1",
    told: { task_run: { expected_start_time: -1e18 } },
    reason: /expected_start_time/,
  },
  {
    title: "a time in the state's details",
    told: { validated_state: { state_details: { scheduled_time: 1e18 } } },
    reason: /scheduled_time/,
  },
  { title: "a count beyond 2^53", told: { task_run: { run_count: 2 ** 60 } }, reason: /run_count/ },
  { title: "a duration beyond all numbers", told: { task_run: { total_run_time: 1e308 } }, reason: /total_run_time/ },
  { title: "a name that is no text", told: { task_run: { name: 5 } }, reason: /name/ },
  { title: "ten thousand tags", told: { task_run: { tags: Array(10_000).fill("tag") } }, reason: /tags/ },
  { title: "a key that no index holds", told: { task_run: { dynamic_key: "k".repeat(2_001) } }, reason: /dynamic_key/ },
  { title: "inputs of another kind", told: { task_run: { task_inputs: { x: ["text"] } } }, reason: /task_inputs/ },
  { title: "a policy of another kind", told: { task_run: { empirical_policy: { retries: {} } } }, reason: /retries/ },
  { title: "tags that are no list", told: { task_run: { tags: {} } }, reason: /tags/ },
  { title: "no keys", told: { task_run: { task_key: null } }, reason: /task_key/ },
  { title: "a type that no state has", told: { validated_state: { type: "DONE" } }, reason: /type/ },
];

test.for(REFUSED)(
  "a report with $title becomes a dead letter, and the reason names the field",
  async ({ told, reason }) => {
    const flowRunId = crypto.randomUUID();
    const [first, second] = taskRunReports(LIFE.slice(0, 2), { flowRunId });
    const bad = telling(second, told);
    await deliver(await aSegment([first as Event, bad]));
    expect((await taskRunsOf(flowRunId)).map(({ states }) => states.length)).toEqual([1]);
    const letters = await lettersOf([bad.id]);
    expect(letters).toHaveLength(1);
    expect(letters[0]?.reason).toMatch(reason);
    expect(JSON.parse(letters[0]?.message ?? "")).toMatchObject({ id: bad.id, payload: bad.payload });
  },
);

const big = 'ü"\\\n'.repeat(150_000);

const TAKEN: { title: string; told: Told }[] = [
  { title: "a negative count", told: { task_run: { run_count: -1, flow_run_run_count: -(2 ** 40) } } },
  {
    title: "task inputs of a megabyte",
    told: { task_run: { task_inputs: { x: [{ input_type: "constant", type: big }] } } },
  },
  { title: "half a surrogate", told: { task_run: { name: "\ud800", dynamic_key: "\udc00" } } },
  { title: "a NUL", told: { task_run: { name: "a\0b", task_key: "\0" }, validated_state: { message: "\0" } } },
  { title: "data that nests as deep as events may", told: { validated_state: { data: nested(890) } } },
  { title: "no payload of the kind `__proto__`", told: { validated_state: { data: JSON.parse('{"__proto__":1}') } } },
];

test.for(TAKEN)(
  "a report with $title is recorded together with the other reports, and can be read",
  async ({ told }) => {
    const flowRunId = crypto.randomUUID();
    const id = crypto.randomUUID();
    const reports = taskRunReports(LIFE, { id, flowRunId });
    const others = taskRunReports(LIFE, { flowRunId });
    await deliver(await aSegment([...others, ...reports.map((report) => telling(report, told))]));
    expect((await taskRunsOf(flowRunId)).map(({ states }) => states.length)).toEqual([3, 3]);
    const listed = await api<{ id: string }[]>("POST", "/task_runs/filter", {
      flow_runs: { id: { any_: [flowRunId] } },
    });
    expect(listed.status).toBe(200);
    expect(listed.body.map((run) => run.id).toSorted()).toContain(id);
    expect((await api("GET", `/task_runs/${id}`)).status).toBe(200);
  },
);

test("reports with non-ASCII letters are split into statements by their size in bytes", async () => {
  const flowRunId = crypto.randomUUID();
  const message = "木".repeat(200_000);
  const lives = Array.from({ length: 6 }, () =>
    taskRunReports(LIFE.slice(2), { flowRunId }).map((report) => telling(report, { validated_state: { message } })),
  );
  const keys = (await Promise.all(lives.map((life) => aSegment(life)))).flat();
  const { db, ...tools } = makeTools(env, DEFAULT_WORKSPACE, () => {});
  const bound: number[] = [];
  const watched = aroundCalls(db, async (name, call, args) => {
    if (name === "batch") bound.push(...textsOf(args[0] as SQL[]).map((text) => new TextEncoder().encode(text).length));
    return call();
  });
  await recordSegments({ ...tools, db: watched }, keys);
  expect(Math.max(...bound)).toBeLessThan(2_000_000);
  expect((await taskRunsOf(flowRunId)).map(({ states }) => states[0]?.message?.length)).toEqual(
    lives.map(() => 200_000),
  );
});

test("numbers and letters that JavaScript or SQL could change are recorded unchanged", async () => {
  const flowRunId = crypto.randomUUID();
  const data = '{"whole":1.0,"large":1152921504606846977,"tiny":1E-400,"nul":"a\\u0000b","half":"\\ud800"}';
  const [report] = taskRunReports(LIFE.slice(2), { flowRunId });
  const inputs = { x: [{ input_type: "constant", type: "\0" }] };
  const told = telling(report, {
    validated_state: { data: parseJson(data) },
    task_run: { name: "a\0b", task_inputs: inputs },
  });
  // The second report is merged with the existing row.
  await deliver(await aSegment([told]));
  await deliver(await aSegment([{ ...told, id: crypto.randomUUID() }]));
  const row = await env.DB.prepare("select name, states, task_inputs from task_run where flow_run_id = unhex(?, '-')")
    .bind(flowRunId)
    .first<{ name: string; states: string; task_inputs: string }>();
  expect(row?.states.split(`,${data}`)).toHaveLength(3);
  expect([row?.name, JSON.parse(row?.task_inputs ?? "")]).toEqual(["a\0b", inputs]);
});

test("a task run with too many states for its row keeps the newest states complete and the oldest without their content", async () => {
  const flowRunId = crypto.randomUUID();
  const id = crypto.randomUUID();
  const life = Array.from({ length: 30 }, (_, index) => ({
    type: index % 2 ? "RUNNING" : "SCHEDULED",
    at: START + index,
  }));
  const data = { text: "x".repeat(100_000) };
  const reports = taskRunReports(life, { id, flowRunId }).map((report) =>
    telling(report, { validated_state: { data } }),
  );
  for (let first = 0; first < reports.length; first += 6)
    await deliver(await aSegment(reports.slice(first, first + 6)));
  const [row] = await taskRunsOf(flowRunId);
  expect(row?.states).toHaveLength(30);
  expect(row?.states.at(-1)).toMatchObject({ id: reports.at(-1)?.id, data });
  expect(row?.states[0]).toMatchObject({ id: reports[0]?.id, type: "SCHEDULED", data: null, message: /left out/ });
  expect(JSON.stringify(row?.states).length).toBeLessThan(500_000);
});

test("a task run keeps its newest thousand states, however the reports are split", async () => {
  const flowRunId = crypto.randomUUID();
  const life = Array.from({ length: 2_500 }, (_, index) => ({
    type: index % 2 ? "RUNNING" : "SCHEDULED",
    at: START + index,
  }));
  const reports = taskRunReports(life, { flowRunId });
  await deliver((await Promise.all([reports.slice(1_200), reports.slice(0, 1_200)].map(aSegment))).flat());
  const [row] = await taskRunsOf(flowRunId);
  expect(row?.states.map(({ id }) => id)).toEqual(reports.slice(-1_000).map(({ id }) => id));
});
