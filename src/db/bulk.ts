/** Many rows in one statement and one bound value: D1 binds 100 values a statement, `json_each` knows no such bound. */
import { getTableColumns, type SQL, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";

/**
 * Inserts rows given as objects of column values (text, numbers, null). `tail` may be `on conflict …`; `guard` is a
 * condition on `value`, the row's JSON, which lets a row depend on what the batch has done before.
 */
export function insertRows<T extends SQLiteTable>(
  table: T,
  rows: readonly T["$inferInsert"][],
  { guard = sql`true`, tail = sql`` }: { guard?: SQL; tail?: SQL } = {},
): SQL {
  const names = Object.keys(getTableColumns(table));
  const columns = sql.join(
    names.map((name) => sql.identifier(name)),
    sql`, `,
  );
  const values = sql.join(
    names.map((name) => sql`value ->> ${sql.raw(`'$.${name}'`)}`),
    sql`, `,
  );
  return sql`insert into ${table} (${columns}) select ${values} from json_each(${JSON.stringify(rows)}) where ${guard} ${tail}`;
}
