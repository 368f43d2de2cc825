/**
 * Lets the statements of this Worker read archived runs. In SQLite a common table expression hides a table of its name.
 * So a select reads rows of the archive if it begins with `with task_run as (…)`, and needs no other change.
 */
import { type SQL, sql } from "drizzle-orm";
import { ofFlowRuns as areArtifactsOf } from "#db/artifacts";
import { columnsOf, type StoredColumn } from "#db/columns";
import { print, type Printed } from "#db/print";
import { shortId, shortWorkspaceOf, storedId, uuidText } from "#db/short/ids";
import { each, list } from "#db/sql";
import { ofFlowRuns } from "#db/task-run-keys";
import { refused } from "#lib/api-error";
import { byteLength } from "#lib/bytes";
import { chunksBySize } from "#lib/chunks";
import { RUN_TABLES as TABLES, type StoredRow, TABLE_NAMES, type TableName } from "#resources/flow-runs/archived-parts";
import type { ArchivedRun } from "#resources/flow-runs/archived-run";

/** How many bytes of JSON are bound as one value. D1 takes 2 MB. */
const MAX_VALUE_BYTES = 1_900_000;
/** In a row with more bytes of JSON, each text with more bytes than this is bound as its own value. */
const LONG_BYTES = 100_000;
/** How many bytes of one table a statement gets. An isolate has 128 MB. A single run has fewer bytes (`MAX_RUN_BYTES`). */
const MAX_TABLE_BYTES = 24_000_000;
/** How many values the rows of one table are bound as. D1 binds 100 values to a statement. */
const MAX_BOUND = 30;

/** How many task runs and how many artifacts one view has. Their ids are bound as one value. */
const MAX_ROWS = 40_000;

type Stored = StoredRow[string];

const tooLarge = (what: string) => refused(413, `${what}, which is too much for one answer.`);

/**
 * Changes selects so that they read the archived runs beside the named runs that are in D1. Of the tables of runs, such
 * a select sees only the rows of these runs, and their subflows. The change throws 413 if there are too many rows.
 */
export function archivedView(
  workspaceId: string,
  runs: readonly ArchivedRun[],
  named: readonly string[],
): (select: Printed) => Printed {
  const made = new Map<string, SQL | null>();
  const subqueryOf = (name: TableName): SQL | null => {
    const known = made.get(name);
    if (known !== undefined) return known;
    const rows = runs.flatMap((run) => run.rows[name]);
    const subquery = rows.length === 0 ? null : unionOf(name, rows, inD1[name]);
    made.set(name, subquery);
    return subquery;
  };
  const inD1 = rowsInD1(workspaceId, runs, named);
  return (select) => {
    const names = TABLE_NAMES.filter((name) => new RegExp(`\\b${name}\\b`).test(select.sql));
    const subqueries = names.flatMap((name) => subqueryOf(name) ?? []);
    return subqueries.length === 0 ? select : prefixed(print(sql.join(subqueries, sql`, `)), select);
  };
}

/** The select with more subqueries. A hidden table has no index, so names of indexes are left out. */
function prefixed(subqueries: Printed, select: Printed): Printed {
  const text = select.sql.replaceAll(/ indexed by \w+/g, "");
  const [begin = ""] = /^\s*(with\s+(recursive\s+)?)?/i.exec(text) ?? [];
  const rest = text.slice(begin.length);
  const isRecursive = /recursive/i.test(begin);
  return {
    sql: `with ${isRecursive ? "recursive " : ""}${subqueries.sql}${begin.trim() === "" ? " " : ", "}${rest}`,
    params: [...subqueries.params, ...select.params],
  };
}

function unionOf(name: TableName, rows: readonly StoredRow[], inD1: readonly SQL[] = []): SQL {
  const columns = sql.raw(
    columnsOf(TABLES[name])
      .map((column) => `o."${column.name}"`)
      .join(", "),
  );
  const others = inD1.map((rest) => sql`select ${columns} from main.${sql.identifier(name)} as o where ${rest}`);
  const all = sql.join([...selectsOf(name, rows), ...others], sql` union all `);
  return sql`${sql.identifier(name)} as materialized (${all})`;
}

