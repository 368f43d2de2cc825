/** Copies the rows of a workspace to another database, while nobody reads or writes the workspace (docs/capacity.md). */
import { type SQL, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod";
import type { Move } from "#databases";
import { columnsOf } from "#db/columns";
import { Database } from "#db/database";
import { shortWorkspace } from "#db/short/ids";
import { sweep_mark } from "#db/tables/event";
import type { Clock, Micros } from "#lib/clock";
import { noCost } from "#lib/cost";
import { log } from "#lib/log";
import { TABLES as COUNTED } from "#services/census";
import { type Key, keyOf, keyValue, storedKey } from "#services/census-store";
import { hasRowsOf } from "#services/strays";
import { takeTurn } from "#services/turns";

/** The tables with rows of workspaces. The triggers of `flow_run` change `flow_run_count`, which comes later. */
const TABLES = COUNTED.map(([table]) => table).filter((table) => table !== sweep_mark);

/** How many rows a step copies, and how many bytes they have, or one larger row. */
const ROWS = 200;
const MAX_BYTES = 2_000_000;
/** How many steps a turn takes. A step has six calls of D1 at most, and an invocation of the Worker may have a thousand. */
const STEPS = 150;
/** How long the copy waits: no process that does not know of the move lives so long. */
const WAIT: Micros = 15 * 60_000_000;

/** The table whose rows are copied, as its place in `TABLES`, and the key of its last row that was copied. */
const Place = z.object({
  begins: z.number(),
  table: z.int(),
  after: z.array(z.union([z.string(), z.number()])).nullable(),
  done: z.number().nullable(),
});
type Place = z.output<typeof Place>;

/** Takes one turn of each move. A turn that fails is logged, and the next turn goes on. */
export async function runMoves(moves: readonly Move[], clock: Clock): Promise<void> {
  const results = await Promise.allSettled(moves.map((move) => copyWorkspace(move, clock)));
  for (const [index, result] of results.entries())
    if (result.status === "rejected") log(moves[index] ?? {}, "error", "a move failed", { error: result.reason });
}

/**
 * Takes one turn of the copy. Its mark is in the database that gets the rows. A row that is there already stays as it
 * is, so a turn may run twice, and a late turn overwrites nothing. Throws if that database has rows of the workspace
 * before the copy begins.
 */
export async function copyWorkspace({ workspaceId, from, to }: Move, clock: Clock): Promise<void> {
  const source = new Database(from, noCost());
  const target = new Database(to, noCost());
  const name = `move ${workspaceId}`;
  const [begun] = await target.rows(sql`select 1 from ${sweep_mark} where name = ${name}`);
  if (!begun && (await hasRowsOf(target, workspaceId)))
    throw new Error("the workspace cannot be moved: the other database has rows of it already");
  await takeTurn(
    { db: target },
    {
      name,
      most: ROWS,
      steps: STEPS,
      // No row may be passed over.
      tries: Infinity,
      begin(mark) {
        if (mark === null) return JSON.stringify({ begins: clock() + WAIT, table: 0, after: null, done: null });
        const { done } = Place.parse(JSON.parse(mark));
        if (done === null) return mark;
        const message = "the workspace has been copied, and SLUICE_DATABASES may name its new database";
        log({ workspaceId }, "warn", message, { done: new Date(done / 1000).toISOString() });
        return null;
      },
      async step({ place, most, note }) {
        const progress = Place.parse(JSON.parse(place));
        if (clock() < progress.begins) return { place, isEnd: true };
        await note();
        const next = await copyNext({ source, target, workspaceId }, progress, most);
        const done = next.table < TABLES.length ? null : clock();
        return { place: JSON.stringify({ ...next, done } satisfies Place), isEnd: done !== null };
      },
    },
  );
}

interface Copy {
  source: Database;
  target: Database;
  workspaceId: string;
}

/** Copies the next rows of a table. Returns where the next rows are. */
async function copyNext({ source, target, workspaceId }: Copy, place: Place, most: number): Promise<Place> {
  const table = TABLES[place.table];
  if (!table) throw new Error(`there is no table ${place.table}`);
  const key = keyOf(table);
  const rows = rowsAfter(table, workspaceId, place.after);
  const found = await source.rows<Record<string, string | number>>(sql`
    select ${list(key.map((column) => sql`${keyValue(column)} as ${sql.identifier(`key_${column.name}`)}`))},
      ${bytesOf(table)} as bytes ${rows} limit ${most}`);
  const some = firstOf(found.map(({ bytes }) => Number(bytes)));
  const last = found[some - 1];
  if (last) await writeRows(target, table, await source.stored(sql`select ${valuesOf(table)} ${rows} limit ${some}`));
  if (!last || (some === found.length && some < most)) return { ...place, table: place.table + 1, after: null };
  return { ...place, after: key.map((column) => last[`key_${column.name}`] ?? "") };
}

/** How many of these rows are copied at once. */
function firstOf(bytes: readonly number[]): number {
  let sum = 0;
  const end = bytes.findIndex((one, index) => (sum += one) > MAX_BYTES && index > 0);
  return end < 0 ? bytes.length : end;
}

/** The rows of a workspace after a key, in the order of the key. Ids in `task_run` are short, or texts in older rows. */
function rowsAfter(table: SQLiteTable, workspaceId: string, after: Key | null): SQL {
  const key = keyOf(table);
  const names = list(key.map((column) => sql`${column}`));
  const place = after?.map((value, index) => storedKey(key[index], value));
  const beyond = place ? sql`and (${names}) > (${list(place)})` : sql``;
  return sql`from ${table} where workspace_id in (${workspaceId}, ${shortWorkspace(workspaceId)}) ${beyond} order by ${names}`;
}

const bytesOf = (table: SQLiteTable): SQL =>
  sql.join(
    columnsOf(table).map((column) => sql`coalesce(octet_length(${column}), 0)`),
    sql.raw(" + "),
  );

/** The columns. Integers are texts, because D1's numbers are exact only up to 2^53; the other table makes them integers. */
const valuesOf = (table: SQLiteTable): SQL =>
  list(
    columnsOf(table).map((column) => {
      const value = column.getSQLType() === "integer" ? sql`cast(${column} as text)` : sql`${column}`;
      return sql`${value} as ${sql.identifier(column.name)}`;
    }),
  );

async function writeRows(
  target: Database,
  table: SQLiteTable,
  rows: readonly Record<string, unknown>[],
): Promise<void> {
  const columns = columnsOf(table);
  const names = list(columns.map(({ name }) => sql`${sql.identifier(name)}`));
  const values = (row: Record<string, unknown>) => list(columns.map(({ name }) => sql`${stored(row[name])}`));
  await target.batch(rows.map((row) => sql`insert or ignore into ${table} (${names}) values (${values(row)})`));
}

/** A BLOB is read as a list of its bytes. */
const stored = (value: unknown) => (Array.isArray(value) ? sql.param(Uint8Array.from(value)) : value);

const list = (parts: readonly SQL[]) => sql.join([...parts], sql.raw(", "));
