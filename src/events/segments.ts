/** Events gathered into segments, the rows that hold them. */
import { Buffer } from "node:buffer";
import { sql } from "drizzle-orm";
import { type Database, isPassing, type Statement } from "#db/database";
import { event_resource, event_segment } from "#db/tables/event";
import { idOfKind, type ReceivedEvent, resourceId } from "#events/event";
import { earliestId, timeOfId } from "#events/ordered-ids";
import type { Ids, Micros } from "#lib/clock";
import { each } from "#db/sql";
import { chunks } from "#lib/chunks";

/** An event with what is asked of it again and again: when it occurred, and its JSON. */
export interface GatheredEvent {
  event: ReceivedEvent;
  occurred: Micros;
  json: string;
}

/** A segment before it is written. */
export interface Segment {
  id: string;
  hour: Micros;
  events: GatheredEvent[];
}

/** Where a segment lies: its key within a workspace, and how large it is. */
export interface SegmentKey {
  id: string;
  hour: Micros;
  bytes: number;
}

const HOUR: Micros = 3_600_000_000;
/** D1 takes rows of 2 MB; a single event may have more than this and then has a segment of its own. */
const MAX_SEGMENT_BYTES = 1_000_000;
/** What an event may have in its segment: a row of D1, less what else is in it. */
const MAX_EVENT_BYTES_IN_ROW = 1_900_000;
const WRITE_TRIES = 3;

/** The hour that a time lies in. */
export function hourOf(time: Micros): Micros {
  return Math.floor(time / HOUR) * HOUR;
}

/** Parts events by the hour they occurred in, and where they are too many for one row. */
export function buildSegments(events: readonly GatheredEvent[], now: Micros, ids: Ids): Segment[] {
  const segments: Segment[] = [];
  const byHour = Map.groupBy(events, (event) => hourOf(event.occurred));
  for (const [hour, ofHour] of byHour) {
    let open: Segment | undefined;
    let bytes = 0;
    for (const event of ofHour.toSorted((a, b) => a.occurred - b.occurred)) {
      const own = bytesInRow(event);
      if (!open || bytes + own > MAX_SEGMENT_BYTES) {
        open = { id: ids.ordered(now), hour, events: [] };
        segments.push(open);
        bytes = 0;
      }
      open.events.push(event);
      bytes += own;
    }
  }
  return segments;
}

/** How many bytes an event has in the row of its segment: its JSON, and the names of what it is found by. */
function bytesInRow({ event, json }: Pick<GatheredEvent, "event" | "json">): number {
  return indexedResources(event).reduce((sum, id) => sum + Buffer.byteLength(id) + 3, Buffer.byteLength(json));
}

/** Whether there is room for an event in a row of its own. */
export function fitsRow(event: Pick<GatheredEvent, "event" | "json">): boolean {
  return bytesInRow(event) <= MAX_EVENT_BYTES_IN_ROW;
}

/** The resources by which an event is found without a scan; see the table `event_resource`. */
export function indexedResources(event: ReceivedEvent): string[] {
  const about = resourceId(event.resource);
  const runs = [about, ...event.related.map(resourceId)].filter((id) => idOfKind("prefect.flow-run", id) !== undefined);
  if (idOfKind("prefect.flow-run", about) !== undefined) return runs;
  if (idOfKind("prefect.task-run", about) !== undefined && runs.length > 0) return runs;
  return [about, ...runs];
}

/**
 * Writes segments and their index rows, in one batch. A try whose outcome is unknown is repeated: the keys are made
 * before, so what is there already stays as it is. `isWork` says whether the queue's consumer has to look at a segment.
 */
export async function writeSegments(
  db: Database,
  workspaceId: string,
  segments: readonly Segment[],
  isWork: (segment: Segment) => boolean,
): Promise<void> {
  const described = segments.map((segment) => ({
    segment,
    resources: [...new Set(segment.events.flatMap(({ event }) => indexedResources(event)))],
  }));
  const statements: Statement[] = described.map(({ segment, resources }) =>
    db.build
      .insert(event_segment)
      .values({
        workspace_id: workspaceId,
        hour: segment.hour,
        id: segment.id,
        first_occurred: segment.events[0]?.occurred ?? segment.hour,
        last_occurred: segment.events.at(-1)?.occurred ?? segment.hour,
        event_count: segment.events.length,
        counts: JSON.stringify(countByName(segment)),
        consumed: isWork(segment) ? 0 : 1,
        resources: JSON.stringify([...resources, ...heartbeatsOf(segment)]),
        run_event_ids: JSON.stringify(runEventIds(segment)),
        events: `[${segment.events.map((event) => event.json).join(",")}]`,
      })
      .onConflictDoNothing(),
  );
  const found = described.flatMap(({ segment, resources }) => {
    const { first, last } = periodOf(segment.id);
    return resources.map((resource) => [resource, segment.hour, first, last]);
  });
  for (const rows of chunks(found, MAX_INDEX_ROWS)) {
    statements.push(sql`insert into ${event_resource} (workspace_id, resource_id, hour, first_id, last_id)
      select ${workspaceId}, value->>0, value->>1, value->>2, value->>3
      from ${each(rows)} where true
      on conflict do nothing`);
  }
  for (let tries = 1; ; tries++) {
    try {
      await db.batch(statements);
      return;
    } catch (error) {
      if (tries >= WRITE_TRIES || !isPassing(error)) throw error;
    }
  }
}

/** What a run's heartbeat is called, by the stock client too. */
const HEARTBEAT = "prefect.flow-run.heartbeat";

/** The heartbeats of flow runs, as a segment tells of them: `HEARTBEAT`, the run's id and when it occurred. */
function heartbeatsOf(segment: Segment): string[] {
  return segment.events.flatMap(({ event, occurred }) => {
    const runId = event.event === HEARTBEAT ? idOfKind("prefect.flow-run", resourceId(event.resource)) : undefined;
    return runId === undefined ? [] : heartbeatPrefix(runId) + String(occurred);
  });
}

/** What tells of a run's heartbeats begins so. */
export function heartbeatPrefix(runId: string): string {
  return `${HEARTBEAT} ${runId} `;
}

const MAX_INDEX_ROWS = 2_000;
/**
 * How long the segments are written that one index row leads to. A run that lasts less has one or two; whoever looks for it
 * passes over the segments of that time, at most ten a second.
 */
export const PERIOD: Micros = 20_000_000;

/** The ids between which the segments of the same period lie. */
function periodOf(segmentId: string): { first: string; last: string } {
  const begin = Math.floor(timeOfId(segmentId) / PERIOD) * PERIOD;
  return { first: earliestId(begin), last: earliestId(begin + PERIOD) };
}

/** The ids of the events that are about flow runs; a state's event has the state's id. */
function runEventIds(segment: Segment): string[] {
  return segment.events.flatMap(({ event }) =>
    idOfKind("prefect.flow-run", resourceId(event.resource)) === undefined ? [] : event.id,
  );
}

function countByName(segment: Segment): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { event } of segment.events) counts.set(event.event, (counts.get(event.event) ?? 0) + 1);
  return Object.fromEntries(counts);
}

/** A segment's key, for the queue. */
export function keyOf(segment: Segment): SegmentKey {
  return {
    id: segment.id,
    hour: segment.hour,
    bytes: segment.events.reduce((sum, event) => sum + Buffer.byteLength(event.json), 2),
  };
}
