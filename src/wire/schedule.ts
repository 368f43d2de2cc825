/** Schedules on the wire: by interval, by cron expression, or by recurrence rule. */
import { namedStrictObject } from "#wire/named";
import * as z from "zod";
import { branchNames, plain, refuse } from "#wire/scalars";
import { type Micros, SECOND } from "#lib/clock";
import { CALENDAR } from "#lib/schedules/calendar";
import { cronMoments, cronProblem } from "#lib/schedules/cron";
import { intervalMoments } from "#lib/schedules/interval";
import type { Looks } from "#lib/schedules/looks";
import { anchorRule, rruleMoments, rruleProblem } from "#lib/schedules/rrule";
import { isZone } from "#lib/schedules/calendar";
import { parseDuration, parseTime, printTime } from "#wire/dates";

/** Python's `timedelta` holds fewer days than this. */
const MOST_DAYS = 1_000_000_000;

/** A duration in a request, held in seconds. */
const Duration = plain(z.union([z.number(), z.string()]))
  .meta({ type: "number", format: "time-delta" })
  .transform((value, context) => {
    const seconds = parseDuration(value);
    if (seconds !== undefined && Math.abs(seconds) < MOST_DAYS * 86_400) return Math.round(seconds * SECOND) / SECOND;
    const bound = seconds === undefined ? "" : ", durations may not exceed 999,999,999 days";
    return refuse(context, "time_delta_parsing", `Input should be a valid timedelta${bound}`);
  });

/** A time that keeps its UTC offset, as Prefect's anchor dates do. */
const OffsetTime = plain(z.union([z.string(), z.number()])).transform((value, context) => {
  const time = parseTime(value);
  if (time === undefined) return refuse(context, "datetime_from_date_parsing", "Input should be a valid datetime");
  const offset = /([+-])(\d{2}):?(\d{2})?$/.exec(typeof value === "string" && value.includes(":") ? value : "");
  const [, sign, hours, minutes = "00"] = offset ?? [];
  const micros = (Number(hours ?? 0) * 60 + Number(minutes)) * 60 * SECOND;
  if (micros === 0) return printTime(time);
  return printTime(sign === "-" ? time - micros : time + micros).replace("Z", `${sign}${hours}:${minutes}`);
});

function zoneProblem(zone: string | null): string | undefined {
  if (!zone || isZone(zone)) return undefined;
  return `Invalid timezone: "${zone}" (specify in IANA tzdata format, for example, America/New_York)`;
}

type Context = z.core.$RefinementCtx;

/** Refuses a branch of a union at its first problem, as pydantic does. */
function endBranch(context: Context, message: string | undefined): void {
  if (message) context.addIssue({ code: "custom", message, continue: false });
}

/** Prefect: checks the zone after all fields, and reports its fault at the schedule, not at the field. */
const checkZone = ({ timezone }: { timezone: string | null }, context: Context) =>
  endBranch(context, zoneProblem(timezone));

const IntervalSchedule = z
  .strictObject({
    interval: Duration.superRefine((seconds, context) =>
      endBranch(context, seconds > 0 ? undefined : "interval must be positive"),
    ),
    anchor_date: OffsetTime.optional(),
    timezone: z
      .string()
      .nullish()
      .transform((zone) => zone ?? "UTC"),
  })
  .superRefine(checkZone)
  .meta({ id: "IntervalSchedule" });

const CronSchedule = z
  .strictObject({
    cron: z.string().superRefine((cron, context) => endBranch(context, cronProblem(cron))),
    timezone: z
      .string()
      .nullish()
      .transform((zone) => zone ?? null),
    day_or: z.boolean().default(true),
  })
  .superRefine(checkZone)
  .meta({ id: "CronSchedule" });

const RRuleSchedule = namedStrictObject("RRuleSchedule", {
  rrule: z.string().superRefine((rrule, context) => endBranch(context, rruleProblem(rrule))),
  timezone: z
    .string()
    .superRefine((zone, context) => endBranch(context, zoneProblem(zone)))
    .nullish()
    .transform((zone) => zone ?? "UTC"),
});

/** A schedule in a request. `settleSchedule` makes the form that is stored. */
export const ScheduleInput = z.union(
  [IntervalSchedule, CronSchedule, RRuleSchedule],
  branchNames(
    "function-after[validate_timezone(), IntervalSchedule]",
    "function-after[validate_timezone(), CronSchedule]",
    "RRuleSchedule",
  ),
);
export type ScheduleInput = z.output<typeof ScheduleInput>;

/** A schedule as the database stores it and as answers show it: an interval always has its anchor. */
export const ScheduleText = z.union([
  z.object({ interval: z.number(), anchor_date: z.string(), timezone: z.string() }),
  z.object({ cron: z.string(), timezone: z.string().nullable(), day_or: z.boolean() }),
  z.object({ rrule: z.string(), timezone: z.string() }),
]);
export type Schedule = z.output<typeof ScheduleText>;

/** Gives the form that is stored. Adds a missing start: the time `now`, or Prefect's start for a recurrence rule. */
export function settleSchedule(schedule: ScheduleInput, now: Micros): Schedule {
  if ("interval" in schedule) return { ...schedule, anchor_date: schedule.anchor_date ?? printTime(now) };
  if ("cron" in schedule) return schedule;
  return { rrule: anchorRule(schedule.rrule, schedule.timezone, now), timezone: schedule.timezone };
}

/**
 * Whether a schedule in a request is the same as a stored schedule. The anchor of an interval is compared only with
 * `withAnchor`: clients send a new anchor each time. A DTSTART that the server added is not compared.
 */
export function isSameSchedule(asked: ScheduleInput, kept: Schedule, { withAnchor }: { withAnchor: boolean }): boolean {
  if (asked.timezone !== kept.timezone) return false;
  if ("interval" in asked) {
    if (!("interval" in kept) || (withAnchor && asked.anchor_date !== kept.anchor_date)) return false;
    return asked.interval === kept.interval;
  }
  if ("cron" in asked) return "cron" in kept && asked.cron === kept.cron && asked.day_or === kept.day_or;
  return "rrule" in kept && [kept.rrule, kept.rrule.replace(/^DTSTART:\w+\n/, "")].includes(asked.rrule);
}

/** The options of a search for a schedule's dates. */
interface Search {
  /** The seed of the random fields of a cron expression. */
  seed?: string;
  looks?: Looks;
}

/** The schedule's dates at or after `start`, in order. Ends with the calendar, or when the looks are spent. Throws for an invalid schedule. */
export function* scheduleMoments(schedule: Schedule, start: Micros, search: Search = {}): Generator<Micros> {
  for (const moment of endlessMoments(schedule, start, search)) {
    if (!(moment < CALENDAR.end)) return;
    if (moment >= CALENDAR.first) yield moment;
  }
}

function endlessMoments(schedule: Schedule, start: Micros, { seed = "", looks }: Search): Iterable<Micros> {
  const zone = schedule.timezone || "UTC";
  if ("cron" in schedule)
    return cronMoments({ expression: schedule.cron, zone, dayOr: schedule.day_or, seed, looks }, start);
  if ("rrule" in schedule) return rruleMoments(schedule.rrule, zone, start, looks);
  return intervalMoments(
    { seconds: schedule.interval, anchor: parseTime(schedule.anchor_date) ?? start, zone },
    start,
    looks,
  );
}

/** Prefect: the class of a schedule. It labels the runs of a schedule that has no slug. */
export function scheduleKind(schedule: Schedule): string {
  if ("interval" in schedule) return "IntervalSchedule";
  return "cron" in schedule ? "CronSchedule" : "RRuleSchedule";
}