/** Conditions on rows `o` of the tables in D1. Through `main`, a subquery reads the table that it hides. */
function rowsInD1(
  workspaceId: string,
  runs: readonly ArchivedRun[],
  named: readonly string[],
): Partial<Record<TableName, SQL[]>> {
  const archived = new Set(runs.map(({ id }) => id));
  // A run that was restored meanwhile is not seen twice.
  const others = list(named.filter((id) => !archived.has(id)));
  const ofNamed = sql`o.workspace_id = ${workspaceId} and o.id in ${others}`;
  const tasks = runs.flatMap(({ rows }) => rows.task_run.map(({ id }) => id));
  if (tasks.length > MAX_ROWS) throw tooLarge(`The archived runs have ${tasks.length} task runs`);
  const tasksInD1 = sql`select ${sql.raw(uuidText("t.id"))} from main.task_run as t where ${ofFlowRuns(workspaceId, each(named), "t")}`;
  const isSubflow = sql`(o.parent_task_run_id in ${list(tasks)} or o.parent_task_run_id in (${tasksInD1}))`;
  const artifacts = runs.flatMap(({ rows }) => rows.artifact.map(({ id }) => id));
  if (artifacts.length > MAX_ROWS) throw tooLarge(`The archived runs have ${artifacts.length} artifacts`);
  const state = sql`select r.state_id from main.flow_run as r where r.workspace_id = ${workspaceId} and r.id in ${others}`;
  return {
    flow_run: [
      ofNamed,
      sql`o.workspace_id = ${workspaceId} and o.parent_task_run_id is not null and ${isSubflow} and o.id not in ${list([...named, ...archived])}`,
    ],
    flow_run_state: [sql`o.id in (${state})`],
    // A report that came after the move may have made a second row of a task run.
    task_run: [
      sql`${ofFlowRuns(workspaceId, each(named), "o")} and ${sql.raw(uuidText("o.id"))} not in ${list(tasks)}`,
    ],
    // The latest artifacts of their keys, which did not move with their runs.
    artifact: [
      sql`${areArtifactsOf(workspaceId, each(named), "o")}
        and o.id not in (select ${shortId(sql`value`)} from ${each(artifacts)})`,
    ],
  };
}

/** Selects that give the rows. */
function selectsOf(name: TableName, rows: readonly StoredRow[]): SQL[] {
  const columns = columnsOf(TABLES[name]).map((column) => viewColumn(name, column));
  const lines = rows.map((row) => {
    const values = columns.map((column) => row[column.name] ?? null);
    return { values, bytes: byteLength(JSON.stringify(values)) };
  });
  const large = lines.filter(({ bytes }) => bytes > MAX_VALUE_BYTES).map(({ values }) => selectLarge(columns, values));
  const small = lines.filter(({ bytes }) => bytes <= MAX_VALUE_BYTES);
  const chunks = small.length === 0 ? [] : chunksBySize(small, MAX_VALUE_BYTES, ({ bytes }) => bytes + 1);
  const total = lines.reduce((sum, { bytes }) => sum + bytes, 0);
  if (total > MAX_TABLE_BYTES || large.reduce((sum, { bound }) => sum + bound, chunks.length) > MAX_BOUND) {
    throw tooLarge(`The archived rows of ${name} have ${total} bytes`);
  }
  const parts = chunks.map((chunk) => sql`select value from ${each(chunk.map(({ values }) => values))}`);
  const some = parts.length === 0 ? [] : [sql`select ${valuesOf(columns)} from (${sql.join(parts, sql` union all `)})`];
  return [...some, ...large.map(({ select }) => select)];
}

/** Selects one row whose JSON is too long for one value. `bound` is the number of values that the select binds. */
function selectLarge(columns: readonly ViewColumn[], values: readonly Stored[]): { select: SQL; bound: number } {
  const isLong = (value: Stored) => typeof value === "string" && byteLength(value) > LONG_BYTES;
  const long = new Map([...values.entries()].filter(([, value]) => isLong(value)));
  const rest = values.map((value) => (isLong(value) ? null : value));
  return { select: sql`select ${valuesOf(columns, long)} from ${each([rest])}`, bound: long.size + 1 };
}

/** The columns in the JSON array `value`. `instead` has the values of some columns, by their places. */
function valuesOf(columns: readonly ViewColumn[], instead: ReadonlyMap<number, Stored> = new Map()): SQL {
  const values = columns.map((column, place) => {
    const value = instead.has(place) ? sql`${instead.get(place)}` : sql.raw(column.stored(`(value ->> ${place})`));
    return sql`${value} as ${sql.identifier(column.name)}`;
  });
  return sql.join(values, sql`, `);
}

/** A column of a view. In the values of a view all ids are texts. */
interface ViewColumn {
  name: string;
  /** The form in which the statements expect the value, as an expression in SQL. */
  stored: (value: string) => string;
}

/** Statements about artifacts read only short ids. Statements about task runs also read ids that are texts. */
function viewColumn(table: TableName, { name, idForm }: StoredColumn): ViewColumn {
  if (table !== "artifact" || idForm === undefined) return { name, stored: (value) => value };
  return { name, stored: idForm === "workspace" ? shortWorkspaceOf : storedId };
}
