/** Moves the logs of runs that ended long ago to the archive. */
import { type SQL, sql } from "drizzle-orm";
import { ArchiveUnreachable } from "#archive/bucket";
import { each } from "#db/sql";
import { flow_run } from "#db/tables/flow-run";
import { log_archive, log_minute, log_restored_run, log_segment } from "#db/tables/log";
import { archived_run } from "#db/tables/run-archive";
import { isOutage } from "#events/dead-letters";
import { isMoving } from "#events/retention";
import { DAY, type Micros } from "#lib/clock";
import { hasLogsOf, isArchivedRun, MAX_STRETCH } from "#resources/logs/archived-bundles";
import { type MovingKey, moveLogs } from "#resources/logs/archived-move";
import { type Page, type Place, takeRound } from "#services/retention-rounds";
import type { SweepTools, Tools } from "#tools";

/** How often the sweep looks for runs that are due, at most. So the runs of a day move together. */
const EVERY_SECONDS = 86_400;
/** How many pages a turn has. Nearly every page is one bundle. */
const PAGES = 20;
/** How many rows of `log_minute` a page has: a stock run has one or two. */
const MAX_MINUTES = 1_000;
/** How many segments a page moves, and how many bytes they have. */
const MAX_SEGMENTS = 5_000;
const MAX_BYTES = 4_000_000;
/** How many bundles may have logs of a run. More logs of such a run stay in D1, because a reader looks at a bounded number of bundles. */
const MAX_BUNDLES = 50;
/** How many times a page is tried if somebody else changes its segments meanwhile. */
const MAX_TRIES = 2;

/**
 * Moves the logs of runs that ended before the cutoff, as far as the logs are from before the cutoff. Goes through the
 * minutes with logs in D1, so logs that have moved cost nothing. Logs without a flow run, and logs of a run that does
 * not exist, stay in D1. A run may be in the archive before its logs.
 */
export async function archiveLogs(tools: SweepTools): Promise<void> {
  if (!isMoving(tools)) return;
  const seconds = tools.settings.archive.logs_after_seconds;
  const age = seconds * 1_000_000;
  await takeRound(tools, {
    name: "archive logs",
    everySeconds: Math.min(EVERY_SECONDS, seconds),
    pages: PAGES,
    items: MAX_MINUTES,
    table: log_minute,
    isOutage: (error) => error instanceof ArchiveUnreachable || isOutage(error),
    hasWork: ({ begun }) => sql`exists (select 1 from ${log_minute} m
      where m.workspace_id = w.id and m.minute < ${begun - age})`,
    work: (own, { begun, after, most }) => movePage(own, { before: begun - age, after, most }),
  });
}

interface Stretch extends Pick<Page, "after" | "most"> {
  /** The cutoff. */
  before: Micros;
}

/** A run that logged in a minute. The start is null if the run is not due. */
interface Logged {
  minute: Micros;
  run_id: string;
  start: Micros | null;
  end: Micros;
}

type Due = Logged & { start: Micros };

/** Moves the logs of the next runs. */
async function movePage(tools: Tools, stretch: Stretch): Promise<Place | null> {
  const { archive } = tools;
  if (archive === null) return null;
  const most = Math.max(1, stretch.most);
  const looked = await tools.db.rows<Logged>(selectLogged(tools, { ...stretch, most }));
  const last = looked.at(-1);
  if (!last) return null;
  const end = looked.length < most ? null : placeOf(last);
  if (stretch.most === 0) return end;
  for (let tries = 1; ; tries++) {
    const { segments, unmoved } = await segmentsOf(tools, dueAmong(looked), stretch.before);
    const moved: (number | null)[] = [];
    for (const some of stretchesOf(segments)) moved.push(await moveLogs({ ...tools, archive }, some));
    if (moved.includes(null) && tries < MAX_TRIES) continue;
    // The next page begins with the first run that has more segments.
    const next = looked.findIndex(({ run_id }) => run_id === unmoved);
    if (next < 0) return end;
    const before = looked[next - 1];
    if (before) return placeOf(before);
    return moved.some((count) => count) ? (stretch.after ?? BEGINNING) : end;
  }
}

