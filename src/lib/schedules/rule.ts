/** One recurrence rule (RFC 5545), read as `dateutil` reads it. */
import { dayNumber, daysInMonth } from "./calendar";

/** The time on a wall clock, in seconds, as if the clock were in UTC. */
export type WallSeconds = number;

/** A rule that cannot be read. The message has the reason. */
export class RuleProblem extends Error {}

const FREQUENCIES = ["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"] as const;
export type Frequency = (typeof FREQUENCIES)[number];
const SUB_DAILY: ReadonlySet<Frequency> = new Set(["HOURLY", "MINUTELY", "SECONDLY"]);

/** The parts of a rule. An undefined list allows everything, an empty list allows nothing. */
export type Rule = Readonly<ReturnType<typeof ruleOf>>;

const WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
const STAMP = /^(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2}))?Z?$/;
const NUMBERS = /^[+-]?\d+(,[+-]?\d+)*$/;
const PLACED = /^([+-]?\d*)(MO|TU|WE|TH|FR|SA|SU)(?:\(([+-]?\d+)\))?$/;
/** Larger than the calendar with any frequency, and small enough for exact multiplication. */
const FARTHEST = 1_000_000_000_000;

const LISTS = ["BYSETPOS", "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYHOUR", "BYMINUTE", "BYSECOND"];

/** The format of each part's value. */
const PARTS: Readonly<Record<string, { test(value: string): boolean }>> = {
  FREQ: { test: (value) => FREQUENCIES.some((freq) => freq === value) },
  INTERVAL: /^0*[1-9]\d*$/,
  COUNT: /^\d+$/,
  UNTIL: STAMP,
  WKST: { test: (value) => WEEKDAYS.includes(value) },
  BYDAY: { test: (value) => value.split(",").every((item) => PLACED.test(item)) },
  ...Object.fromEntries(LISTS.map((name) => [name, NUMBERS])),
};

/** Reads `FREQ=DAILY;COUNT=3`. Throws a `RuleProblem`. */
export function parseRule(text: string): Rule {
  const parts = new Map<string, string>();
  for (const part of text.split(";")) {
    const [key = "", value] = part.split("=");
    if (value === undefined) throw new RuleProblem("not enough values to unpack (expected 2, got 1)");
    const name = key === "BYWEEKDAY" ? "BYDAY" : key;
    const form = Object.hasOwn(PARTS, name) ? PARTS[name] : undefined;
    if (!form) throw new RuleProblem(`unknown parameter '${key}'`);
    if (!form.test(value)) throw new RuleProblem(`invalid '${key}': ${value}`);
    parts.set(name, value);
  }
  const freq = FREQUENCIES.find((one) => one === parts.get("FREQ"));
  if (!freq) throw new RuleProblem("FREQ is missing");
  return ruleOf(freq, parts);
}

function ruleOf(freq: Frequency, parts: ReadonlyMap<string, string>) {
  const number = (name: string) => {
    const value = parts.get(name);
    return value === undefined ? undefined : Math.min(Number(value), FARTHEST);
  };
  const numbers = (name: string) => {
    const values = parts.get(name)?.split(",").map(Number);
    return values && [...new Set(values)].toSorted((a, b) => a - b);
  };
  // Numbers that no calendar has are removed, so that no list is longer than a year.
  const set = (name: string, most: number) => {
    const values = numbers(name);
    return values && new Set(values.filter((value) => Math.abs(value) <= most));
  };
  // `dateutil`: a time of day has to be valid. If the rule repeats by hours, minutes or seconds, an invalid time never matches.
  const within = (name: string, most: number) => {
    const values = numbers(name);
    const sound = values?.filter((value) => value >= 0 && value <= most);
    if (sound?.length !== values?.length && !SUB_DAILY.has(freq))
      throw new RuleProblem(`${name.slice(2).toLowerCase()} must be in 0..${most}`);
    return sound;
  };
  const [until, weekdays] = [parts.get("UNTIL"), parts.get("BYDAY")];
  return {
    freq,
    interval: number("INTERVAL") ?? 1,
    count: number("COUNT"),
    until: until === undefined ? undefined : parseStamp(until),
    /** Whether `until` was written as a time in UTC. */
    endsInUtc: until?.endsWith("Z") ?? false,
    /** The first day of the week, 0 for Monday. */
    weekStart: WEEKDAYS.indexOf(parts.get("WKST") ?? "MO"),
    /** Each value is a result of `placedWeekday`. */
    weekdays: weekdays === undefined ? undefined : new Set(weekdays.split(",").map((item) => parseWeekday(item, freq))),
    months: set("BYMONTH", 12),
    monthDays: set("BYMONTHDAY", 31),
    yearDays: set("BYYEARDAY", 366),
    weekNumbers: set("BYWEEKNO", 53),
    hours: within("BYHOUR", 23),
    minutes: within("BYMINUTE", 59),
    seconds: within("BYSECOND", 59),
    positions: positionsOf(numbers("BYSETPOS")),
  };
}

function positionsOf(positions: number[] | undefined): number[] | undefined {
  if (positions?.some((position) => position === 0 || Math.abs(position) > 366))
    throw new RuleProblem("bysetpos must be between 1 and 366, or between -366 and -1");
  return positions;
}

/** Returns the number for a weekday and its position in the month or year. A negative position counts from the end, 0 means each such weekday. */
export const placedWeekday = (weekday: number, place: number): number => place * 7 + weekday;

/** `dateutil`: a weekday's position counts only in months and years. The position may follow the weekday in brackets. */
function parseWeekday(item: string, freq: Frequency): number {
  const [, before = "", name = "", behind] = PLACED.exec(item) ?? [];
  const place = freq === "YEARLY" || freq === "MONTHLY" ? Number(behind ?? before) : 0;
  return placedWeekday(WEEKDAYS.indexOf(name), place);
}

/** Reads `20260131T083000`, with or without the time. Throws a `RuleProblem`, also for a day or a time that does not exist. */
export function parseStamp(text: string): WallSeconds {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = (STAMP.exec(text) ?? [])
    .slice(1)
    .map((digits: string | undefined) => Number(digits ?? 0));
  const isDay = year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month);
  if (!isDay || hour > 23 || minute > 59 || second > 59) throw new RuleProblem(`invalid date: ${text}`);
  return ((dayNumber(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
}
