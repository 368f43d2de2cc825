/** Counts events by the hour in which they occurred, out of the counts that each segment has by name. */
import { type SQL, sql } from "drizzle-orm";
import { asObject, each } from "#db/sql";
import { event_segment } from "#db/tables/event";
import { type EventFilter, listOf, matchesName, type Window } from "#events/filter";
import type { EventCutoff } from "#events/retention";
import { once, type SegmentReader, tooMuch } from "#events/segment-reader";
import { hourOf } from "#events/segments";
import type { Micros } from "#lib/clock";

/**
 * Gives how many events occurred in each hour, by the hour's start. Only segments across an end of the window, or with events
 * that may be too old, are opened. Undefined where the filter asks for more than names and times. Throws 422 where the
 * segments to open are too many.
 */
export async function countByHour(
  segments: SegmentReader,
  filter: EventFilter,
  asked: Window,
): Promise<Map<Micros, number> | undefined> {
  if (!isPlain(filter)) return undefined;
  const window = segments.kept(asked);
  const whole = sql`s.first_occurred >= ${window.since} and s.last_occurred <= ${window.until} and ${holdsNothingOld(segments.cutoff)}`;
  const counts = await segments.db.rows<{ hour: Micros; name: string; count: number }>(sql`
      select s.hour, c.key as name, sum(c.value) as count from ${event_segment} s, json_each(${asObject(sql`s.counts`)}) c
      where ${segments.inWindow(window)} and ${whole} group by s.hour, c.key`);
  const hours = new Map<Micros, number>();
  const add = (hour: Micros, count: number) => hours.set(hour, (hours.get(hour) ?? 0) + count);
  for (const { hour, name, count } of counts) {
    if (matchesName(filter, name)) add(hour, count);
  }
  const take = once(({ occurred }) => add(hourOf(occurred), 1));
  if (await segments.walk(filter, window, { take, more: sql`not (${whole})` })) throw tooMuch();
  return hours;
}

/** Whether the filter asks only for names and times. */
function isPlain({ resource, related, any_resource, id, text }: EventFilter): boolean {
  return !resource && listOf(related).length === 0 && listOf(any_resource).length === 0 && !id?.id?.length && !text;
}

/** Whether a segment `s` certainly holds no event that is too old by the retention period of its name. */
function holdsNothingOld({ oldestByName }: EventCutoff): SQL {
  const names = [...oldestByName].map(([name, oldest]) => [`${JSON.stringify(name)}:`, oldest]);
  if (names.length === 0) return sql`true`;
  return sql`not exists (select 1 from ${each(names)} n
      where s.first_occurred < n.value->>1 and instr(s.counts, n.value->>0) > 0)`;
}
