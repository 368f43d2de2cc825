/** Runs with random rows in D1, moves of all that is due, and a look at every row, exactly as it is stored. */
import { env } from "cloudflare:test";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { afterEach, beforeEach, vi } from "vitest";
import { columnsOf } from "#db/columns";
import { workspaceDigits } from "#db/short/ids";
import { DAY, type Micros, systemIds } from "#lib/clock";
import { RUN_TABLES, TABLE_NAMES, type TableName } from "#resources/flow-runs/archived-parts";
import type { MoveTools } from "#resources/logs/archived-move";
import { removeOldRuns } from "#services/retention-runs";
import { archiveTools, emptyLogs, NOW, silence, type Stores } from "../logs/archive-world";

export { aRun, NOW, silence, write as writeLogs } from "../logs/archive-world";

const ids = systemIds();

/** Settings with which runs move 90 days after their end. */
const ON = { PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: "events,flow_runs,orphans" };

/** Tools of the moves. */
export const runTools = (workspaceId: string, options: Stores & { now?: number; vars?: object } = {}): MoveTools =>
  archiveTools(workspaceId, { ...options, vars: { ...ON, ...options.vars } });

/** Removes all runs, logs and marks, of all workspaces. */
export async function emptyRuns(): Promise<void> {
  await emptyLogs();
  const tables = [...TABLE_NAMES, "artifact_collection", "archived_run", "run_archive"];
  await env.DB.batch(tables.map((table) => env.DB.prepare(`delete from ${table}`)));
}

/** Each test of the file begins without runs, and logs nothing. */
export function beginWithoutRuns(): void {
  beforeEach(async () => {
    await emptyRuns();
    silence();
  });
  afterEach(() => void vi.restoreAllMocks());
}

/** Moves everything that is due, as a new round. */
export async function moveRuns(tools: MoveTools): Promise<void> {
  await env.DB.prepare("delete from sweep_mark where name like 'retention: runs%'").run();
  for (let turns = 0; turns < 40; turns++) {
    await removeOldRuns(tools);
    if ((await countOf("sweep_mark where name like 'retention: runs%' and mark ->> 'cursor' is not null")) === 0)
      return;
  }
  throw new Error("the round does not come to an end");
}

export const countOf = async (from: string): Promise<number> =>
  Number(await env.DB.prepare(`select count(*) as n from ${from}`).first("n"));

/** All rows of the tables of runs, each value with its type and its bytes. */
export async function storedRows(workspaceId: string): Promise<Record<TableName, string[]>> {
  const all = {} as Record<TableName, string[]>;
  for (const name of TABLE_NAMES) {
    const values = columnsOf(RUN_TABLES[name]).map((column) => `typeof("${column.name}") || hex("${column.name}")`);
    const own = `workspace_id in ('${workspaceId}', unhex('${workspaceDigits(workspaceId)}'))`;
    const { results } = await env.DB.prepare(
      `select json_array(${values.join(", ")}) as row from ${name} where ${own} order by 1`,
    ).all();
    all[name] = results.map(({ row }) => String(row));
  }
  return all;
}

/** A value of a row: the hexadecimal digits of a BLOB, or the value itself. */
type Value = string | number | null | { blob: string };

export async function insert(table: string, row: Record<string, Value>): Promise<void> {
  const names = Object.keys(row);
  const marks = names.map((name) => (typeof row[name] === "object" && row[name] ? "unhex(?)" : "?"));
  const values = names.map((name) => {
    const value = row[name] ?? null;
    return typeof value === "object" && value ? value.blob : value;
  });
  await env.DB.prepare(`insert into ${table} (${names.join(", ")}) values (${marks.join(", ")})`)
    .bind(...values)
    .run();
}

const blob = (id: string): { blob: string } => ({ blob: id.replaceAll("-", "") });

/** Texts that users may store: all characters, exact numbers in JSON, and text that looks like something else. */
const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 30 }).map((text) => Buffer.from(text).toString()),
  fc.constantFrom("", "null", "0123456789abcdef0123456789abcdef", "01", "x'00'", "7", "1.50", 'é "q" \\ \u2028 🙂'),
);
const anyJson = fc.oneof(
  fc.constantFrom(
    "{}",
    '{"n":1.0,"big":1152921504606846977,"e":1e400}',
    '[1,[2.50,"\\u0000"]]',
    `{"x":"${"y".repeat(20_000)}"}`,
  ),
  fc.json({ maxDepth: 3 }),
);
const anyTask = fc.record({
  isOld: fc.boolean(),
  dynamic: fc.oneof(fc.uuid().map(String), anyText),
  inputs: anyJson,
  states: anyJson,
  name: anyText,
  cache: fc.option(anyText),
});
const anyArtifact = fc.record({
  key: fc.option(anyText),
  type: fc.option(anyText),
  data: fc.option(anyJson),
  description: fc.option(anyText),
  metadata_: fc.option(fc.constantFrom("{}", '{"a":"b"}')),
  hasTask: fc.boolean(),
});
export const anyRun = fc.record({
  parameters: anyJson,
  context: anyJson,
  name: anyText,
  version: fc.option(anyText),
  states: fc.array(fc.record({ message: fc.option(anyText), data: fc.option(anyJson) }), {
    minLength: 1,
    maxLength: 4,
  }),
  pages: fc.nat(2),
  inputs: fc.uniqueArray(fc.record({ key: anyText, value: anyText }), { selector: ({ key }) => key, maxLength: 3 }),
  tasks: fc.array(anyTask, { maxLength: 5 }),
  artifacts: fc.array(anyArtifact, { maxLength: 4 }),
  ended: fc.constantFrom(91 * DAY, 100 * DAY, 400 * DAY),
});
export type RandomRun = typeof anyRun extends fc.Arbitrary<infer R> ? R : never;

