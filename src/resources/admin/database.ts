/** How full the database is, what fills it, and how long it has room. */
import { sql } from "drizzle-orm";
import * as z from "zod";
import type { Database } from "#db/database";
import { sweep_mark } from "#db/tables/event";
import type { Micros } from "#lib/clock";
import { ArchiveSize } from "#resources/admin/archive";
import { CENSUS, printCounted, readCensus, StoredData } from "#resources/admin/census";
import { DailySizes, daysLeft, growthPerDay } from "#resources/admin/growth";
import { namedObject } from "#wire/named";

/** The maximum size of a D1 database, which Cloudflare never raises. */
export const MAX_DATABASE_BYTES = 10_000_000_000;

/** A warning is logged from this share on. */
export const WARN_FROM = 0.8;

/** The name of the mark that has the size of each of the last days. */
export const DAILY_SIZES = "daily sizes";

export const DatabaseSize = namedObject("DatabaseSize", {
  size_bytes: z.int(),
  limit_bytes: z.int(),
  /** The size divided by the limit. */
  share: z.number(),
  /** The average of the last week; null if less than a day is known. */
  growth_bytes_per_day: z.int().nullable(),
  /** In how many days the share is `WARN_FROM`; null if the database does not grow, or if the growth is not known. */
  days_left: z.int().nullable(),
  /** What the database stores; null before the first count has ended. */
  d1: StoredData.nullable(),
  /** What the archive stores in R2; null without an archive. */
  r2: ArchiveSize.nullable(),
});
export type DatabaseSize = z.output<typeof DatabaseSize>;

/** What is known of the database. */
interface DatabaseFacts {
  size: DatabaseSize;
  /** The remembered sizes, and the mark that has them. */
  daily: z.output<typeof DailySizes>;
  mark: string | null;
}

/** Reads what is known of the database: one round trip, two rows. Each response of D1 has the size. */
export async function readDatabase(db: Database, now: Micros, limit = MAX_DATABASE_BYTES): Promise<DatabaseFacts> {
  const marked = (name: string) => sql`select name, mark from ${sweep_mark} where name = ${name}`;
  // Not `name in (…)`, because that reads one more row for each value in the list.
  const rows = await db.rows<{ name: string; mark: string }>(sql`${marked(DAILY_SIZES)} union all ${marked(CENSUS)}`);
  if (db.size === null) throw new Error("D1 did not tell the database's size");
  const markOf = (wanted: string) => rows.find(({ name }) => name === wanted)?.mark ?? null;
  const mark = markOf(DAILY_SIZES);
  const daily = readSizes(mark);
  const growth = growthPerDay(daily, now, db.size);
  const counted = readCensus(markOf(CENSUS))?.last;
  return {
    size: {
      size_bytes: db.size,
      limit_bytes: limit,
      share: db.size / limit,
      growth_bytes_per_day: growth,
      days_left: daysLeft(Math.ceil(limit * WARN_FROM) - db.size, growth),
      d1: counted ? printCounted(counted) : null,
      r2: null,
    },
    daily,
    mark,
  };
}

/** Sizes that cannot be read are forgotten. */
function readSizes(mark: string | null): z.output<typeof DailySizes> {
  try {
    return DailySizes.safeParse(JSON.parse(mark ?? "[]")).data ?? [];
  } catch {
    return [];
  }
}
