/** Reads all rows of runs that are to move to the archive, as they are stored. */
import { getTableConfig, type SQLiteColumn } from "drizzle-orm/sqlite-core";
import { type SQL, sql } from "drizzle-orm";
import { isLatest, ofFlowRuns as areArtifactsOf } from "#db/artifacts";
import { columnsOf } from "#db/columns";
import { stateIdsOf } from "#db/state-pages";
import { list } from "#db/sql";
import { flow_run_state } from "#db/tables/flow-run";
import { ofFlowRuns } from "#db/task-run-keys";
import { chunksBySize } from "#lib/chunks";
import {
  BLOB_COLUMNS,
  BLOBS,
  type MovingRow,
  RUN_TABLES,
  type StoredRow,
  TABLE_NAMES,
  type TableName,
} from "#resources/flow-runs/archived-parts";
import type { Tools } from "#tools";
import { canonicalUuid } from "#wire/ids";

type ReadTools = Pick<Tools, "db" | "workspaceId">;

/** How many bytes of rows are read at once, unless a single row has more. */
const MAX_READ_BYTES = 1_000_000;
/** A row takes these bytes more than its values. */
const ROW_BYTES = 100;
/** A sum of times would be too large for SQLite. */
const PRIME = 1_000_000_007;

/** Rows of a run. */
export interface RowsOfRun {
  id: string;
  rows: MovingRow[];
}

/** The condition that a row `t` belongs to one of the runs of a subquery with the column `value`, and moves with it. */
function isOf(table: TableName, workspaceId: string, ids: SQL): SQL {
  const own = (column: string) => sql`t.workspace_id = ${workspaceId} and ${sql.raw(column)} in ${ids}`;
  switch (table) {
    case "flow_run":
      return own("t.id");
    case "flow_run_state":
      return sql`t.id in (select listed.id from ${stateIdsOf(sql`r.workspace_id = ${workspaceId} and r.id in ${ids}`)} listed)`;
    case "flow_run_state_page":
    case "flow_run_input":
      return own("t.flow_run_id");
    case "task_run":
      return ofFlowRuns(workspaceId, ids, "t");
    case "artifact":
      return sql`(${areArtifactsOf(workspaceId, ids, "t")} and not ${isLatest(workspaceId, "t")})`;
    default:
      throw table satisfies never;
  }
}

/** The statements that delete the rows of runs, in this order. The states are found by the pages and by the row of the run. */
export function deleteRowsOf(workspaceId: string, ids: SQL): SQL[] {
  const deletion = (table: TableName) =>
    sql`delete from ${RUN_TABLES[table]} as t where ${isOf(table, workspaceId, ids)}`;
  const others = TABLE_NAMES.filter((table) => table !== "flow_run");
  return [...others.map(deletion), sql`${deletion("flow_run")} returning id`];
}

/** The number of bytes of a row `t`. SQLite knows it without reading the values. */
const octetsOf = (table: TableName): SQL =>
  sql.raw(
    columnsOf(RUN_TABLES[table])
      .map(({ name }) => `coalesce(octet_length(t."${name}"), 0)`)
      .join(" + "),
  );

/**
 * A text that changes with each change of the rows that a run has in a table: their number, their bytes, and when they were changed. `id`
 * is an expression.
 */
export function printOf(table: TableName, workspaceId: string, id: SQL): SQL {
  const hasStamps = columnsOf(RUN_TABLES[table]).some(({ name }) => name === "updated");
  const updated = hasStamps ? sql`coalesce(sum(t.updated % ${PRIME}), 0)` : sql`0`;
  return sql`(select format('%d %d %d', count(*), coalesce(sum(${octetsOf(table)}), 0), ${updated})
    from ${RUN_TABLES[table]} t where ${isOf(table, workspaceId, sql`(select ${id} as value)`)})`;
}

