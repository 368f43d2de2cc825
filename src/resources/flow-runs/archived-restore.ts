/** Writes archived runs back to D1. */
import { type SQL, sql } from "drizzle-orm";
import { adoptLatestOf } from "#db/artifacts";
import { columnsOf } from "#db/columns";
import { shortId, shortWorkspace } from "#db/short/ids";
import { each } from "#db/sql";
import { flow_run } from "#db/tables/flow-run";
import { archived_run } from "#db/tables/run-archive";
import { conflict, notFound } from "#lib/api-error";
import { chunksBySize } from "#lib/chunks";
import {
  BLOB_COLUMNS,
  BLOBS,
  isBlob,
  RUN_TABLES,
  type StoredRow,
  TABLE_NAMES,
  type TableName,
} from "#resources/flow-runs/archived-parts";
import { takenFrom, takeOutOfBundle } from "#resources/flow-runs/archived-removal";
import { findMoved, type Moved, readAddresses } from "#resources/flow-runs/archived-run";
import type { MoveTools } from "#resources/logs/archived-move";
import { restoreLogs, type Restored } from "#resources/logs/archived-restore";

/** How many characters the rows of a statement have. A larger row has its own statement. D1 allows values of 2 MB. */
const MAX_GROUP_CHARACTERS = 300_000;

/**
 * Writes a run and its logs back to D1, as they were, if they are in the archive. They stay in D1 for a day. May be repeated at any time,
 * also after an interruption. `runs` is 1 if the run was written back; `unreadable` counts the run too, if it cannot be read. Throws 404
 * for a run that does not exist, 409 if the idempotency key of the run belongs to a newer run of the flow, and 503 if the archive cannot
 * be reached.
 */
export async function restoreRun(tools: MoveTools, id: string): Promise<Restored & { runs: number }> {
  const { db, workspaceId } = tools;
  // Both are read at once, because somebody else may restore the run meanwhile.
  const [where] = await db.rows<{ in_d1: number; in_archive: number }>(
    sql`select ${isInD1(workspaceId, id)} as in_d1, ${isInArchive(workspaceId, id)} as in_archive`,
  );
  if (!where?.in_d1 && !where?.in_archive) throw notFound("Flow run");
  // First the logs: also of a run in D1, and with the mark that keeps the run in D1.
  const restored = { ...(await restoreLogs(tools, id)), runs: 0 };
  if (where.in_d1) return restored;
  const [moved] = await findMoved(tools, [id]);
  if (moved && (await writeBack(tools, moved))) restored.runs = 1;
  // Somebody else may have restored or deleted the run meanwhile.
  else if ((await readAddresses(tools, [id])).length > 0) {
    if (moved) throw conflict("Another run of the flow has the idempotency key of this run.");
    restored.unreadable++;
  }
  return restored;
}

const isInD1 = (workspaceId: string, id: string): SQL =>
  sql`exists (select 1 from ${flow_run} r where r.workspace_id = ${workspaceId} and r.id = ${id})`;

const isInArchive = (workspaceId: string, id: string, isBundle = sql`true`): SQL =>
  sql`exists (select 1 from ${archived_run} a where a.workspace_id = ${shortWorkspace(workspaceId)}
    and a.id = ${shortId(id)} and ${isBundle})`;

/** Inserts the rows, and takes the run out of its bundle. Returns false if the run was not in the bundle, or cannot be inserted. */
async function writeBack({ db, workspaceId, archive }: MoveTools, { address, rows }: Moved): Promise<boolean> {
  const isThere = isInArchive(workspaceId, address.id, sql`a.bundle = ${shortId(address.bundle)}`);
  const isInserted = isInD1(workspaceId, address.id);
  const inserts = TABLE_NAMES.flatMap((table) => {
    const own = rows.filter((one) => one.table === table).map(({ row }) => row);
    return insertsOf(table, own, table === "flow_run" ? isThere : sql`${isThere} and ${isInserted}`);
  });
  const results = await db.batch([
    ...inserts,
    adoptLatestOf(workspaceId, address.id),
    ...takeOutOfBundle(workspaceId, address, [address.id], isInserted),
  ]);
  const { taken, emptied } = takenFrom(results.slice(-3));
  await archive.delete(emptied);
  return taken.length > 0;
}

/** The statements that insert rows. A row that exists stays as it is. */
function insertsOf(table: TableName, rows: readonly StoredRow[], guard: SQL): SQL[] {
  // A part that is older than a column does not have it.
  const columns = columnsOf(RUN_TABLES[table])
    .map(({ name }) => name)
    .filter((name) => rows[0] && name in rows[0]);
  const names = sql.raw(columns.map((name) => `"${name}"`).join(", "));
  const insert = (select: SQL) =>
    sql`insert into ${RUN_TABLES[table]} (${names}) ${select} where ${guard} on conflict do nothing`;
  const blobs = BLOB_COLUMNS[table];
  const valueOf = (name: string): string => {
    const place = blobs.indexOf(name);
    const value = `value ->> '$.${name}'`;
    return place < 0 ? value : `iif((value ->> '$.${BLOBS}') >> ${place} & 1, unhex(${value}), ${value})`;
  };
  const values = sql.raw(columns.map(valueOf).join(", "));
  return chunksBySize(rows, MAX_GROUP_CHARACTERS, sizeOf).map((group) => {
    const [row] = group;
    if (row && group.length === 1)
      return insert(
        sql`select ${sql.join(
          columns.map((name) => bound(row, name, blobs)),
          sql`, `,
        )}`,
      );
    return insert(sql`select ${values} from ${each(group)}`);
  });
}

/** A value of a large row, for itself. */
function bound(row: StoredRow, name: string, blobs: readonly string[]): SQL {
  const place = blobs.indexOf(name);
  const value = row[name] ?? null;
  return place >= 0 && isBlob(row[BLOBS], place) ? sql`unhex(${value})` : sql`${value}`;
}

const sizeOf = (row: StoredRow): number => JSON.stringify(row).length;
