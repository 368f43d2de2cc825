/** A batch of which a repeat changes nothing is written again where D1 does not say whether the batch is written. */
import type { SQL } from "drizzle-orm";
import { type Database, isPassing, type Written } from "#db/database";

/** How often the batch is written. */
const WRITE_TRIES = 3;

/**
 * Writes the batch. `present` has the rows of the select after a repeated batch, as what a repeat returns does not tell what an
 * earlier try did; undefined where the first try succeeded.
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
