/** Runs with random logs in D1, the tools that move them to the archive, and every kind of question about them. */
import { env } from "cloudflare:test";
import { vi } from "vitest";
import { Archive } from "#archive/store";
import { Database } from "#db/database";
import { type Env, parseSettings } from "#env";
import type { LogFilter, LogSort } from "#filters/logs";
import { DAY, earliestId, type Micros, systemIds } from "#lib/clock";
import { type Cost, noCost } from "#lib/cost";
import { allOf } from "#lib/portions";
import type { MoveTools } from "#resources/logs/archived-move";
import type { LogCreate } from "#resources/logs/schema";
import { buildLogSegments } from "#resources/logs/segments";
import { LogStore } from "#resources/logs/store";
import { archiveLogs } from "#services/archive-logs";
import { makeTools } from "#tools";
import { r2 } from "../../archive/world";

export const NOW: Micros = 1_800_000_000_000_000;
export const HOUR: Micros = DAY / 24;
export const SECOND: Micros = 1_000_000;
const ids = systemIds();

export interface Stores {
  d1?: D1Database;
  bucket?: R2Bucket;
  cost?: Cost;
}

/** Tools with a fixed clock. The archive repeats no call late. */
export function archiveTools(
  workspaceId: string,
  {
    now = NOW,
    vars = {},
    d1 = env.DB,
    bucket = r2(),
    cost = noCost(),
  }: Stores & { now?: number; vars?: Partial<Env> } = {},
): MoveTools {
  return {
    ...makeTools(env, workspaceId, () => {}),
    settings: parseSettings({ ...env, ...vars }),
    clock: () => now,
    cost,
    db: new Database(d1, cost),
    archive: new Archive(bucket, cost, async () => {}),
  };
}

/** A run: when it started and ended, before now. */
export interface RunTimes {
  started: Micros;
  /** Null if it has not ended. */
  ended: Micros | null;
}

/** Writes the row of a flow run. */
export async function aRun(workspaceId: string, { started, ended }: RunTimes): Promise<string> {
  const id = crypto.randomUUID();
  const start = NOW - started;
  const end = ended === null ? null : NOW - ended;
  await env.DB.prepare(
    `insert into flow_run (workspace_id, id, created, updated, name, flow_id, parameters, context, empirical_policy,
       tags, labels, auto_scheduled, state_ids, run_count, total_run_time, state_type, expected_start_time, start_time, end_time)
     values (?, ?, ?, ?, 'r', ?, '{}', '{}', '{}', '[]', '{}', 0, '[]', 1, 0, ?, ?, ?, ?)`,
  )
    .bind(
      workspaceId,
      id,
      start,
      start,
      crypto.randomUUID(),
      end === null ? "RUNNING" : "COMPLETED",
      start - 5,
      start,
      end,
    )
    .run();
  return id;
}

/** A log, without the fields that seldom matter. `at` is its time before now. */
export interface ALog {
  at: Micros;
  run?: string | null;
  task?: string | null;
  level?: number;
  message?: string;
}

/** Writes logs as one request. */
export async function write(workspaceId: string, logs: readonly ALog[], now = NOW): Promise<void> {
  const created = logs.map(({ at, run = null, task = null, level = 20, message = "hello" }): LogCreate => ({
    name: "prefect.flow_runs",
    level,
    message,
    timestamp: NOW - at,
    flow_run_id: run,
    task_run_id: task,
  }));
  const segments = buildLogSegments(created, now, ids).map(({ row }) => row);
  await storeOf({ db: new Database(env.DB, noCost()), workspaceId }).insert(segments);
}

export const storeOf = (tools: ConstructorParameters<typeof LogStore>[0]): LogStore => new LogStore(tools);

/** The whole list of a query, read in pages. `storeNow` makes a store for each page. */
export async function pagesOf(
  storeNow: () => LogStore,
  filter: LogFilter,
  sort: LogSort,
  limit: number,
): Promise<unknown[]> {
  const all: unknown[] = [];
  for (let offset = 0, read = 1; read > 0; offset += read) {
    const page = await allOf(await storeNow().list({ filter, sort, limit, offset }));
    read = page.length;
    all.push(...page);
  }
  return all;
}

