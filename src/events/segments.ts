/** Segments: rows that have many events each. How they are made, written, named and opened. */
import { Buffer } from "node:buffer";
import { type SQL, sql } from "drizzle-orm";
import type { Database, Statement } from "#db/database";
import { pack, packedColumn, stored } from "#db/packed";
import { event_resource, event_segment } from "#db/tables/event";
import { idOfKind, type ReceivedEvent, resourceId } from "#events/event";
import { chunks, chunksBySize } from "#lib/chunks";
import { type Ids, type Micros, earliestId, timeOfId } from "#lib/clock";
import { parseJson, STORED_JSON_DEPTH, TooDeep } from "#lib/json";
import { isObject } from "#lib/json-value";
import { each } from "#db/sql";

/** An event, with its time as a number and its JSON. Both are used several times. */
export interface GatheredEvent {
  event: ReceivedEvent;
  occurred: Micros;
  json: string;
}

/** A segment's key within a workspace. */
export interface SegmentKey {
  id: string;
  hour: Micros;
}

/** A segment before it is written. */
export interface Segment extends SegmentKey {
  events: GatheredEvent[];
}

/** A segment's key, and the size of its events: bytes of JSON. In the row they are packed to about a tenth. */
export interface SizedKey extends SegmentKey {
  bytes: number;
}

/** The events of a segment `s`, for the columns of a select. `unpack` returns their JSON. */
export const EVENTS: SQL = packedColumn("s.events");

/** The `bytes` of a segment `s`, for the columns of a select. The events are not read. */
export const BYTES: SQL = sql.raw(
  "iif(typeof(s.events) = 'blob', cast(substr(s.resources, 3) as integer), octet_length(s.events))",
);

/** An hour: all events of a segment occurred in one hour. */
export const HOUR: Micros = 3_600_000_000;
/** How many bytes a segment has. D1 takes rows of 2 MB. An event with more bytes gets a segment of its own. */
const MAX_SEGMENT_BYTES = 1_000_000;
/** How many bytes of a row an event may have: the bytes of a D1 row, minus the other columns. */
const MAX_EVENT_BYTES_IN_ROW = 1_900_000;

/** Returns the start of a time's hour. */
export function hourOf(time: Micros): Micros {
  return Math.floor(time / HOUR) * HOUR;
}

/** Makes segments of events. Each segment has events of one hour and fits one row. */
export function buildSegments(events: readonly GatheredEvent[], now: Micros, ids: Ids): Segment[] {
  return [...Map.groupBy(events, (event) => hourOf(event.occurred))].flatMap(([hour, ofHour]) => {
    const sorted = ofHour.toSorted((a, b) => a.occurred - b.occurred);
    const parts = chunksBySize(sorted, MAX_SEGMENT_BYTES, bytesInRow);
    return parts.map((part) => ({ id: ids.ordered(now), hour, events: part }));
  });
}

/** How many bytes an event has in the row of its segment: its JSON, and the ids of its indexed resources. */
function bytesInRow({ event, json }: Pick<GatheredEvent, "event" | "json">): number {
  return indexedResources(event).reduce((sum, id) => sum + Buffer.byteLength(id) + 3, Buffer.byteLength(json));
}

/** Whether a row has room for the event. */
export function fitsRow(event: Pick<GatheredEvent, "event" | "json">): boolean {
  return bytesInRow(event) <= MAX_EVENT_BYTES_IN_ROW;
}

/** Returns the ids of the resources by which the index finds an event. See the table `event_resource`. */
export function indexedResources(event: ReceivedEvent): string[] {
  const about = resourceId(event.resource);
  const runs = [about, ...event.related.map(resourceId)].filter((id) => idOfKind("prefect.flow-run", id) !== undefined);
  if (idOfKind("prefect.flow-run", about) !== undefined) return runs;
  if (idOfKind("prefect.task-run", about) !== undefined && runs.length > 0) return runs;
  return [about, ...runs];
}

/**
 * Writes segments and their index rows in one batch. If the outcome of a try is unknown, the batch is repeated. The keys stay the same,
 * so existing rows are not changed. `isWork` says whether the queue's consumer has to record a segment.
 */
export async function writeSegments(
  db: Database,
  workspaceId: string,
  segments: readonly Segment[],
  isWork: (segment: Segment) => boolean,
): Promise<void> {
  await db.repeatable(segmentStatements(db, workspaceId, segments, isWork));
}

