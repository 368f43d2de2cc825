/** Lists, counts and charts read as many rows beside many old runs as beside few (docs/performance.md, Flat lists). */
import { env } from "cloudflare:test";
import { beforeAll, expect, test } from "vitest";
import { Database } from "#db/database";
import { noCost } from "#lib/cost";
import { aFlow, api, unique } from "../support/world";
import { costOf, TELL_COST } from "../support/cost";
import type { Fixtures, Origin } from "./flat-lists/fixtures.ts";
import { type Question, questionsOf } from "./flat-lists/questions.ts";
import { countRuns, writeRuns } from "./flat-lists/write-runs.ts";

const FEW = 300;
const MANY = 3_000;
const RUNS_PER_WRITE = 100;

/** The questions whose answers or searches grow with all runs. docs/performance.md says why. */
const GROWING = new Set([
  "flow runs, a page: no filter, by name",
  "flow runs, a page: no filter, ended last",
  "flow runs, a page: no filter, next due",
  "flow runs, a page: of a flow with few runs",
  "flow runs, a page: with a rare tag",
  "flow runs, a page: name like, no match",
  "flow runs, a page with its count: of a deployment",
  "flow runs, a page with its count: of a flow",
  "flow runs, a count: of a deployment",
  "flow runs, a count: of a flow",
  "flow runs, a count: failed",
  "flow runs, a count: with a tag",
  "flow runs, a count: name like",
  "task runs: count, no filter",
  "events: no filter (180 days)",
  "artifacts: count, no filter",
]);
/** The most growth, and rows that do not count. A page that the few runs do not fill is not compared: its limit is smaller. */
const MOST = 1.5;
const SMALL = 60;
const LIMIT = 5;

let rows: Record<string, [few: number, many: number]>;

async function anOrigin(flowId: string, pool: string): Promise<Origin> {
  const body = { name: unique("deployment"), flow_id: flowId, work_pool_name: pool };
  const { body: made } = await api<{ id: string; work_queue_id: string }>("POST", "/deployments/", body);
  return { id: made.id, flowId, queueId: made.work_queue_id, queueName: "default", pool };
}

async function makeFixtures(): Promise<Fixtures> {
  const pool = unique("pool");
  await api("POST", "/work_pools/", { name: pool, type: "process" });
  const flowIds = [await aFlow(unique("flow")), await aFlow(unique("flow")), await aFlow(unique("flow"))];
  const origins = await Promise.all(flowIds.map((id) => anOrigin(id, pool)));
  return { flowIds, origins, rare: await anOrigin(await aFlow(unique("rare")), pool) };
}

/** A page of a few items, near the beginning, as each number of runs has it. */
function small([path, body]: Question): Question {
  const { limit, offset, ...rest } = (body ?? {}) as { limit?: number; offset?: number };
  if (limit === undefined) return [path, body];
  return [path, { ...rest, limit: Math.min(limit, LIMIT), ...(offset !== undefined && { offset: 10 * LIMIT }) }];
}

/** The rows that each question reads. */
async function readAll(questions: ReturnType<typeof questionsOf>): Promise<Record<string, number>> {
  const read: Record<string, number> = {};
  for (const [group, some] of Object.entries(questions)) {
    for (const [name, question] of Object.entries(some)) {
      const [path, body] = small(question);
      const [, get] = /^GET (.*)$/.exec(path) ?? [];
      const { status, headers } = await api(get === undefined ? "POST" : "GET", get ?? path, body, TELL_COST);
      expect([name, status]).toEqual([name, 200]);
      read[`${group}: ${name}`] = costOf(headers, "rows_read");
    }
  }
  return read;
}

beforeAll(async () => {
  const fixtures = await makeFixtures();
  const now = Date.now();
  const world = { fixtures, runs: MANY, newest: FEW, now: now * 1000 };
  const db = new Database(env.DB, noCost());
  const write = async (from: number, to: number) => {
    for (let next = to; next > from; next -= RUNS_PER_WRITE)
      await db.batch(
        writeRuns(
          db,
          world,
          Array.from({ length: RUNS_PER_WRITE }, (_, place) => next - 1 - place),
        ),
      );
    await db.run(countRuns(now * 1000));
  };
  await write(0, FEW);
  const wanted = { sort: "START_TIME_DESC", limit: 1, flow_runs: { state: { type: { any_: ["COMPLETED"] } } } };
  const [run] = (await api<{ id: string }[]>("POST", "/flow_runs/filter", wanted)).body;
  const ofRun = { flow_runs: { id: { any_: [run?.id] } } };
  const [task] = (await api<{ id: string }[]>("POST", "/task_runs/filter", ofRun)).body;
  const questions = questionsOf({ fixtures, now, runId: run?.id ?? "", taskRunId: task?.id ?? "" });
  const few = await readAll(questions);
  await write(FEW, MANY);
  const many = await readAll(questions);
  rows = Object.fromEntries(Object.entries(few).map(([name, count]) => [name, [count, many[name] ?? Infinity]]));
}, 240_000);

test("no list, count or chart reads more than 1.5 times the rows beside ten times the runs", () => {
  const grown = Object.entries(rows).filter(
    ([name, [few, many]]) => !GROWING.has(name) && many > few * MOST && many > SMALL,
  );
  expect(grown).toEqual([]);
});

test("the others are those that the documentation names", () => {
  const flat = [...GROWING].filter((name) => {
    const [few, many] = rows[name] ?? [0, 0];
    return many <= few * MOST;
  });
  expect(flat).toEqual([]);
});
