/** Rounds over all workspaces that take as many turns as they need, remember how far they are, and begin again when it is time. */
import { type SQL, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import { z } from "zod";
import { configuration } from "#db/tables/configuration";
import { DEFAULT_WORKSPACE } from "#env";
import type { Micros } from "#lib/clock";
import { log } from "#lib/log";
import type { Tools } from "#tools";

/** Where a page ended within its workspace. */
const Place = z.object({ at: z.number(), id: z.string() });
export type Place = z.output<typeof Place>;

/** How far a round is; kept from turn to turn. */
const Progress = z.object({
  begun: z.number(),
  /** When the round before began, if that came to its end. */
  before: z.number().nullable(),
  /** The workspace it is in, and how far; null when it is at its end. */
  cursor: z.object({ workspace_id: z.string(), after: Place.nullable() }).nullable(),
  /** The page that is at work: how many items it has at most, and how often it was begun. Kept before the work, which may never end. */
  unfinished: z.object({ most: z.number(), tries: z.number() }).nullable().default(null),
});
type Progress = z.output<typeof Progress>;

/** What a page is to do: the time its round began, and the round before, and where the page before ended. */
export interface Page {
  begun: Micros;
  before: Micros | null;
  after: Place | null;
  /** How many items it takes at most; with 0 it passes over one, for nobody came to an end with that. */
  most: number;
}

/** Something that is done to all workspaces again and again. */
export interface Round {
  name: string;
  /** How long after its beginning the next one begins. */
  everySeconds: number;
  /** How many pages a turn may do. */
  pages: number;
  /** How many items a page has. */
  items: number;
  /** The table whose workspaces are gone through. */
  table: SQLiteTable;
  /** Whether there is anything to do in the workspace `w.id`. */
  hasWork: (page: Pick<Page, "begun" | "before">) => SQL;
  /** Does a bounded piece of work in one workspace; gives where the next begins, or null where none is left. */
  work: (tools: Tools, page: Page) => Promise<Place | null>;
}

const START = { workspace_id: "", after: null };

/** How often a page of one item is begun before that item is passed over until the next round. */
const MAX_TRIES = 5;

/**
 * One turn of a round: goes on with it, begins it, or finds that it is not time yet. A page that was cut short is done again
 * with an eighth of its items, down to the one that is to blame, which is passed over in the end: it keeps nothing waiting.
 */
export async function takeTurn(tools: Tools, round: Round): Promise<void> {
  let progress = await readProgress(tools, round);
  let unfinished = beginPage(progress.unfinished, round.items);
  if (progress.cursor) await keepProgress(tools, round, { ...progress, unfinished });
  for (let pages = 1; pages <= round.pages && progress.cursor; pages++) {
    const most = unfinished.tries > MAX_TRIES ? 0 : unfinished.most;
    if (most === 0)
      log(tools, "error", "a round passes over one item, with which no page ends", {
        round: round.name,
        cursor: progress.cursor,
      });
    const cursor = await nextCursor(tools, round, progress, progress.cursor, most);
    unfinished = { most: Math.min(round.items, 2 * unfinished.most), tries: 1 };
    progress = { ...progress, cursor, unfinished: null };
    const isLast = pages === round.pages || cursor === null;
    await keepProgress(tools, round, { ...progress, unfinished: isLast ? null : unfinished });
  }
}

/** The page to begin: all items, or, where the page before never came to its end, fewer of them. */
function beginPage(before: Progress["unfinished"], items: number): NonNullable<Progress["unfinished"]> {
  if (!before) return { most: items, tries: 1 };
  const most = Math.max(1, Math.floor(before.most / 8));
  return { most, tries: before.most === 1 ? before.tries + 1 : 1 };
}

async function nextCursor(
  tools: Tools,
  round: Round,
  { begun, before }: Progress,
  { workspace_id: last, after }: NonNullable<Progress["cursor"]>,
  most: number,
): Promise<Progress["cursor"]> {
  const workspaceId = after ? last : await nextWorkspace(tools, round, last, { begun, before });
  if (workspaceId === undefined) return null;
  const next = await round.work({ ...tools, workspaceId }, { begun, before, after, most });
  return { workspace_id: workspaceId, after: next };
}

/** The next workspace that has work; two seeks for each that has none. */
async function nextWorkspace(
  tools: Tools,
  { table, hasWork }: Round,
  last: string,
  times: Pick<Page, "begun" | "before">,
): Promise<string | undefined> {
  const following = (id: SQL) => sql`select min(workspace_id) from ${table} where workspace_id > ${id}`;
  const [row] = await tools.db.rows<{ id: string }>(sql`
    with recursive w(id) as (
      ${following(sql`${last}`)} union all select (${following(sql`w.id`)}) from w where w.id is not null
    )
    select id from w where id is not null and ${hasWork(times)} limit 1`);
  return row?.id;
}

async function readProgress({ db, clock }: Tools, { name, everySeconds }: Round): Promise<Progress> {
  const [row] = await db.rows<{ value: string }>(sql`select value from ${configuration} where ${ofRound(name)}`);
  const kept = row && Progress.safeParse(JSON.parse(row.value)).data;
  const now = clock();
  if (!kept) return { begun: now, before: null, cursor: START, unfinished: null };
  if (kept.cursor || now < kept.begun + everySeconds * 1_000_000) return kept;
  return { begun: now, before: kept.begun, cursor: START, unfinished: null };
}

async function keepProgress({ db, clock }: Tools, { name }: Round, progress: Progress): Promise<void> {
  const now = clock();
  await db.run(sql`insert into ${configuration} (workspace_id, key, created, updated, value)
    values (${DEFAULT_WORKSPACE}, ${keyOf(name)}, ${now}, ${now}, ${JSON.stringify(progress)})
    on conflict do update set value = excluded.value, updated = excluded.updated`);
}

const keyOf = (name: string): string => `retention: ${name}`;
const ofRound = (name: string): SQL => sql`workspace_id = ${DEFAULT_WORKSPACE} and key = ${keyOf(name)}`;
