/** Query plans of SQLite. */
import { env } from "cloudflare:test";
import type { SQL } from "drizzle-orm";
import { SQLiteSyncDialect } from "drizzle-orm/sqlite-core";

/** The lines of `EXPLAIN QUERY PLAN`, as one text. */
export async function planOf(statement: SQL): Promise<string> {
  const { sql, params } = new SQLiteSyncDialect().sqlToQuery(statement);
  const { results } = await env.DB.prepare(`explain query plan ${sql}`)
    .bind(...params)
    .all<{ detail: string }>();
  return results.map(({ detail }) => detail).join("\n");
}
