/** Opens a segment, and reads the events in it that may be wanted. */
import { Buffer } from "node:buffer";
import { type SQL, sql } from "drizzle-orm";
import { type Packed, withUnpacked } from "#db/packed";
import type { ReceivedEvent } from "#events/event";
import type { Holds } from "#events/segment-texts";
import { BYTES, EVENTS, isEvent, openSegment } from "#events/segments";
import { checkDepth, STORED_JSON_DEPTH } from "#lib/json";
import { log } from "#lib/log";

/** A segment of D1, or a part of the archive, as it is stored. */
export interface ClosedSegment {
  id: string;
  events: Packed | Uint8Array;
  /** The number of its events, and of the bytes of their JSON. */
  event_count: number;
  bytes: number;
}

/** The columns of a `ClosedSegment` in the rows `s`. */
export const CLOSED_SEGMENT: SQL = sql`s.id, s.event_count, ${BYTES} as bytes, ${EVENTS} as events`;

/**
 * Returns the events of a segment. With a condition, only those that meet it are parsed. A segment that cannot be opened
 * is logged and counts as empty, so that it does not fail other segments.
 */
export function readSegment({ id, events: packed, event_count }: ClosedSegment, holds?: Holds | null): ReceivedEvent[] {
  try {
    const text = withUnpacked(packed, (json) => (holds ? textOfHolding(json, event_count, holds) : json.toString()));
    const { events, isTooDeep } = openSegment(text);
    if (!Array.isArray(events)) throw new TypeError("a segment is a list of events");
    const found = events.filter(isEvent);
    return isTooDeep ? found.map(withoutDepth) : found;
  } catch (error) {
    log({}, "error", "a segment cannot be opened and is passed over", { segment_id: id, error });
    return [];
  }
}

/** The JSON of the events that meet the condition; of all events, if one does and the JSON cannot be divided. */
function textOfHolding(json: Buffer, count: number, holds: Holds): string {
  if (!holds(json)) return "[]";
  const starts = startsOf(json, count);
  if (starts === null) return json.toString();
  const texts = starts.flatMap((start, index) => {
    // A comma or the closing bracket of the list comes after the event.
    const one = json.subarray(start, (starts[index + 1] ?? json.length) - 1);
    return holds(one) ? one.toString() : [];
  });
  return `[${texts.join(",")}]`;
}

/** The first bytes of each event (`receiveEvent`). In a text, the quotes would be escaped. */
const START = Buffer.from('{"occurred":"');

/** The places where the events begin; null if the payloads have such objects too. */
function startsOf(json: Buffer, count: number): number[] | null {
  const starts: number[] = [];
  for (let at = json.indexOf(START); at >= 0 && starts.length <= count; at = json.indexOf(START, at + 1))
    starts.push(at);
  return starts.length === count && starts[0] === 1 ? starts : null;
}

/** The event. If it nests too deep, without its payload. */
function withoutDepth(event: ReceivedEvent): ReceivedEvent {
  try {
    checkDepth(JSON.stringify(event), STORED_JSON_DEPTH);
    return event;
  } catch {
    // `TooDeep`, or so deep that the event cannot even be printed.
    log({}, "warn", "an event nests too deep and is shown without its payload", { event_id: event.id });
    return { ...event, payload: {} };
  }
}
