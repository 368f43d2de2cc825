/** Counts events by their time, by their name or by their resource. */
import { namedObject } from "#wire/named";
import * as z from "zod";
import { type EventFilter, type Window, windowOf } from "#events/filter";
import { resourceId } from "#events/event";
import type { EventReader } from "#events/read-events";
import { HOUR } from "#events/segments";
import { unprocessable } from "#lib/api-error";
import { DAY, type Micros, SECOND } from "#lib/clock";
import { printTime, TimeText } from "#wire/dates";

/** The properties by which events can be counted. */
export const Countable = z.enum(["day", "time", "event", "resource"]).meta({ id: "Countable" });
export type Countable = z.output<typeof Countable>;

/** The unit of the intervals in which events are counted. */
export const TimeUnit = z.enum(["week", "day", "hour", "minute", "second"]).meta({ id: "TimeUnit" });
export type TimeUnit = z.output<typeof TimeUnit>;

/** How many events have one name or resource, or occurred in one interval. */
export const EventCount = namedObject("EventCount", {
  value: z.string(),
  label: z.string(),
  count: z.int(),
  start_time: TimeText,
  end_time: TimeText,
});
export type EventCount = z.output<typeof EventCount>;

/** What is counted, and the length of the intervals of time. */
interface EventCountRequest {
  filter: EventFilter;
  countable: Countable;
  time_unit: TimeUnit;
  time_interval: number;
}

/** Prefect: PIVOT_DATETIME, a Monday at which an interval begins. */
const PIVOT: Micros = Date.UTC(2024, 3, 1) * 1000;
const MAX_BUCKETS = 1000;
const UNITS: Record<TimeUnit, Micros> = {
  week: 7 * DAY,
  day: DAY,
  hour: HOUR,
  minute: 60 * SECOND,
  second: SECOND,
};

/** Counts events. Throws 422 for more than 1,000 intervals, even if events are counted by name or resource. */
export function countEvents(reader: EventReader, request: EventCountRequest, now: Micros): Promise<EventCount[]> {
  const window = windowOf(request.filter, now);
  const step = Math.round(UNITS[request.time_unit] * request.time_interval);
  const buckets = Math.ceil((window.until - window.since) / step);
  if (buckets > MAX_BUCKETS) {
    throw unprocessable(
      `The given interval would create ${buckets} buckets, which is too many. Please increase the interval or reduce the ` +
        `time range to produce ${MAX_BUCKETS} buckets or fewer.`,
    );
  }
  if (request.countable === "day") return countByTime(reader, request.filter, window, "day", UNITS.day, now);
  if (request.countable === "time") return countByTime(reader, request.filter, window, request.time_unit, step, now);
  return countByThing(reader, request.filter, window, request.countable);
}

async function countByTime(
  reader: EventReader,
  filter: EventFilter,
  window: Window,
  unit: TimeUnit,
  step: Micros,
  now: Micros,
): Promise<EventCount[]> {
  const first = Math.floor((window.since - PIVOT) / step);
  const counts = new Map<number, number>();
  const add = (occurred: Micros, count: number) => {
    const bucket = Math.floor((occurred - PIVOT) / step);
    counts.set(bucket, (counts.get(bucket) ?? 0) + count);
  };
  const hours = step % HOUR === 0 ? await reader.countByHour({ filter, window }) : undefined;
  if (hours) for (const [hour, count] of hours) add(hour, count);
  else await reader.each(filter, window, ({ occurred }) => add(occurred, 1));
  const end = window.until > now ? endOf(unit, now) : window.until;
  const answer: EventCount[] = [];
  for (let bucket = first; PIVOT + bucket * step < end; bucket++) {
    const start = PIVOT + bucket * step;
    answer.push({
      value: String(bucket - first),
      label: printTime(start).replace("Z", "+00:00"),
      count: counts.get(bucket) ?? 0,
      start_time: printTime(start),
      end_time: printTime(start + step - 1),
    });
  }
  return answer;
}

/** The last microsecond of the week, day, hour, minute or second. */
function endOf(unit: TimeUnit, now: Micros): Micros {
  return PIVOT + (Math.floor((now - PIVOT) / UNITS[unit]) + 1) * UNITS[unit] - 1;
}

async function countByThing(
  reader: EventReader,
  filter: EventFilter,
  window: Window,
  countable: "event" | "resource",
): Promise<EventCount[]> {
  const things = new Map<string, { label: string; count: number; first: Micros; last: Micros }>();
  await reader.each(filter, window, ({ event, occurred }) => {
    const value = countable === "event" ? event.event : resourceId(event.resource);
    const { "prefect.resource.name": name, "prefect.name": older } = event.resource;
    const label = countable === "event" ? value : (name ?? older ?? value);
    const thing = things.get(value) ?? { label, count: 0, first: occurred, last: occurred };
    things.set(value, thing);
    thing.count++;
    thing.first = Math.min(thing.first, occurred);
    // The answer shows the newest label.
    if (occurred > thing.last) Object.assign(thing, { label, last: occurred });
  });
  return [...things]
    .toSorted(([one, a], [other, b]) => b.count - a.count || order(a.label, b.label) || order(one, other))
    .map(([value, { label, count, first, last }]) => ({
      value,
      label,
      count,
      start_time: printTime(first),
      end_time: printTime(last),
    }));
}

const order = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
