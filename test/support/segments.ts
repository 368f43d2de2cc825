import { env } from "cloudflare:test";
import { packedColumn, unpack } from "#db/packed";
import type { Event } from "#events/event";
import { print } from "#db/print";

/** A row of `event_segment`. `events` is its JSON, whether it is packed or not. */
export type StoredSegment = Record<string, unknown> & { id: string; events: string };

/** All segments that contain a text, oldest first. */
export async function segmentsWith(text = ""): Promise<StoredSegment[]> {
  const { results } = await env.DB.prepare(
    `select s.*, ${print(packedColumn("s.events")).sql} as events from event_segment s order by hour, id`,
  ).all<StoredSegment>();
  return results.map((row) => ({ ...row, events: unpack(row.events) })).filter(({ events }) => events.includes(text));
}

/** All stored events that contain a text, by segment. */
export async function storedEvents(text = ""): Promise<Event[]> {
  const events = (await segmentsWith(text)).flatMap((segment) => JSON.parse(segment.events) as Event[]);
  return events.filter((event) => JSON.stringify(event).includes(text));
}

/** Replaces the events of segments by a text that is not packed, as older versions wrote it. */
export async function replaceEvents(id: string, events: string): Promise<void> {
  await env.DB.prepare("update event_segment set events = ? where id = ?").bind(events, id).run();
}