/** How many rows and bytes a print is about. */
export function sizeOfPrint(print: string): { rows: number; bytes: number } {
  const [rows = 0, octets = 0] = print.split(" ").map(Number);
  return { rows, bytes: octets + ROW_BYTES * rows };
}

/** Reads the rows of runs, run by run, a bounded number of bytes at a time. The rows of a large run come in several pieces. */
export async function* readRowsOf(
  tools: ReadTools,
  runs: readonly { id: string; bytes: number }[],
): AsyncGenerator<RowsOfRun> {
  for (const group of chunksBySize(runs, MAX_READ_BYTES, ({ bytes }) => bytes)) {
    const [first] = group;
    if (first && group.length === 1 && first.bytes > MAX_READ_BYTES) yield* readLarge(tools, first.id);
    else yield* readGroup(tools, group);
    // A timer lets the process handle its other requests.
    await scheduler.wait(1);
  }
}

/** Reads the rows of runs at once. */
async function* readGroup({ db, workspaceId }: ReadTools, runs: readonly { id: string }[]): AsyncGenerator<RowsOfRun> {
  const ids = list(runs.map(({ id }) => id));
  const found = await db.readAll(TABLE_NAMES.map((table) => select(table, workspaceId, ids)));
  const rows = TABLE_NAMES.map((table, place) =>
    Map.groupBy((found[place] ?? []) as StoredRow[], (row) => ownerOf(table, row)),
  );
  for (const { id } of runs)
    yield {
      id,
      rows: TABLE_NAMES.flatMap((table, place) => (rows[place]?.get(id) ?? []).map((row) => ({ table, row }))),
    };
}

/** Reads the rows of one run, in windows. */
async function* readLarge({ db, workspaceId }: ReadTools, id: string): AsyncGenerator<RowsOfRun> {
  const ids = list([id]);
  for (const table of TABLE_NAMES) {
    const sizes = await db.rows<{ bytes: number }>(
      sql`select ${octetsOf(table)} as bytes from ${RUN_TABLES[table]} t where ${isOf(table, workspaceId, ids)} ${order(table)}`,
    );
    let offset = 0;
    for (const { length } of chunksBySize(sizes, MAX_READ_BYTES, ({ bytes }) => bytes + ROW_BYTES)) {
      // Rows that are added meanwhile move the window. Then the run has changed, and does not move.
      const rows = await db.rows<StoredRow>(sql`${select(table, workspaceId, ids)} limit ${length} offset ${offset}`);
      yield { id, rows: rows.map((row) => ({ table, row })) };
      offset += length;
    }
  }
}

function select(table: TableName, workspaceId: string, ids: SQL): SQL {
  return sql`select ${columnsToRead(table)} from ${RUN_TABLES[table]} t where ${isOf(table, workspaceId, ids)} ${order(table)}`;
}

function columnsToRead(table: TableName): SQL {
  const blobs = BLOB_COLUMNS[table];
  const columns = columnsOf(RUN_TABLES[table]).map(({ name }) =>
    blobs.includes(name)
      ? `iif(typeof(t."${name}") = 'blob', hex(t."${name}"), t."${name}") as "${name}"`
      : `t."${name}"`,
  );
  const bits = blobs.map((name, place) => `((typeof(t."${name}") = 'blob') << ${place})`);
  return sql.raw([...columns, ...(bits.length > 0 ? [`${bits.join(" | ")} as ${BLOBS}`] : [])].join(", "));
}

function order(table: TableName): SQL {
  const key: readonly SQLiteColumn[] =
    table === "flow_run_state"
      ? [flow_run_state.id]
      : (getTableConfig(RUN_TABLES[table]).primaryKeys[0]?.columns ?? []);
  return sql.raw(`order by ${key.map(({ name }) => `t."${name}"`).join(", ")}`);
}

/** The run of a row. */
function ownerOf(table: TableName, row: StoredRow): string {
  const id = String(table === "flow_run" ? row["id"] : row["flow_run_id"]);
  return id.length === 32 ? canonicalUuid(id) : id;
}
