/** Repeats a batch if D1 does not say whether the batch was written. A repeat of the batch must change nothing. */
import type { SQL } from "drizzle-orm";
import { type Database, isPassing, type Written } from "#db/database";

/** How many times the batch is tried. */
const WRITE_TRIES = 3;

/**
 * Writes the batch. After a repeat, `present` has the rows of the select: the results of a repeat do not show what an
 * earlier try wrote. If the first try succeeded, `present` is undefined.
 */
export async function writeWithRetry(
  db: Database,
  batch: readonly SQL[],
  select: SQL,
): Promise<{ written: Written[]; present?: Written["rows"] }> {
  for (let tries = 1; ; tries++) {
    try {
      if (tries === 1) return { written: await db.batch(batch) };
      const written = await db.batch([...batch, select]);
      return { written, present: written.at(-1)?.rows ?? [] };
    } catch (error) {
      if (tries >= WRITE_TRIES || !isPassing(error)) throw error;
    }
  }
}
