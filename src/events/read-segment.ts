/** Opens a segment. A segment that cannot be opened counts as empty, so that it does not fail the others. */
import type { ReceivedEvent } from "#events/event";
import { checkDepth, parseJson, STORED_JSON_DEPTH } from "#lib/json";
import { isObject } from "#lib/json-value";
import { log } from "#lib/log";

/** Gives the events in a segment's column `events`. Where the column has no list, there are none, and the segment's `id` is logged. */
export function readSegment(id: string, events: string): ReceivedEvent[] {
  try {
    return eventsIn(parseJson(events, STORED_JSON_DEPTH));
  } catch {
    return readPlainly(id, events);
  }
}

/**
 * Reads JSON that nests too deep for `parseJson` as JavaScript does. An event that nests too deep is shown without its payload;
 * the other events of the segment are whole.
 */
function readPlainly(id: string, events: string): ReceivedEvent[] {
  try {
    return eventsIn(JSON.parse(events)).map(withoutDepth);
  } catch (error) {
    log({}, "error", "a segment cannot be opened and is passed over", { segment_id: id, error });
    return [];
  }
}

/** Whether a value has the fields of an event. Only our code writes segments, so the fields' content is not checked. */
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
