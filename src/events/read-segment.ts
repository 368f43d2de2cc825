/** Opening a segment. One that cannot be opened is passed over, and never fails the others that are opened with it. */
import type { ReceivedEvent } from "#events/event";
import { parseJson } from "#lib/json";

/** The events of a segment's column `events`. What is no list of events holds none; `id`, the segment's, is logged then. */
export function readSegment(id: string, events: string): ReceivedEvent[] {
  try {
    return eventsIn(parseJson(events));
  } catch {
    return readPlainly(id, events);
  }
}

/** JSON that nests too deep to be read exactly is read as JavaScript reads it: an event that is there is shown. */
function readPlainly(id: string, events: string): ReceivedEvent[] {
  try {
    return eventsIn(JSON.parse(events));
  } catch (error) {
    console.error(`the segment ${id} cannot be opened and is passed over`, error);
    return [];
  }
}

function eventsIn(value: unknown): ReceivedEvent[] {
  if (!Array.isArray(value)) throw new TypeError("a segment is a list of events");
  // Written by our own code.
  return value as ReceivedEvent[];
}
