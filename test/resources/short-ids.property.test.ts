/** Rows of task runs with short ids beside older rows with ids as text: all answers are the same, whichever rows are old. */
import * as fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { sql } from "drizzle-orm";
import { areTaskRuns } from "#db/task-run-keys";
import { DEFAULT_WORKSPACE } from "#env";
import { moveTaskRuns } from "#orchestration/move-task-runs";
import { readScheduled } from "#resources/task-runs/queued-runs";
import { selectWithChildren } from "#services/sweep-store";
import { shortenRows } from "#services/shorten-rows";
import { aSegment, deliver } from "../events/recording";
import { taskRunReports } from "../events/world";
import { NOW, toolsAt } from "../services/retention-world";
import { makeTextIds, taskRow } from "../support/task-rows";
import { aFlowRun, api, unique } from "../support/world";

const START = Date.now() * 1000 - 3_600_000_000;
const LIFE = ["PENDING", "RUNNING", "COMPLETED"].map((type, index) => ({ type, at: START + 10 * index }));

let runs: [string, string];
let subflow: string;
/** The ids of all task runs: of both flow runs, and of no flow run. */
let tasks: string[];

beforeAll(async () => {
  const [first, second] = [
    await aFlowRun({ state: { type: "RUNNING" } }),
    await aFlowRun({ state: { type: "RUNNING" } }),
  ];
  runs = [first.id, second.id];
  const reported = Array.from({ length: 6 }, (_, index) => ({
    id: crypto.randomUUID(),
    flowRunId: runs[index % 2] ?? null,
    ...(index > 3 && { dynamicKey: String(index) }),
  }));
  for (const [index, run] of reported.entries())
    await deliver(await aSegment(taskRunReports(LIFE.slice(0, 1 + (index % 3)), run)));
  const made = [];
  for (const body of [
    { flow_run_id: first.id, task_key: "parent", dynamic_key: "0", state: { type: "RUNNING" } },
    { flow_run_id: second.id, task_key: "made", dynamic_key: crypto.randomUUID(), tags: ["a"] },
    { task_key: unique("lone"), dynamic_key: "0" },
    ...[1, 2, 3].map((dynamic_key) => ({
      task_key: unique("queued"),
      dynamic_key: String(dynamic_key),
      state: { type: "SCHEDULED", state_details: { deferred: true } },
    })),
  ])
    made.push((await api<{ id: string }>("POST", "/task_runs/", body)).body.id);
  subflow = (await aFlowRun({ parent_task_run_id: made[0], state: { type: "RUNNING" } })).id;
  tasks = [...reported.map(({ id }) => id), ...made];
});

const SORTS = ["ID_DESC", "EXPECTED_START_TIME_ASC", "NAME_DESC", "END_TIME_DESC"];

/** What the API answers about the task runs. */
async function answers(): Promise<string[]> {
  const [first, second] = runs;
  const ofBoth = { flow_runs: { id: { any_: runs } } };
  const filters = [
    {},
    ofBoth,
    { task_runs: { id: { any_: tasks.slice(2, 9) } } },
    { task_runs: { id: { any_: tasks.slice(2, 3) } } },
    { task_runs: { operator: "or_", id: { any_: tasks.slice(0, 2) }, flow_run_id: { any_: [second] } } },
    { task_runs: { flow_run_id: { any_: [first] } } },
    { task_runs: { flow_run_id: { is_null_: true } } },
    { task_runs: { subflow_runs: { exists_: true } } },
    { task_runs: { state: { type: { any_: ["COMPLETED"] } } } },
    { flow_runs: { name: { like_: "a" } }, task_runs: { tags: { all_: ["t"] } } },
  ];
  const pages: [string, string, unknown][] = filters.flatMap((filter) =>
    SORTS.flatMap((sort) =>
      [0, 3].map((offset): [string, string, unknown] => [
        "POST",
        "/task_runs/filter",
        { ...filter, sort, offset, limit: 4 },
      ]),
    ),
  );
  const window = {
    history_start: at(START - 60e6),
    history_end: at(START + 7_200_000_000),
    history_interval_seconds: 600,
  };
  const requests: (readonly [method: string, path: string, body?: unknown])[] = [
    ...pages,
    ...filters.map((filter): [string, string, unknown] => ["POST", "/task_runs/count", filter]),
    ...filters.map((filter): [string, string, unknown] => [
      "POST",
      "/task_runs/paginate",
      { ...filter, limit: 3, page: 2 },
    ]),
    ...filters.map((filter): [string, string, unknown] => ["POST", "/task_runs/history", { ...filter, ...window }]),
    ...filters.map((filter): [string, string, unknown] => [
      "POST",
      "/flow_runs/filter",
      { ...filter, sort: "ID_DESC" },
    ]),
    ["POST", "/flow_runs/filter", { flow_runs: { parent_flow_run_id: { any_: [first] } } }],
    ["POST", "/flow_runs/filter", { flow_runs: { parent_task_run_id: { any_: tasks } } }],
    ["POST", "/flows/filter", { task_runs: { id: { any_: tasks } }, sort: "NAME_ASC" }],
    ["POST", "/logs/filter", { logs: { task_run_id: { any_: tasks } } }],
    ["POST", "/events/filter", { filter: { any_resource: { id: tasks.map((id) => `prefect.task-run.${id}`) } } }],
    ...tasks.flatMap((id): [string, string][] => [
      ["GET", `/task_runs/${id}`],
      ["GET", `/task_run_states/?task_run_id=${id}`],
    ]),
    ["GET", `/task_run_states/${(await taskRow(tasks[2] ?? "")).state_id}`],
    ...[first, second, subflow].flatMap((id): [string, string][] => [
      ["GET", `/flow_runs/${id}/graph`],
      ["GET", `/flow_runs/${id}/graph-v2`],
      ["GET", `/flow_runs/${id}/why`],
    ]),
  ];
  const shown: string[] = [];
  for (const [method, path, body] of requests) {
    const answer = await api(method, path, body);
    // These times grow.
    const text = JSON.stringify(answer).replaceAll(/"(?:sum_)?estimated_\w+":[\d.]+/g, "");
    shown.push(`${method} ${path} ${JSON.stringify(body)}: ${text}`);
  }
  const tools = toolsAt(NOW);
  shown.push(JSON.stringify(await tools.db.rows(selectWithChildren((id) => sql`${id} >= ''`))));
  for (let after = { at: 0, id: "" }, next = null as typeof after | null; ; after = next) {
    const page = await readScheduled(tools, after, 2);
    shown.push(JSON.stringify(page));
    next = page.next;
    if (!next) return shown;
  }
}

