/** Removes archived events past their retention, and objects of the archive that no row names. */
import { sql } from "drizzle-orm";
import * as z from "zod";
import { ArchiveUnreachable } from "#archive/bucket";
import { afterWorkspace, endOfKey, hourOfKey, startOfKey, workspaceOfKey, workspacePrefix } from "#archive/keys";
import type { Archive } from "#archive/store";
import { databaseNameOf } from "#databases";
import { each } from "#db/sql";
import { event_archive } from "#db/tables/event";
import { log_archive } from "#db/tables/log";
import { run_archive } from "#db/tables/run-archive";
import { removeArchivedHour } from "#events/archived-removal";
import { isOutage } from "#events/dead-letters";
import { shownSince } from "#events/retention";
import { hourOf } from "#events/segments";
import { DAY, type Micros } from "#lib/clock";
import { log } from "#lib/log";
import { takeRound } from "#services/retention-rounds";
import { takeTurn } from "#services/turns";
import { inWorkspace, type SweepTools, type Tools } from "#tools";

/** How many hours a turn removes. */
const HOURS = 20;
const isPassing = (error: unknown) => error instanceof ArchiveUnreachable || isOutage(error);

/** Removes archived events by whole hours that are past the retention of the archive. */
export async function removeArchivedEvents(tools: SweepTools): Promise<void> {
  const { archive, settings } = tools;
  if (archive === null || !settings.services.db_vacuum.types.includes("events")) return;
  const end = (begun: Micros) => hourOf(shownSince(tools, begun).oldest);
  await takeRound(tools, {
    name: "archived events",
    everySeconds: settings.services.db_vacuum.loop_seconds,
    pages: HOURS,
    table: event_archive,
    isOutage: isPassing,
    hasWork: ({ begun }) => sql`exists (select 1 from ${event_archive} a
      where a.workspace_id = w.id and a.hour < ${end(begun)})`,
    async work(own, { begun, after, most }) {
      const [next] = await own.db.rows<{ hour: Micros }>(sql`select a.hour from ${event_archive} a
        where a.workspace_id = ${own.workspaceId} and a.hour > ${after?.at ?? -9e18} and a.hour < ${end(begun)}
        order by a.hour limit 1`);
      if (!next) return null;
      if (most > 0) await removeArchivedHour({ ...own, archive }, next.hour);
      return { at: next.hour, id: "" };
    },
  });
}

/** How many pages of keys a turn reads. */
const PAGES = 4;
const KEYS = 1_000;
/** A younger object may get its row yet. No writer lives so long. */
const MIN_AGE: Micros = DAY;

/** When the search began, and the last key that was looked at; null if the search is complete. */
const Search = z.object({ begun: z.number(), after: z.string().nullable() });

/**
 * Searches the bucket for objects with events, logs or runs that no row of this database names, once a day, and removes
 * those older than a day. They are left by a process that died between the write of an object and the transaction, or
 * between a transaction and the removal of an object. Objects of workspaces with another database are passed over.
 */
export async function removeLeftoverObjects(tools: SweepTools): Promise<void> {
  const { archive } = tools;
  if (archive === null) return;
  await takeTurn(tools, {
    name: "leftover objects",
    most: KEYS,
    steps: PAGES,
    keepsSizeOnError: isPassing,
    begin(mark) {
      const search = mark === null ? undefined : Search.safeParse(JSON.parse(mark)).data;
      if (search && search.after !== null) return mark;
      if (search && tools.clock() < search.begun + DAY) return null;
      return JSON.stringify({ begun: tools.clock(), after: "" });
    },
    async step({ place, most, note }) {
      await note();
      const { begun, after } = Search.parse(JSON.parse(place));
      const next = await searchPage({ ...tools, archive }, after ?? "", Math.max(1, most), most > 0);
      return { place: JSON.stringify({ begun, after: next }), isEnd: next === null };
    },
  });
}

/** Looks at the next keys of one workspace. Returns where the search goes on; null at the end. */
async function searchPage(
  tools: SweepTools & { archive: Archive },
  after: string,
  most: number,
  isRemoving: boolean,
): Promise<string | null> {
  const { archive } = tools;
  const before = tools.clock() - MIN_AGE;
  const {
    keys: [next],
  } = await archive.listOlder("", Infinity, { after, limit: 1 });
  if (next === undefined) return null;
  const workspaceId = workspaceOfKey(next);
  if (workspaceId === undefined) return next;
  // The rows of these objects are in another database, and the sweep of that database looks at them.
  if (databaseNameOf(tools.settings, workspaceId) !== tools.dbName) return afterWorkspace(workspaceId);
  const page = await archive.listOlder(workspacePrefix(workspaceId), before, { after, limit: most });
  if (isRemoving && page.keys.length > 0) {
    const leftovers = await leftoversAmong(inWorkspace(tools, workspaceId), page.keys);
    if (leftovers.length > 0) log(tools, "warn", "objects that no row names are removed", { keys: leftovers });
    await archive.delete(leftovers);
  }
  return page.next ?? afterWorkspace(workspaceId);
}

/** The tables whose rows name objects: the column of a time, and how this time is found in the key of an object. */
const NAMING = [
  { table: event_archive, time: event_archive.hour, timeOf: hourOfKey },
  { table: log_archive, time: log_archive.first_start, timeOf: startOfKey },
  { table: run_archive, time: run_archive.first_end, timeOf: endOfKey },
];

/** Which of these objects no row names. Objects that this program has not made are left out. */
async function leftoversAmong({ db, workspaceId }: Tools, keys: readonly string[]): Promise<string[]> {
  const leftovers: string[] = [];
  for (const { table, time, timeOf } of NAMING) {
    const objects = keys.flatMap((key) => {
      const at = timeOf(key);
      return at === undefined ? [] : [[at, key]];
    });
    if (objects.length === 0) continue;
    // The time and the workspace are the beginning of the key of the table.
    const rows = await db.rows<{ key: string }>(sql`select value ->> 1 as key from ${each(objects)}
      where not exists (select 1 from ${table}
        where ${table.workspace_id} = ${workspaceId} and ${time} = value ->> 0 and ${table.key} = value ->> 1)`);
    leftovers.push(...rows.map(({ key }) => key));
  }
  return leftovers;
}
