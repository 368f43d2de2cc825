/** Up to which time runs may be in the archive. An isolate remembers it for some time, so that lists do not read it. */
import { sql } from "drizzle-orm";
import { run_archive } from "#db/tables/run-archive";
import { AccompaniedDatabase } from "#db/views";
import type { Micros } from "#lib/clock";
import { Recent } from "#lib/recent";
import type { Tools } from "#tools";

/** How long an answer may be without the header after the first runs have moved. */
const REMEMBERED_MS = 60_000;
const known = new Recent<{ end: Micros | null }>({
  items: 1_000,
  bytes: 1_000_000,
  bytesOfOne: 1_000,
  ageMs: REMEMBERED_MS,
});

/** Reads a list, and the latest end of the archived runs in the same round trip; null if no run is in the archive. */
export async function withArchiveEnd<T>(
  tools: Tools,
  read: (tools: Tools) => Promise<T>,
): Promise<{ answer: T; end: Micros | null }> {
  const remembered = known.get(tools.workspaceId);
  if (remembered) return { answer: await read(tools), end: remembered.end };
  const db = new AccompaniedDatabase(tools.db, selectEnd(tools.workspaceId));
  const answer = await read({ ...tools, db });
  const [row] = db.take() as { end: Micros | null }[];
  if (row) known.put(tools.workspaceId, row, []);
  return { answer, end: row?.end ?? null };
}

/** Forgets what is known. For tests. */
export function forgetArchiveEnds(): void {
  known.forget(() => true);
}

const selectEnd = (workspaceId: string) =>
  sql`select max(last_end) as end from ${run_archive} where workspace_id = ${workspaceId}`;