const at = (micros: number) => new Date(micros / 1000).toISOString();

/** Makes some rows old, and has the others short. */
async function makeOld(ids: readonly string[]): Promise<void> {
  await sweepToEnd();
  await makeTextIds(areTaskRuns(DEFAULT_WORKSPACE, ids));
}

async function sweepToEnd(): Promise<void> {
  const { db } = toolsAt(NOW);
  await db.run(sql`delete from sweep_mark where name like 'shorten rows%'`);
  for (let turns = 0; turns < 3; turns++) await shortenRows(toolsAt(NOW));
  expect(await db.rows(sql`select 1 from task_run where typeof(workspace_id) = 'text' or typeof(id) = 'text'`)).toEqual(
    [],
  );
}

const someTasks = fc.subarray(Array.from({ length: 12 }, (_, index) => index));
const idsOf = (indices: readonly number[]) => indices.flatMap((index) => tasks[index] ?? []);

test("all answers are the same for any mixture of old and new rows", { timeout: 120_000 }, async () => {
  const expected = await answers();
  expect(expected.filter((text) => !/"status":200|^\[|^\{/.test(text))).toEqual([]);
  await fc.assert(
    fc.asyncProperty(someTasks, async (indices) => {
      await makeOld(idsOf(indices));
      for (const [index, answer] of (await answers()).entries()) expect(answer).toBe(expected[index]);
    }),
    { numRuns: 8 },
  );
});

/** The rows of these flow runs, without their ids and times. */
async function rowsOf(flowRunId: string) {
  const filter = { task_runs: { flow_run_id: { any_: [flowRunId] } }, sort: "NAME_ASC" };
  const { body } = await api<Record<string, unknown>[]>("POST", "/task_runs/filter", filter);
  return body
    .map(({ name, task_key, dynamic_key, state_type, run_count }) => ({
      name,
      task_key,
      dynamic_key,
      state_type,
      run_count,
    }))
    .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

test("changes have the same effect on old and new rows, and make no second row", { timeout: 120_000 }, async () => {
  const change = async (oldOnes: readonly number[], isRepeated: boolean) => {
    const { id: flowRunId } = await aFlowRun({ state: { type: "RUNNING" } });
    const keys = ["0", "1", "2", "3", "4", "5"];
    const ids = keys.map(() => crypto.randomUUID());
    const report = (index: number, states: typeof LIFE, id = ids[index]) =>
      taskRunReports(states, { ...(id && { id }), flowRunId, dynamicKey: keys[index] ?? "" });
    await deliver(await aSegment(keys.flatMap((_, index) => report(index, LIFE.slice(0, 1)))));
    const makeSomeOld = () =>
      makeTextIds(
        areTaskRuns(
          DEFAULT_WORKSPACE,
          oldOnes.flatMap((index) => ids[index % 6] ?? []),
        ),
      );
    await makeSomeOld();
    await api("POST", `/task_runs/${ids[0]}/set_state`, { state: { type: "FAILED" }, force: true });
    if (isRepeated) await makeSomeOld();
    await api("PATCH", `/task_runs/${ids[1]}`, { name: "renamed" });
    // A report under the same keys, with another id.
    await deliver(await aSegment([...report(2, LIFE.slice(1)), ...report(3, LIFE.slice(1), crypto.randomUUID())]));
    if (isRepeated) await makeSomeOld();
    await deliver(await aSegment([...report(3, LIFE), ...report(0, LIFE)]));
    const again = { flow_run_id: flowRunId, task_key: "add-1", dynamic_key: "4" };
    const created = await api<{ id: string }>("POST", "/task_runs/", again);
    expect([created.status, created.body.id]).toEqual([200, ids[4]]);
    await api("DELETE", `/task_runs/${ids[5]}`);
    await moveTaskRuns(toolsAt(NOW), flowRunId, {
      from: sql`('PENDING', 'RUNNING')`,
      proposal: { type: "CANCELLED" },
    });
    const rows = await rowsOf(flowRunId);
    await api("DELETE", `/flow_runs/${flowRunId}`);
    expect(await rowsOf(flowRunId)).toEqual([]);
    return rows;
  };
  const expected = await change([], false);
  expect(expected.map(({ state_type }) => state_type)).toEqual([
    "FAILED",
    "COMPLETED",
    "COMPLETED",
    "CANCELLED",
    "CANCELLED",
  ]);
  await fc.assert(
    fc.asyncProperty(someTasks, fc.boolean(), async (indices, isRepeated) => {
      expect(await change(indices, isRepeated)).toEqual(expected);
    }),
    { numRuns: 8 },
  );
});