/** The statements that write segments and their index rows. Existing rows are not changed. */
export function segmentStatements(
  db: Database,
  workspaceId: string,
  segments: readonly Segment[],
  isWork: (segment: Segment) => boolean,
): Statement[] {
  const described = segments.map((segment) => ({
    segment,
    resources: [...new Set(segment.events.flatMap(({ event }) => indexedResources(event)))],
  }));
  const statements: Statement[] = described.map(({ segment, resources }) => {
    const json = `[${segment.events.map((event) => event.json).join(",")}]`;
    return db.build
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
        resources: JSON.stringify([sizeEntry(json), ...resources, ...heartbeatsOf(segment)]),
        run_event_ids: JSON.stringify(runEventIds(segment)),
        events: stored(pack(json)),
      })
      .onConflictDoNothing();
  });
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
  return statements;
}

/** The first entry of a segment's column `resources`. */
export function sizeEntry(json: string): string {
  return `${Buffer.byteLength(json)} bytes`;
}

/** The event name of a run's heartbeat. The stock client uses the same name. */
const HEARTBEAT = "prefect.flow-run.heartbeat";

/** The heartbeats of flow runs, for a segment's column `resources`: `HEARTBEAT`, the run's id and the time. */
function heartbeatsOf(segment: Segment): string[] {
  return segment.events.flatMap(({ event, occurred }) => {
    const runId = event.event === HEARTBEAT ? idOfKind("prefect.flow-run", resourceId(event.resource)) : undefined;
    return runId === undefined ? [] : heartbeatPrefix(runId) + String(occurred);
  });
}

/** Returns the first part of the entries of a run's heartbeats. */
export function heartbeatPrefix(runId: string): string {
  return `${HEARTBEAT} ${runId} `;
}

const MAX_INDEX_ROWS = 2_000;
/**
 * One index row names the segments that were written in a period of this length. A run that is shorter has one or two
 * index rows. A search for the run reads all segments of these periods, at most ten per second.
 */
export const PERIOD: Micros = 20_000_000;

/** The smallest ids of a segment's period and of the next period. */
function periodOf(segmentId: string): { first: string; last: string } {
  const begin = Math.floor(timeOfId(segmentId) / PERIOD) * PERIOD;
  return { first: earliestId(begin), last: earliestId(begin + PERIOD) };
}

/** The ids of the events about flow runs. The event of a state has the state's id. */
function runEventIds(segment: Segment): string[] {
  return segment.events.flatMap(({ event }) =>
    idOfKind("prefect.flow-run", resourceId(event.resource)) === undefined ? [] : event.id,
  );
}

/** Returns how many events of each name a segment has. */
export function countByName(segment: Segment): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { event } of segment.events) counts.set(event.event, (counts.get(event.event) ?? 0) + 1);
  return Object.fromEntries(counts);
}

/** Returns a segment's key, for the queue. */
export function keyOf(segment: Segment): SizedKey {
  return {
    id: segment.id,
    hour: segment.hour,
    bytes: segment.events.reduce((sum, event) => sum + Buffer.byteLength(event.json), 2),
  };
}

/** The keys as JSON: a list of pairs. */
const pairs = (keys: readonly SegmentKey[]): SQL => each(keys.map(({ hour, id }) => [hour, id]));

/** The segments `s` with these keys, for the `from` of a select. `k.key` is the position of a segment's key in the list. */
export function segmentsOf(workspaceId: string, keys: readonly SegmentKey[]): SQL {
  return sql`${pairs(keys)} k cross join ${event_segment} s
    on s.workspace_id = ${workspaceId} and s.hour = k.value->>0 and s.id = k.value->>1`;
}

/** The keys, for a lookup: `where (hour, id) in ${listed(keys)}`. */
export function listed(keys: readonly SegmentKey[]): SQL {
  return sql`(select value->>0, value->>1 from ${pairs(keys)})`;
}

/** Parses the events of a segment. If an event nests too deep for `parseJson`, JavaScript's own parser is used. Throws if the text is not JSON. */
export function openSegment(text: string): { events: unknown; isTooDeep: boolean } {
  try {
    return { events: parseJson(text, STORED_JSON_DEPTH), isTooDeep: false };
  } catch (error) {
    if (!(error instanceof TooDeep)) throw error;
    return { events: JSON.parse(text), isTooDeep: true };
  }
}

/** Whether a value has the fields of an event. Only our code writes segments, so the content of the fields is not checked. */
export function isEvent(value: unknown): value is ReceivedEvent {
  return (
    isObject(value) &&
    typeof value["id"] === "string" &&
    typeof value["event"] === "string" &&
    typeof value["occurred"] === "string" &&
    isObject(value["resource"]) &&
    Array.isArray(value["related"])
  );
}
