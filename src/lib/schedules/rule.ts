/** One recurrence rule (RFC 5545), read as `dateutil` reads it. */
import { dayNumber, daysInMonth } from "./calendar";

/** The time on a wall clock, as the seconds of a UTC clock with the same time. */
export type WallSeconds = number;

/** A rule that cannot be read. The message has the reason. */
export class RuleProblem extends Error {}

const FREQUENCIES = ["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"] as const;
export type Frequency = (typeof FREQUENCIES)[number];
const SUB_DAILY: ReadonlySet<Frequency> = new Set(["HOURLY", "MINUTELY", "SECONDLY"]);

/** The parts of a rule. An undefined list allows everything, an empty list allows nothing. */
export interface Rule {
  freq: Frequency;
  interval: number;
  count: number | undefined;
  until: WallSeconds | undefined;
  /** Whether `until` was written as a time in UTC. */
  endsInUtc: boolean;
  /** The first day of the week, 0 for Monday. */
  weekStart: number;
  /** Each as `placedWeekday` gives it. */
  weekdays: ReadonlySet<number> | undefined;
  months: ReadonlySet<number> | undefined;
  monthDays: ReadonlySet<number> | undefined;
  yearDays: ReadonlySet<number> | undefined;
  weekNumbers: ReadonlySet<number> | undefined;
  hours: readonly number[] | undefined;
  minutes: readonly number[] | undefined;
  seconds: readonly number[] | undefined;
  positions: readonly number[] | undefined;
}

const WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
const STAMP = /^(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2}))?Z?$/;
const NUMBER = /^\d+$/;
const NUMBERS = /^[+-]?\d+(,[+-]?\d+)*$/;
const PLACED = /^([+-]?\d*)(MO|TU|WE|TH|FR|SA|SU)(?:\(([+-]?\d+)\))?$/;
/** Greater than the calendar with any frequency, and small enough to be multiplied exactly. */
const FARTHEST = 1_000_000_000_000;

const PARTS: Readonly<Record<string, (value: string) => boolean>> = {
  FREQ: isFrequency,
  INTERVAL: (value) => NUMBER.test(value) && Number(value) > 0,
  COUNT: (value) => NUMBER.test(value),
  UNTIL: (value) => STAMP.test(value),
  WKST: (value) => WEEKDAYS.includes(value),
  BYDAY: (value) => value.split(",").every((item) => PLACED.test(item)),
  BYSETPOS: (value) => NUMBERS.test(value),
  BYMONTH: (value) => NUMBERS.test(value),
  BYMONTHDAY: (value) => NUMBERS.test(value),
  BYYEARDAY: (value) => NUMBERS.test(value),
  BYWEEKNO: (value) => NUMBERS.test(value),
  BYHOUR: (value) => NUMBERS.test(value),
  BYMINUTE: (value) => NUMBERS.test(value),
  BYSECOND: (value) => NUMBERS.test(value),
};

function isFrequency(value: string): value is Frequency {
  return FREQUENCIES.some((one) => one === value);
}

/** Reads `FREQ=DAILY;COUNT=3`. Throws a `RuleProblem`. */
export function parseRule(text: string): Rule {
  const parts = new Map<string, string>();
  for (const part of text.split(";")) {
    const [key = "", value] = part.split("=");
    if (value === undefined) throw new RuleProblem("not enough values to unpack (expected 2, got 1)");
    const name = key === "BYWEEKDAY" ? "BYDAY" : key;
    const isSound = Object.hasOwn(PARTS, name) ? PARTS[name] : undefined;
    if (!isSound) throw new RuleProblem(`unknown parameter '${key}'`);
    if (!isSound(value)) throw new RuleProblem(`invalid '${key}': ${value}`);
    parts.set(name, value);
  }
  const freq = parts.get("FREQ");
  if (freq === undefined || !isFrequency(freq)) throw new RuleProblem("FREQ is missing");
  return ruleOf(freq, parts);
}

function ruleOf(freq: Frequency, parts: ReadonlyMap<string, string>): Rule {
  const number = (name: string) => {
    const value = parts.get(name);
    return value === undefined ? undefined : Math.min(Number(value), FARTHEST);
  };
  const numbers = (name: string) => {
    const values = parts.get(name)?.split(",").map(Number);
    return values && [...new Set(values)].toSorted((a, b) => a - b);
  };
  // Numbers that no calendar has are left out, so that no list is longer than a year.
  const set = (name: string, most: number) => {
    const values = numbers(name);
    return values && new Set(values.filter((value) => Math.abs(value) <= most));
  };
  // `dateutil`: a time of day has to be valid. Where the rule repeats by hours, minutes or seconds, an invalid one never matches.
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
    endsInUtc: until?.endsWith("Z") ?? false,
    weekStart: WEEKDAYS.indexOf(parts.get("WKST") ?? "MO"),
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

/** Gives the number for a weekday and its position in the month or year: negative from the end, 0 for each such weekday. */
export const placedWeekday = (weekday: number, place: number): number => place * 7 + weekday;

/** `dateutil`: a weekday's position counts only in months and years. It may follow the weekday in brackets. */
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
