/** Opening a segment. One that cannot be opened is passed over, and never fails the others that are opened with it. */
import type { ReceivedEvent } from "#events/event";
import { checkDepth, parseJson, STORED_JSON_DEPTH } from "#lib/json";
import { isObject } from "#lib/json-value";
import { log } from "#lib/log";

/** The events of a segment's column `events`. What is no list of events holds none; `id`, the segment's, is logged then. */
export function readSegment(id: string, events: string): ReceivedEvent[] {
  try {
    return eventsIn(parseJson(events, STORED_JSON_DEPTH));
  } catch {
    return readPlainly(id, events);
  }
}

/**
 * JSON that nests too deep to be read exactly is read as JavaScript reads it. The event that nests too deep to be shown, from before
 * there was a bound, is shown without its payload; the others of its segment are whole.
 */
function readPlainly(id: string, events: string): ReceivedEvent[] {
  try {
    return eventsIn(JSON.parse(events)).map(withoutDepth);
  } catch (error) {
    log({}, "error", "a segment cannot be opened and is passed over", { segment_id: id, error });
    return [];
  }
}

/** Whether a value has the fields of an event. Segments are written by our own code, so what they hold is not looked at. */
function isEvent(value: unknown): value is ReceivedEvent {
  return (
    isObject(value) &&
    typeof value["id"] === "string" &&
    typeof value["event"] === "string" &&
    typeof value["occurred"] === "string" &&
    isObject(value["resource"]) &&
    Array.isArray(value["related"])
  );
}

function withoutDepth(event: ReceivedEvent): ReceivedEvent {
  try {
    checkDepth(JSON.stringify(event), STORED_JSON_DEPTH);
    return event;
  } catch {
    // `TooDeep`, or so deep that it cannot even be printed.
    log({}, "warn", "an event nests too deep and is shown without its payload", { event_id: event.id });
    return { ...event, payload: {} };
  }
}

function eventsIn(value: unknown): ReceivedEvent[] {
  if (!Array.isArray(value)) throw new TypeError("a segment is a list of events");
  return value.filter(isEvent);
}
