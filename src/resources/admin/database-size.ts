/** The database's size: D1 takes 10 GB, and no more. */
import { sql } from "drizzle-orm";
import { z } from "zod";
import type { Database } from "#db/database";

/** What a D1 database may hold; Cloudflare raises it for nobody. */
export const MAX_DATABASE_BYTES = 10_000_000_000;

/** The database's size now, against what it may have; `share` is the part of it that is taken. */
export const DatabaseSize = z
  .object({ size_bytes: z.int(), limit_bytes: z.int(), share: z.number() })
  .meta({ id: "DatabaseSize" });
export type DatabaseSize = z.output<typeof DatabaseSize>;

/** Asks the database for its size, which it tells with every answer. */
export async function readDatabaseSize(db: Database, limit = MAX_DATABASE_BYTES): Promise<DatabaseSize> {
  await db.rows(sql`select 1`);
  if (db.size === null) throw new Error("D1 did not tell the database's size");
  return { size_bytes: db.size, limit_bytes: limit, share: db.size / limit };
}
