import { env } from "cloudflare:test";
import type { SQL } from "drizzle-orm";
import { beforeEach, expect, test } from "vitest";
import { Database } from "#db/database";
import { print } from "#db/print";
import { flowPolicyForm } from "#db/short/policy";
import { readLabels } from "#db/short/labels";
import { readStates } from "#db/short/states";
import type { FlowRunRow } from "#db/rows/flow-runs";
import type { TaskRunRow } from "#db/rows/task-runs";
import { noCost } from "#lib/cost";
import { shortenRows } from "#services/shorten-rows";
import { aSegment, deliver } from "../events/recording";
import { taskRunReports } from "../events/world";
import { aroundCalls } from "../support/around-calls";
import { aDeployment, aRunOf, api, propose } from "../support/world";
import { failingD1, NOW, toolsAt } from "./retention-world";

const LIFE = ["PENDING", "RUNNING", "COMPLETED"].map((type, index) => ({ type, at: NOW - 3_600_000_000 + index }));

const all = async <Row>(text: string, ...values: unknown[]): Promise<Row[]> =>
  (
    await env.DB.prepare(text)
      .bind(...values)
      .all<Row>()
  ).results;
const write = (text: string, ...values: unknown[]) =>
  env.DB.prepare(text)
    .bind(...values)
    .run();

beforeEach(async () => {
  await write("delete from sweep_mark where name like 'shorten rows%'");
});

/** A flow run of a deployment with two task runs, whose rows are as they were before there were short forms. */
async function anOldRun(): Promise<string> {
  const { id } = await aRunOf(await aDeployment(), { state: { type: "SCHEDULED" } });
  await propose(id, { type: "RUNNING", state_details: { transition_id: crypto.randomUUID() } }, true);
  const reports = Array.from({ length: 2 }, () => taskRunReports(LIFE, { flowRunId: id })).flat();
  await deliver(await aSegment(reports));
  await makeOld(id);
  return id;
}

const OLD_POLICY =
  '{"max_retries":0,"retry_delay_seconds":0,"retries":0,"retry_delay":0,"pause_keys":[],"resuming":false}';

async function makeOld(id: string): Promise<void> {
  const [run] = await all<FlowRunRow>("select * from flow_run where id = ?", id);
  await write(
    "update flow_run set empirical_policy = ?, labels = ?, created_by = ? where id = ?",
    OLD_POLICY,
    JSON.stringify(readLabels(run as FlowRunRow)),
    '{"id":null,"type":"SCHEDULE","display_value":"s"}',
    id,
  );
  await write(
    "update flow_run_state set state_details = json_object('flow_run_id', flow_run_id, 'deferred', null, 'cache_key', null) where flow_run_id = ?",
    id,
  );
  for (const row of await all<TaskRunRow>("select * from task_run where flow_run_id = unhex(?, '-')", id))
    await write(
      "update task_run set states = ?, empirical_policy = ?, task_inputs = ? where id = unhex(?, '-')",
      JSON.stringify(readStates(row)),
      '{"retries":0,"retry_delay":0,"max_retries":0}',
      `{"x":[{"input_type":"task_run","id":"${id}"}]}`,
      row.id,
    );
}

/** All rows of a run, as they are stored. */
async function rowsOf(id: string) {
  return [
    await all<Record<string, unknown>>("select * from flow_run where id = ?", id),
    await all<Record<string, unknown>>("select * from flow_run_state where flow_run_id = ? order by id", id),
    await all<Record<string, unknown>>("select * from task_run where flow_run_id = unhex(?, '-') order by id", id),
  ];
}

/** All that the API shows of a run. */
async function shownOf(id: string): Promise<unknown> {
  const tasks = await api<{ id: string }[]>("POST", "/task_runs/filter", { flow_runs: { id: { any_: [id] } } });
  const estimated = /"estimated_\w+":[\d.]+/g;
  const answers = [
    await api("GET", `/flow_runs/${id}`),
    await api("GET", `/flow_run_states/?flow_run_id=${id}`),
    await api("GET", `/flow_runs/${id}/graph`),
    await api("GET", `/task_run_states/?task_run_id=${tasks.body[0]?.id}`),
    tasks,
  ];
  return JSON.stringify(answers.map(({ body }) => body)).replaceAll(estimated, "");
}

