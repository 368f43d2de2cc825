/** Warns when the database is nearly full. */
import { log } from "#lib/log";
import { type DatabaseSize, MAX_DATABASE_BYTES, readDatabaseSize } from "#resources/admin/store";
import { isFirstOfHour } from "#services/turns";
import type { SweepTools } from "#tools";

/** A warning is logged from this share on. */
const WARN_FROM = 0.8;

/** Logs a warning in the first turn of each hour while the database is nearly full. */
export async function watchSize(tools: SweepTools, limit = MAX_DATABASE_BYTES): Promise<void> {
  if (!isFirstOfHour(tools.clock())) return;
  const warning = sizeWarning(await readDatabaseSize(tools.db, limit));
  if (warning !== null) log(tools, "warn", warning);
}

/** The warning about a size; null if the database has room. */
export function sizeWarning({ size_bytes, limit_bytes, share }: DatabaseSize): string | null {
  if (share < WARN_FROM) return null;
  return (
    `the database has ${size_bytes} of ${limit_bytes} bytes (${Math.floor(share * 100)} %), and when it is full nothing can be ` +
    "written: keep runs and events for a shorter time (docs/services.md, Retention)"
  );
}
