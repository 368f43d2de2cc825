/** Schemas of the events' routes. */
import * as z from "zod";
import { TimeText } from "#wire/dates";

/** Prefect: INTERACTIVE_PAGE_SIZE, the default and the most. */
export const MAX_PAGE = 50;

/** What events can be counted by. */
export const Countable = z.enum(["day", "time", "event", "resource"]).meta({ id: "Countable" });
export type Countable = z.output<typeof Countable>;

/** The unit of the intervals in which events are counted. */
export const TimeUnit = z.enum(["week", "day", "hour", "minute", "second"]).meta({ id: "TimeUnit" });
export type TimeUnit = z.output<typeof TimeUnit>;

/** How many events have one name or resource, or occurred in one interval. */
export const EventCount = z
  .object({ value: z.string(), label: z.string(), count: z.int(), start_time: TimeText, end_time: TimeText })
  .meta({ id: "EventCount" });
export type EventCount = z.output<typeof EventCount>;