const BEGINNING: Place = { at: -9e18, id: "" };
const placeOf = ({ minute, run_id }: Logged): Place => ({ at: minute, id: run_id });

/**
 * The next minutes and runs. A run is due if it ended before the cutoff and its logs were not written back. An archived run `q` ended long
 * ago: its logs came late, or moved later than the run.
 */
function selectLogged({ workspaceId, clock }: Tools, { before, after, most }: Stretch): SQL {
  const from = after ?? BEGINNING;
  const start = "coalesce(r.start_time, q.start)";
  const count = sql`(select count(*) from ${log_archive} a where ${hasLogsOf(workspaceId, "m.run_id", start)})`;
  // A run that ended long before the cutoff has moved before, unless this round is the first one.
  const bundles = sql`iif(coalesce(r.end_time, q.first_end) < ${before - 2 * DAY}, ${count}, 0)`;
  const isDue = sql`coalesce(r.end_time, q.first_end) < ${before} and ${bundles} < ${MAX_BUNDLES} and not exists (
    select 1 from ${log_restored_run} x
    where x.workspace_id = ${workspaceId} and x.run_id = m.run_id and x.until > ${clock()})`;
  return sql`select m.minute, m.run_id, iif(${isDue}, ${sql.raw(start)}, null) as start,
      coalesce(r.end_time, q.first_end, 0) as end
    from ${log_minute} m left join ${flow_run} r on r.workspace_id = m.workspace_id and r.id = m.run_id
    left join ${archived_run} q on ${isArchivedRun(workspaceId, "m.run_id")}
    where m.workspace_id = ${workspaceId} and m.minute < ${before}
      and (m.minute, m.run_id) > (${from.at}, ${from.id})
    order by m.minute, m.run_id limit ${most}`;
}

/** The runs that are due, each once. */
function dueAmong(looked: readonly Logged[]): Due[] {
  const due = new Map<string, Due>();
  for (const one of looked) {
    const { start } = one;
    if (start !== null && !due.has(one.run_id)) due.set(one.run_id, { ...one, start });
  }
  return [...due.values()];
}

/** The segments of runs, as many as a page moves, and the first run that has more segments. */
async function segmentsOf(
  { db, workspaceId }: Tools,
  due: readonly Due[],
  before: Micros,
): Promise<{ segments: MovingKey[]; unmoved: string | undefined }> {
  if (due.length === 0) return { segments: [], unmoved: undefined };
  const rows = await db.rows<MovingKey>(sql`
    select s.run_id, s.first_timestamp, s.digest, octet_length(s.records) as bytes,
      k.value ->> 1 as start, k.value ->> 2 as end
    from ${each(due.map(({ run_id, start, end }) => [run_id, start, end]))} k
    cross join ${log_segment} s on s.workspace_id = ${workspaceId} and s.run_id = k.value ->> 0
      and s.last_timestamp < ${before}
    order by k.key, s.first_timestamp, s.digest limit ${MAX_SEGMENTS + 1}`);
  let bytes = 0;
  const cut = rows.findIndex((row, index) => {
    bytes += row.bytes;
    return index > 0 && (index >= MAX_SEGMENTS || bytes > MAX_BYTES);
  });
  if (cut < 0) return { segments: rows, unmoved: undefined };
  return { segments: rows.slice(0, cut), unmoved: rows[cut]?.run_id };
}

/** Divides segments into bundles. The runs of a bundle start within a stretch of time. */
function stretchesOf(segments: readonly MovingKey[]): MovingKey[][] {
  const stretches: MovingKey[][] = [];
  for (const segment of segments.toSorted((a, b) => a.start - b.start)) {
    const last = stretches.at(-1);
    if (last?.[0] && segment.start <= last[0].start + MAX_STRETCH) last.push(segment);
    else stretches.push([segment]);
  }
  return stretches;
}
