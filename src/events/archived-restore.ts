/** Writes the events of an hour back from the archive to D1. */
import { createHash } from "node:crypto";
import { sql } from "drizzle-orm";
import { event_archive, event_restored_hour } from "#db/tables/event";
import { addressOf, type BundleRow, selectBundlesOf } from "#events/archived-bundles";
import type { MoveTools } from "#events/archived-move";
import { headerOf, readMoving } from "#events/archived-parts";
import { hourOf, type Segment, segmentStatements } from "#events/segments";
import { DAY, earliestId, type Micros, timeOfId } from "#lib/clock";

/** How long restored events stay in D1 before they move again. */
const KEPT: Micros = DAY;

/** How many bundles and events were written back, and how many bundles stay because they cannot be read whole. */
export interface Restored {
  bundles: number;
  events: number;
  unreadable: number;
}

/**
 * Writes the events of the hour of a time back to D1, one bundle in a transaction. They stay there for a day. May be
 * repeated at any time, also after an interruption. Throws 503 if the archive cannot be reached.
 */
export async function restoreHour(tools: MoveTools, time: Micros): Promise<Restored> {
  const { db, workspaceId } = tools;
  const hour = hourOf(time);
  await db.run(sql`insert into ${event_restored_hour} (workspace_id, hour, until)
    values (${workspaceId}, ${hour}, ${tools.clock() + KEPT})
    on conflict (workspace_id, hour) do update set until = excluded.until`);
  const restored: Restored = { bundles: 0, events: 0, unreadable: 0 };
  for (const bundle of await db.rows<BundleRow>(selectBundlesOf(workspaceId, hour))) {
    const segments = await readSegments(tools, bundle);
    if (segments === null) {
      if (await isStillThere(tools, bundle)) restored.unreadable++;
      continue;
    }
    await db.batch([
      ...segmentStatements(db, workspaceId, segments, () => false),
      sql`delete from ${event_archive} where workspace_id = ${workspaceId} and hour = ${hour} and id = ${bundle.id}`,
    ]);
    await tools.archive.delete([bundle.key]);
    restored.bundles++;
    restored.events += segments.reduce((sum, { events }) => sum + events.length, 0);
  }
  return restored;
}

/** Whether D1 has the row of a bundle. If not, somebody else has restored or removed the bundle meanwhile. */
async function isStillThere({ db, workspaceId }: MoveTools, { hour, id }: BundleRow): Promise<boolean> {
  return (await db.rows<BundleRow>(selectBundlesOf(workspaceId, hour))).some((bundle) => bundle.id === id);
}

/** The parts of a bundle as segments; null if one of them cannot be read. */
async function readSegments({ archive }: MoveTools, bundle: BundleRow): Promise<Segment[] | null> {
  const address = addressOf(bundle);
  const entries = await archive.readIndex(address);
  if (typeof entries === "string") return null;
  const segments: Segment[] = [];
  for (const [index, entry] of entries.entries()) {
    for (const portion of archive.readParts(address, [entry])) {
      for (const { content } of await portion()) {
        if (typeof content === "string") return null;
        const moving = readMoving(bundle.key, content);
        const events = moving.map(({ event, occurred, json }) => ({ event, occurred, json }));
        segments.push({ id: idOf(bundle, index, headerOf(entry).first_id), hour: bundle.hour, events });
      }
    }
  }
  return segments;
}

/** The id of a restored segment: always the same one, with the time at which its first events were written. */
function idOf({ id }: BundleRow, index: number, firstId: string): string {
  const digest = createHash("sha256").update(`${id} ${index}`).digest("hex");
  const time = earliestId(timeOfId(firstId)).slice(0, 13);
  return `${time}-7${digest.slice(0, 3)}-8${digest.slice(3, 6)}-${digest.slice(6, 18)}`;
}