/** A run with some rows in each table. */
export const A_RUN: RandomRun = {
  parameters: '{"n":1.0}',
  context: "{}",
  name: "a run",
  version: null,
  states: [
    { message: "first", data: null },
    { message: null, data: '{"type":"unpersisted"}' },
  ],
  pages: 1,
  inputs: [{ key: "k", value: "v" }],
  tasks: [true, false].map((isOld) => ({
    isOld,
    dynamic: isOld ? "0" : "7a7f0a0e-54a3-4f3c-8c3f-6f6f5f0c7a10",
    inputs: "{}",
    states: "[]",
    name: "t",
    cache: null,
  })),
  artifacts: [{ key: "k", type: "t", data: "1.0", description: null, metadata_: null, hasTask: true }],
  ended: 100 * DAY,
};

interface Family {
  id?: string;
  /** The task run of the parent. */
  parent?: string | null;
  idempotency_key?: string | null;
  flow_id?: string;
}

/** Writes a run with its rows. Returns its id and the ids of its task runs. */
export async function writeRun(
  workspace_id: string,
  run: RandomRun = A_RUN,
  { id = crypto.randomUUID(), parent = null, idempotency_key = null, flow_id = crypto.randomUUID() }: Family = {},
): Promise<{ id: string; tasks: string[] }> {
  const end: Micros = NOW - run.ended;
  const start = end - DAY / 24;
  const times = { created: start, updated: end, expected_start_time: start, start_time: start, end_time: end };
  const counts = {
    run_count: 1,
    total_run_time: 5,
    state_timestamp: end,
    state_type: "COMPLETED",
    state_name: run.name,
  };
  const states = run.states.map(() => ids.ordered(start));
  const paged = Array.from({ length: run.pages }, () => [ids.ordered(start - DAY)]);
  const common = { tags: '["a"]', labels: "{}", empirical_policy: "{}" };
  await insert("flow_run", {
    ...times,
    ...counts,
    ...common,
    workspace_id,
    id,
    flow_id,
    name: run.name,
    flow_version: run.version,
    parameters: run.parameters,
    context: run.context,
    auto_scheduled: 0,
    parent_task_run_id: parent,
    idempotency_key,
    state_id: states.at(-1) ?? null,
    state_ids: JSON.stringify(states),
  });
  for (const [ordinal, own] of paged.entries())
    await insert("flow_run_state_page", { workspace_id, flow_run_id: id, ordinal, state_ids: JSON.stringify(own) });
  for (const [place, state] of [...paged.flat(), ...states].entries()) {
    const { message, data } = run.states[place % run.states.length] ?? { message: null, data: null };
    const row = { type: "RUNNING", name: "s", timestamp: start + place, message, data, state_details: "{}" };
    await insert("flow_run_state", { workspace_id, id: state, flow_run_id: id, ...row });
  }
  for (const { key, value } of run.inputs)
    await insert("flow_run_input", {
      workspace_id,
      flow_run_id: id,
      key,
      id: crypto.randomUUID(),
      created: 1,
      updated: 2,
      value,
    });
  const tasks = run.tasks.map(() => crypto.randomUUID());
  for (const [place, task] of run.tasks.entries()) {
    const short = (text: string) => (task.isOld ? text : blob(text));
    const isUuid = /^[0-9a-f-]{36}$/.test(task.dynamic);
    await insert("task_run", {
      ...times,
      ...counts,
      ...common,
      workspace_id: task.isOld ? workspace_id : { blob: workspaceDigits(workspace_id) },
      id: short(tasks[place] ?? ""),
      name: task.name,
      flow_run_id: short(id),
      task_key: `t${place}`,
      dynamic_key: isUuid ? short(task.dynamic) : task.dynamic,
      cache_key: task.cache,
      task_inputs: task.inputs,
      state_id: short(crypto.randomUUID()),
      states: task.states,
      flow_run_run_count: 1,
      key_hash: task.isOld ? null : 1,
    });
  }
  // No collection shows them, so they move with the run.
  for (const { hasTask, ...content } of run.artifacts)
    await insert("artifact", {
      workspace_id: { blob: workspaceDigits(workspace_id) },
      id: blob(ids.ordered(start)),
      created: start,
      updated: start,
      ...content,
      flow_run_id: blob(id),
      task_run_id: hasTask ? blob(tasks[0] ?? id) : null,
    });
  return { id, tasks };
}
