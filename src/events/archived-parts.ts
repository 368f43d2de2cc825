/** Parts of the archive's bundles of events. A part is a large segment, made of the segments of an hour. */
import { Buffer } from "node:buffer";
import type { Entry } from "#archive/bundle";
import { pack, type Packed, toBytes, unpack } from "#db/packed";
import { type GatheredEvent, indexedResources, isEvent, openSegment } from "#events/segments";
import { chunksBySize } from "#lib/chunks";
import { textsOfList } from "#lib/json-list";
import type { Micros } from "#lib/clock";
import { parseTime } from "#wire/dates";

/** What an index says about a part, so that only parts with wanted events are read. */
export interface PartHeader {
  /** The smallest and the largest id of the segments that the events are from. */
  first_id: string;
  last_id: string;
  first_occurred: Micros;
  last_occurred: Micros;
  /** Bytes of JSON. */
  bytes: number;
  event_count: number;
  /** Event name → number of events. Null if it would be long. */
  counts: Record<string, number> | null;
  /** The resources by which the index finds the events. Null if they would be long. */
  resources: readonly string[] | null;
}

/** An event on its way to the archive. Its JSON stays as it is, byte for byte. */
export interface MovingEvent extends GatheredEvent {
  readonly resources: readonly string[];
  readonly segmentId: string;
}

/** A part before it is in a bundle. */
export interface Part {
  header: PartHeader;
  content: Uint8Array;
}

/** How many bytes of JSON a part has, unless a single event has more. A reader opens whole parts. */
const MAX_PART_BYTES = 1_000_000;
/** How many bytes of JSON wait for events of other segments that occurred before them. */
const MAX_WAITING_BYTES = 4_000_000;
/** A list with more bytes is left out of a header, because an index has a bounded size. */
const MAX_LIST_BYTES = 100_000;

/** The header of a part in an index. Only `makePart` writes it. */
export const headerOf = ({ header }: Pick<Entry, "header">): PartHeader => header as PartHeader;

/** The events of a segment. Throws if they cannot be read exactly. */
export function readMoving(segmentId: string, packed: Packed | Uint8Array): MovingEvent[] {
  const text = unpack(packed);
  const { events } = openSegment(text);
  const texts = textsOfList(text);
  if (!Array.isArray(events) || events.length !== texts.length) throw new TypeError("a segment is a list of events");
  return events.map((event: unknown, index) => {
    const occurred = isEvent(event) ? parseTime(event.occurred) : undefined;
    if (!isEvent(event) || occurred === undefined) throw new TypeError("a segment has something that is no event");
    return { event, json: texts[index] ?? "", occurred, resources: indexedResources(event), segmentId };
  });
}

/** Sorts the events of overlapping segments, and divides them into parts. */
export class PartMerger {
  private waiting: MovingEvent[] = [];

  add(events: readonly MovingEvent[]): void {
    this.waiting.push(...events);
  }

  /** Takes out the parts that are complete if all events to come occurred at `time` or later. */
  take(time: Micros): Part[] {
    const sorted = this.waiting.toSorted((a, b) => a.occurred - b.occurred);
    const isTooMuch = sorted.reduce((sum, { json }) => sum + json.length, 0) > MAX_WAITING_BYTES;
    const end = isTooMuch ? -1 : sorted.findIndex(({ occurred }) => occurred >= time);
    const settled = end < 0 ? sorted : sorted.slice(0, end);
    const parts = chunksBySize(settled, MAX_PART_BYTES, ({ json }) => Buffer.byteLength(json) + 1);
    const rest = time === Infinity ? [] : (parts.pop() ?? []);
    this.waiting = [...rest, ...sorted.slice(settled.length)];
    return parts.map(makePart);
  }
}

function makePart(events: readonly MovingEvent[]): Part {
  const json = `[${events.map((event) => event.json).join(",")}]`;
  const ids = events.map(({ segmentId }) => segmentId).toSorted();
  const counts = countByName(events.map(({ event }) => [event.event, 1]));
  const resources = [...new Set(events.flatMap((event) => event.resources))].toSorted();
  return {
    header: {
      first_id: ids[0] ?? "",
      last_id: ids.at(-1) ?? "",
      first_occurred: events[0]?.occurred ?? 0,
      last_occurred: events.at(-1)?.occurred ?? 0,
      bytes: Buffer.byteLength(json),
      event_count: events.length,
      counts: shortOrNull(counts),
      resources: shortOrNull(resources),
    },
    content: toBytes(pack(json)),
  };
}

/** The header of all parts together, without their resources. */
export function headerOfAll(headers: readonly PartHeader[]): Omit<PartHeader, "resources" | "bytes"> {
  const all = headers.map(({ counts }) => counts);
  const counts = all.every((one) => one !== null) ? countByName(all.flatMap((one) => Object.entries(one))) : null;
  return {
    first_id: headers.map(({ first_id }) => first_id).toSorted()[0] ?? "",
    last_id:
      headers
        .map(({ last_id }) => last_id)
        .toSorted()
        .at(-1) ?? "",
    first_occurred: Math.min(...headers.map(({ first_occurred }) => first_occurred)),
    last_occurred: Math.max(...headers.map(({ last_occurred }) => last_occurred)),
    event_count: headers.reduce((sum, { event_count }) => sum + event_count, 0),
    counts: counts && shortOrNull(counts),
  };
}

function countByName(named: readonly (readonly [string, number])[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const [name, count] of named) counts.set(name, (counts.get(name) ?? 0) + count);
  return Object.fromEntries(counts);
}

function shortOrNull<T>(list: T): T | null {
  return Buffer.byteLength(JSON.stringify(list)) > MAX_LIST_BYTES ? null : list;
}
