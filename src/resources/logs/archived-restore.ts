/** Writes the archived logs of a run back to D1. */
import { sql } from "drizzle-orm";
import { pack } from "#db/packed";
import { log_archive, log_restored_run } from "#db/tables/log";
import { DAY, type Micros } from "#lib/clock";
import { addressOf, type BundleRow, digitsOf, selectBundlesOf } from "#resources/logs/archived-bundles";
import type { MoveTools } from "#resources/logs/archived-move";
import { headerOf, type MovingSegment, openForRestore } from "#resources/logs/archived-parts";
import { insertSegments } from "#resources/logs/insert-segments";

/** How long restored logs stay in D1 before they move again. */
const KEPT: Micros = DAY;
/** How many bundles one read returns. A run has fewer. */
const MOST = 1_000;

/** How many logs were written back, and how many bundles keep their logs because these cannot be read whole. */
export interface Restored {
  logs: number;
  unreadable: number;
}

/**
 * Writes the archived logs of a flow run back to D1, as they were, one bundle in a transaction. They stay there for a
 * day. May be repeated at any time, also after an interruption. Throws 503 if the archive cannot be reached.
 */
export async function restoreLogs(tools: MoveTools, flowRunId: string): Promise<Restored> {
  const { db, workspaceId } = tools;
  const until = tools.clock() + KEPT;
  await db.run(sql`insert into ${log_restored_run} (workspace_id, run_id, until)
    values (${workspaceId}, ${flowRunId}, ${until}) on conflict (workspace_id, run_id) do update set until = excluded.until`);
  const restored: Restored = { logs: 0, unreadable: 0 };
  for (const bundle of await bundlesOf(tools, flowRunId)) {
    const segments = await readSegments(tools, bundle, flowRunId);
    const isRestored = segments !== null && (await writeBack(tools, bundle, flowRunId, segments));
    if (isRestored) restored.logs += segments.reduce((sum, { record_count }) => sum + record_count, 0);
    // Somebody else may have restored the logs meanwhile.
    else if ((await bundlesOf(tools, flowRunId)).some(({ id }) => id === bundle.id)) restored.unreadable++;
  }
  return restored;
}

const bundlesOf = ({ db, workspaceId }: MoveTools, flowRunId: string): Promise<BundleRow[]> =>
  db.rows<BundleRow>(selectBundlesOf(workspaceId, [flowRunId], "TIMESTAMP_ASC", MOST));

/** The run's segments in a bundle; null if a part cannot be read. */
async function readSegments(
  { archive }: MoveTools,
  bundle: BundleRow,
  flowRunId: string,
): Promise<MovingSegment[] | null> {
  const address = addressOf(bundle);
  const entries = await archive.readIndex(address);
  if (typeof entries === "string") return null;
  const own = entries.filter((entry) => headerOf(entry).run_id === flowRunId);
  const segments: MovingSegment[] = [];
  for (const portion of archive.readParts(address, own)) {
    for (const { content } of await portion()) {
      if (typeof content === "string") return null;
      segments.push(...openForRestore(flowRunId, content));
    }
  }
  return segments;
}

/** Inserts the segments, and takes the run out of the bundle. Returns false if the bundle did not have the run any more. */
async function writeBack(
  tools: MoveTools,
  { first_start, id }: BundleRow,
  flowRunId: string,
  segments: readonly MovingSegment[],
): Promise<boolean> {
  const { db, workspaceId, archive } = tools;
  const own = sql`workspace_id = ${workspaceId} and first_start = ${first_start} and id = ${id}`;
  const [row] = await db.rows<{ runs: string }>(sql`select hex(runs) as runs from ${log_archive} where ${own}`);
  const before = (row?.runs.toLowerCase().match(/.{32}/g) ?? []) as readonly string[];
  const digits = digitsOf(flowRunId);
  if (!before.includes(digits)) return false;
  const after = before.filter((one) => one !== digits);
  const isAsRead = sql`exists (select 1 from ${log_archive} where ${own} and runs = unhex(${before.join("")}))`;
  const rows = segments.map(({ json, ...segment }) => ({ ...segment, records: pack(json) }));
  const results = await db.batch([
    ...insertSegments(workspaceId, rows, isAsRead),
    sql`update ${log_archive} set runs = unhex(${after.join("")}) where ${own} and runs = unhex(${before.join("")})`,
    sql`delete from ${log_archive} where ${own} and octet_length(runs) = 0 returning key`,
  ]);
  const [updated, removed] = results.slice(-2);
  await archive.delete((removed?.rows ?? []).map(({ key }) => String(key)));
  if (updated?.changes === 1) return true;
  // Another run of the bundle was restored meanwhile.
  return writeBack(tools, { first_start, id } as BundleRow, flowRunId, segments);
}