/** Questions about some runs and task runs. */
export function questions(runs: readonly string[], tasks: readonly string[]): LogFilter[] {
  const [one = "", two = ""] = runs;
  const ofOne = { flow_run_id: { any_: [one] } };
  return [
    ...runs.map((run) => ({ flow_run_id: { any_: [run] } })),
    { flow_run_id: { any_: [...runs] } },
    { flow_run_id: { any_: [one, two] }, level: { ge_: 30 } },
    { ...ofOne, level: { le_: 20 } },
    { ...ofOne, text: { query: "needle" } },
    { flow_run_id: { any_: [...runs] }, text: { query: "hello -needle" } },
    { ...ofOne, timestamp: { after_: NOW - 20 * DAY, before_: NOW - 10 * DAY } },
    { ...ofOne, task_run_id: { is_null_: true } },
    ...tasks.map((task) => ({ task_run_id: { any_: [task] } })),
    { task_run_id: { any_: [...tasks] }, level: { ge_: 20 } },
  ].map((filter) => ({ operator: "and_" as const, ...filter }));
}

/** The answers to all questions, both ways, in pages of several sizes. */
export async function answersOf(storeNow: () => LogStore, runs: readonly string[], tasks: readonly string[]) {
  const answers: unknown[] = [];
  for (const [index, filter] of questions(runs, tasks).entries())
    for (const sort of ["TIMESTAMP_ASC", "TIMESTAMP_DESC"] as const)
      answers.push(await pagesOf(storeNow, filter, sort, [5, 50, 200][index % 3] ?? 5));
  return answers;
}

/** Writes the row of a task run of a flow run. */
export async function aTaskRun(workspaceId: string, flowRunId: string | null): Promise<string> {
  const id = earliestId(NOW - 30 * DAY).slice(0, 24) + crypto.randomUUID().slice(24);
  await env.DB.prepare(
    `insert into task_run (workspace_id, id, created, updated, name, flow_run_id, task_key, dynamic_key, task_inputs,
       empirical_policy, tags, labels, run_count, total_run_time, flow_run_run_count, states) values (?, ?, 0, 0, 't', ?, 'k', ?, '{}', '{}', '[]', '{}', 0, 0, 0, '[]')`,
  )
    .bind(workspaceId, id, flowRunId, id)
    .run();
  return id;
}

const countOf = async (sql: string, ...values: unknown[]) =>
  Number(
    await env.DB.prepare(sql)
      .bind(...values)
      .first("n"),
  );

export const segmentsIn = (workspaceId: string) =>
  countOf("select count(*) as n from log_segment where workspace_id = ?", workspaceId);
export const minutesIn = (workspaceId: string) =>
  countOf("select count(*) as n from log_minute where workspace_id = ?", workspaceId);
export const bundlesIn = (workspaceId: string) =>
  countOf("select count(*) as n from log_archive where workspace_id = ?", workspaceId);

/** The keys of the workspace's objects. */
export async function objectsOf(workspaceId: string): Promise<string[]> {
  return (await r2().list({ prefix: `${workspaceId}/` })).objects.map(({ key }) => key);
}

/** Moves everything that is due, as a new round. */
export async function moveAll(tools: MoveTools): Promise<void> {
  await env.DB.prepare("delete from sweep_mark where name like 'retention: archive logs%'").run();
  for (let turns = 0; turns < 40; turns++) {
    await archiveLogs(tools);
    const open = await countOf(
      "select count(*) as n from sweep_mark where name = 'retention: archive logs' and mark ->> 'cursor' is not null",
    );
    if (open === 0) return;
  }
  throw new Error("the round does not come to an end");
}

/** Removes all logs, runs and marks, of all workspaces. */
export async function emptyLogs(): Promise<void> {
  const tables = ["log_segment", "log_minute", "log_archive", "log_restored_run", "task_run", "flow_run"];
  await env.DB.batch([
    ...tables.map((table) => env.DB.prepare(`delete from ${table}`)),
    env.DB.prepare("delete from sweep_mark"),
  ]);
}

/** Hides the lines of the log. */
export function silence(): void {
  for (const level of ["error", "warn"] as const) vi.spyOn(console, level).mockImplementation(() => {});
}