/** Sweeps all tables. No turn calls an object, and so no event is sent. */
async function sweepToEnd(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) {
    const tools = toolsAt(NOW);
    await shortenRows(tools);
    expect([tools.cost.object_calls, tools.cost.queue_messages]).toEqual([0, 0]);
  }
  expect(await all("select mark from sweep_mark where name = 'shorten rows'")).toEqual([{ mark: "done" }]);
}

const isOld = async (id: string): Promise<boolean[]> => {
  const [runs, states, tasks] = await rowsOf(id);
  const text = JSON.stringify([runs, states, tasks]);
  return ['\\"state_details\\"', '\\"deferred\\"', '\\"prefect.flow.id\\"', "max_retries", "input_type"].map((part) =>
    text.includes(part),
  );
};

test("old rows become short, answers stay the same, and no row counts as changed", async () => {
  const id = await anOldRun();
  expect(await isOld(id)).toEqual([true, true, true, true, true]);
  const before = await shownOf(id);
  await sweepToEnd();
  expect(await isOld(id)).toEqual([false, false, false, false, false]);
  expect(await shownOf(id)).toBe(before);
});

test("after the last row a turn reads one row and writes none", async () => {
  await anOldRun();
  await sweepToEnd();
  const tools = toolsAt(NOW);
  await shortenRows(tools);
  expect(tools.db.cost.d1_rows_written).toBe(0);
  expect(tools.db.cost.d1_rows_read).toBeLessThanOrEqual(1);
});

test("wherever a turn ends too early, the next turns finish the work", async () => {
  const id = await anOldRun();
  const before = await shownOf(id);
  for (let calls = 0; calls < 16; calls++) {
    for (const fate of ["lost", "made, but the answer is lost"] as const) {
      await makeOld(id);
      await write("delete from sweep_mark where name like 'shorten rows%'");
      const fates = [...Array.from({ length: calls }, () => "made" as const), fate];
      await shortenRows(toolsAt(NOW, {}, failingD1(fates))).catch(() => {});
      await Promise.all([shortenRows(toolsAt(NOW)), shortenRows(toolsAt(NOW))]);
      await sweepToEnd();
      expect(await isOld(id)).toEqual([false, false, false, false, false]);
    }
  }
  expect(await shownOf(id)).toBe(before);
}, 120_000);

test("a row that another request changes meanwhile stays as that request wrote it", async () => {
  const id = await anOldRun();
  const policy = '{"retries":7}';
  const db = aroundCalls(new Database(env.DB, noCost()), async (name, call, args) => {
    if (name === "run" && print(args[0] as SQL).params.some((text) => String(text).includes(id))) {
      await write("update flow_run set empirical_policy = ? where id = ?", policy, id);
      await write("update task_run set states = '[]' where flow_run_id = unhex(?, '-')", id);
    }
    return call();
  });
  for (let turns = 0; turns < 20; turns++) await shortenRows({ ...toolsAt(NOW), db });
  const [runs, , tasks] = await rowsOf(id);
  expect(runs?.[0]).toMatchObject({ empirical_policy: policy });
  expect(flowPolicyForm.read(policy)).toMatchObject({ retries: 7 });
  expect(tasks?.map(({ states }) => states)).toEqual(["[]", "[]"]);
});

test("values that cannot be read, and long values, stay as they are", async () => {
  const [bad, long] = [await anOldRun(), await anOldRun()];
  await write("update flow_run set empirical_policy = '{\"a', labels = '{\"a', created_by = '{' where id = ?", bad);
  await write("update flow_run_state set state_details = '{\"a' where flow_run_id = ?", bad);
  await write("update task_run set states = '[{', task_inputs = '{\"x\":1' where flow_run_id = unhex(?, '-')", bad);
  const text = JSON.stringify({ x: [{ input_type: "constant", type: "x".repeat(10_000) }] });
  await write("update task_run set task_inputs = ? where flow_run_id = unhex(?, '-')", text, long);
  const before = await rowsOf(bad);
  await sweepToEnd();
  const [run, states, tasks] = await rowsOf(bad);
  expect([run, states]).toEqual(before.slice(0, 2));
  expect(tasks?.map((row) => [row["states"], row["task_inputs"]])).toEqual([1, 2].map(() => ["[{", '{"x":1']));
  const [, , others] = await rowsOf(long);
  expect(others?.map((row) => row["task_inputs"])).toEqual([text, text]);
  expect(others?.every((row) => String(row["states"]).startsWith("[["))).toBe(true);
});
