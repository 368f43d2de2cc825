/** The database's size. A D1 database has at most 10 GB. */
import { sql } from "drizzle-orm";
import * as z from "zod";
import type { Database } from "#db/database";

/** The greatest size of a D1 database, which Cloudflare never raises. */
export const MAX_DATABASE_BYTES = 10_000_000_000;

/** The database's size and its greatest size. `share` is the size divided by the greatest size. */
export const DatabaseSize = z
  .object({ size_bytes: z.int(), limit_bytes: z.int(), share: z.number() })
  .meta({ id: "DatabaseSize" });
export type DatabaseSize = z.output<typeof DatabaseSize>;

/** Reads the database's size, which is part of each of its answers. */
export async function readDatabaseSize(db: Database, limit = MAX_DATABASE_BYTES): Promise<DatabaseSize> {
  await db.rows(sql`select 1`);
  if (db.size === null) throw new Error("D1 did not tell the database's size");
  return { size_bytes: db.size, limit_bytes: limit, share: db.size / limit };
}
