/** Moves the events of closed hours to the archive. */
import { type SQL, sql } from "drizzle-orm";
import { ArchiveUnreachable } from "#archive/bucket";
import { asList } from "#db/sql";
import { event_resource, event_restored_hour, event_segment } from "#db/tables/event";
import { flow_run } from "#db/tables/flow-run";
import { type MovingKey, moveSegments } from "#events/archived-move";
import { isOutage } from "#events/dead-letters";
import { firstSegmentAsked } from "#events/outbox";
import { isMoving } from "#events/retention";
import { BYTES, heartbeatPrefix, HOUR, hourOf } from "#events/segments";
import { earliestId, type Micros } from "#lib/clock";
import { type Page, type Place, takeRound } from "#services/retention-rounds";
import { LOOK_BACK } from "#services/signs-of-life";
import type { SweepTools, Tools } from "#tools";

/** How often the sweep looks for hours that are due, and how many bundles a turn makes. */
const EVERY_SECONDS = 3_600;
const PAGES = 20;
/** How many segments a bundle is made of, and how many bytes they have: as JSON, packed, and in their lists of names and resources. */
const MAX_SEGMENTS = 2_000;
const MAX_BYTES = 32_000_000;
const MAX_PACKED_BYTES = 4_000_000;
const MAX_LIST_BYTES = 800_000;

/**
 * Moves the events of hours that ended long enough ago. A segment stays in D1 as long as a sweep may need it there (see
 * `mayMove`), and its hour is looked at again in the next round.
 */
export async function archiveEvents(tools: SweepTools): Promise<void> {
  if (!isMoving(tools)) return;
  const age = tools.settings.archive.events_after_seconds * 1_000_000;
  await takeRound(tools, {
    name: "archive events",
    everySeconds: EVERY_SECONDS,
    pages: PAGES,
    items: MAX_SEGMENTS,
    table: event_segment,
    isOutage: (error) => error instanceof ArchiveUnreachable || isOutage(error),
    hasWork: ({ begun }) => sql`exists (select 1 from ${event_segment} s
      where s.workspace_id = w.id and s.hour < ${hourOf(begun - age)})`,
    work: (own, { begun, after, most }) => moveFrom(own, { before: begun - age, after, most }),
  });
}

interface Stretch extends Pick<Page, "after" | "most"> {
  /** Hours that ended before this time are due. */
  before: Micros;
}

interface Candidate extends MovingKey {
  may_move: number;
  octets: number;
  list_octets: number;
}

/** Moves the next segments of one hour. */
async function moveFrom(tools: Tools, { before, after, most }: Stretch): Promise<Place | null> {
  const { archive } = tools;
  if (archive === null) return null;
  const needed = await firstSegmentAsked(tools);
  const written = earliestId(before);
  const mayMove = mayMoveBefore(tools, needed < written ? needed : written);
  const found = await tools.db.rows<Candidate>(
    selectCandidates(tools.workspaceId, { before, after, most: Math.max(1, most) }, mayMove),
  );
  const looked = firstOf(found);
  const last = looked.at(-1);
  if (!last) return null;
  const moving = looked.filter(({ may_move }) => may_move);
  if (most > 0 && moving.some(({ event_count }) => event_count > 0)) await moveSegments({ ...tools, archive }, moving);
  return { at: last.hour, id: last.id };
}

/** The first segments, which one bundle has room for, and at least one. */
function firstOf(found: readonly Candidate[]): Candidate[] {
  const sizes = { bytes: 0, octets: 0, lists: 0 };
  const end = found.findIndex(({ may_move, bytes, octets, list_octets }, index) => {
    if (!may_move) return false;
    sizes.bytes += bytes;
    sizes.octets += octets;
    sizes.lists += list_octets;
    const isTooMuch = sizes.bytes > MAX_BYTES || sizes.octets > MAX_PACKED_BYTES || sizes.lists > MAX_LIST_BYTES;
    return index > 0 && isTooMuch;
  });
  return found.slice(0, end < 0 ? found.length : end);
}

/** Selects the next segments of one hour: of the first hour that has segments. */
function selectCandidates(workspaceId: string, { before, after, most }: Stretch, mayMove: SQL): SQL {
  const from = (alias: string) => {
    const place = sql.raw(`(${alias}.hour, ${alias}.id)`);
    const beyond = after ? sql`and ${place} > (${after.at}, ${after.id})` : sql``;
    return sql`${sql.raw(alias)}.workspace_id = ${workspaceId} and ${sql.raw(alias)}.hour < ${hourOf(before)} ${beyond}`;
  };
  return sql`select s.hour, s.id, s.first_occurred, s.event_count, ${BYTES} as bytes, octet_length(s.events) as octets,
      octet_length(s.resources) + octet_length(s.counts) as list_octets, ${mayMove} as may_move
    from ${event_segment} s
    where ${from("s")} and s.hour = (
      select n.hour from ${event_segment} n where ${from("n")} order by n.hour, n.id limit 1)
    order by s.hour, s.id limit ${most}`;
}

/**
 * Whether nobody needs the segment `s` in D1: the consumer of the queue has recorded it, and has not given it up, because
 * the replay of a dead letter records it; it was written so long ago that neither the outbox nor a listener reads it; it
 * was not written back from the archive; and the sweep of zombies does not need its heartbeats.
 */
function mayMoveBefore(tools: Tools, written: string): SQL {
  const { workspaceId, settings, clock } = tools;
  const isRestored = sql`s.hour in (select x.hour from ${event_restored_hour} x
    where x.workspace_id = ${workspaceId} and x.until > ${clock()})`;
  const isHeld = settings.services.zombies.enabled ? hasHeartbeats(workspaceId) : sql`false`;
  return sql`(s.consumed = 1 and s.id < ${written} and not ${isRestored} and not ${isHeld})`;
}

const HEARTBEATS = heartbeatPrefix("");

/**
 * Whether a segment `s` has heartbeats of a run that may still become a zombie: the run has not ended, and has no events
 * of later hours than the sweep of zombies looks back.
 */
function hasHeartbeats(workspaceId: string): SQL {
  const prefix = HEARTBEATS.trimEnd();
  return sql`(instr(s.resources, ${JSON.stringify(prefix).slice(0, -1)}) > 0 and exists (
    select 1 from json_each(${asList(sql`s.resources`)}) e
    cross join ${flow_run} r on r.workspace_id = ${workspaceId} and r.id = substr(e.value, ${prefix.length + 2}, 36)
    where instr(e.value, ${prefix}) = 1 and r.end_time is null and r.state_type in ('RUNNING', 'SCHEDULED')
      and s.hour + ${LOOK_BACK + HOUR} >= coalesce((
        select x.hour from ${event_resource} x where x.workspace_id = ${workspaceId}
          and x.resource_id = 'prefect.flow-run.' || r.id order by x.hour desc limit 1), s.hour)))`;
}
