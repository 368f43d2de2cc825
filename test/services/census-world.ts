/** Shared by the tests of the census: rows in any table, what they really are, and turns to the end of a count. */
import { env } from "cloudflare:test";
import { getTableName } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import { columnsOf } from "#db/columns";
import { CENSUS, type Census, type Counted, type Kind, readCensus } from "#resources/admin/census";
import { takeCensus } from "#services/census";
import { keyOf } from "#services/census-store";
import type { Tools } from "#tools";
import { HOUR, NOW } from "./retention-world";

/** The first moment of an hour, at which a count may begin. */
export const ON_THE_HOUR = Math.floor(NOW / HOUR) * HOUR;

/** Inserts rows with random keys. Each text that is no key has about `length` characters; every third value that may be null is null. */
export async function fill(table: SQLiteTable, count: number, length = 40): Promise<void> {
  const key = new Set(keyOf(table).map(({ name }) => name));
  const unique = "lower(hex(randomblob(18)))";
  const values = columnsOf(table).map((column) => {
    if (column.kind === "object" || column.kind === "list" || column.kind === "json")
      return `json_array(hex(zeroblob(${Math.floor(length / 2)} + abs(random()) % 7)))`;
    if (column.getSQLType() !== "text") return `1800000000000000 + abs(random()) % 1000000000`;
    if (column.name === "workspace_id" && key.size > 1) return "'w' || (n.i % 3)";
    if (key.has(column.name) || column.name.endsWith("_key") || column.name === "name") return unique;
    return column.notNull ? unique : `iif(n.i % 3 = 0, null, ${unique})`;
  });
  const columns = columnsOf(table).map(({ name }) => `"${name}"`);
  await env.DB.prepare(
    `with recursive n(i) as (select 1 union all select i + 1 from n where i < ?)
     insert into ${getTableName(table)} (${columns.join(", ")}) select ${values.join(", ")} from n`,
  )
    .bind(count)
    .run();
}

/** The rows of a table. */
export async function rowsIn(table: SQLiteTable): Promise<number> {
  return Number(await env.DB.prepare(`select count(*) as n from ${getTableName(table)}`).first("n"));
}

/** Removes the rows of a table. */
export const clear = (table: SQLiteTable) => env.DB.prepare(`delete from ${getTableName(table)}`).run();

export async function readMark() {
  const mark = await env.DB.prepare("select mark from sweep_mark where name = ?").bind(CENSUS).first<string>("mark");
  return readCensus(mark);
}

export const writeMark = (mark: Census | string) =>
  env.DB.prepare("insert into sweep_mark (name, mark) values (?, ?)")
    .bind(CENSUS, typeof mark === "string" ? mark : JSON.stringify(mark))
    .run();

/** Takes turns until the count has ended, and returns its result. A turn may fail. */
export async function countAll(tools: Tools, rows?: number, turn = () => takeCensus(tools, rows)): Promise<Counted> {
  for (let turns = 0; turns < 2_000; turns++) {
    try {
      await turn();
    } catch (error) {
      if (!/the database is away|the answer is lost/.test(String(error))) throw error;
      continue;
    }
    const census = await readMark();
    if (census?.cursor === null && census.last) return census.last;
  }
  throw new Error("the count does not come to an end");
}

/** The rows of each kind. */
export const rowsOfKinds = ({ sums }: Counted): Record<Kind, number> => ({
  flow_runs: sums.flow_runs.rows,
  task_runs: sums.task_runs.rows,
  events: sums.events.rows,
  logs: sums.logs.rows,
  other: sums.other.rows,
});
