/**
 * Reads and prints times and durations. A time on the wire is RFC 3339 text; inside it is an integer of microseconds in
 * UTC. No other file reads or prints times.
 */
import * as z from "zod";
import { plain, refusal } from "#wire/scalars";
import { type Micros, SECOND } from "#lib/clock";
import { numberOf } from "#lib/json";

const PATTERN =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:\s*(Z|z|[+-]\d{2}(?::?\d{2})?))?)?$/;

/** Matches a time as most clients send it: in UTC, without a fraction or with six digits, in the year 100 or later, on day 1 to 28. */
const PLAIN =
  /^(?!00)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{6})?(?:Z|\+00:00)$/;
/** The positions in a plain time at which the whole seconds and the fraction end. */
const SECONDS_END = 19;
const FRACTION_END = 26;

const MILLIS_PER_SECOND = 1_000;
const SECONDS_PER_DAY = 86_400;
const MICROS_PER_MILLI = 1_000;

/** The first second of the year 1, the earliest that Python's `datetime` knows. */
const FIRST_SECOND = -62_135_596_800;
/** The last second of the year 9999. */
const LAST_SECOND = 253_402_300_799;

/** The earliest time that is kept. */
export const FIRST_TIME: Micros = FIRST_SECOND * SECOND;
/** The latest time that is kept. Before 1684 and after 2255, whole seconds are exact, and fractions are exact only to 32 microseconds. */
export const LAST_TIME: Micros = LAST_SECOND * SECOND + 999_999;
const LAST_TIME_TEXT = "9999-12-31T23:59:59.999999Z";

/**
 * Reads a time as pydantic does: RFC 3339 with or without a zone (none means UTC), a date alone, or seconds (or
 * milliseconds) since 1970 as a number. Returns `undefined` if the text is not a time in the years 1 to 9999 in UTC.
 */
export function parseTime(text: string | number): Micros | undefined {
  if (typeof text === "number") return fromNumber(text);
  return PLAIN.test(text) ? fromPlain(text) : fromText(text);
}

/** Reads the digits by their positions, which takes a tenth of the time of `fromText`. */
function fromPlain(text: string): Micros {
  const two = (at: number) => text.charCodeAt(at) * 10 + text.charCodeAt(at + 1) - 11 * ZERO;
  const millis = Date.UTC(two(0) * 100 + two(2), two(5) - 1, two(8), two(11), two(14), two(17));
  const micros = text[SECONDS_END] === "." ? two(20) * 10_000 + two(22) * 100 + two(24) : 0;
  return millis * MICROS_PER_MILLI + micros;
}

const ZERO = 48;

function fromText(text: string): Micros | undefined {
  const match = PATTERN.exec(text.trim());
  if (!match) return /^-?\d+(\.\d+)?$/.test(text.trim()) ? fromNumber(Number(text)) : undefined;
  const [, year, month, day, hour, minute, second, fraction, zone] = match;
  const date = new Date(0);
  // Date.UTC reads the years 0 to 99 as years of the 20th century.
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return undefined;
  const hours = Number(hour ?? 0);
  const minutes = Number(minute ?? 0);
  const seconds = Number(second ?? 0);
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined;
  const micros = Number((fraction ?? "").slice(0, 6).padEnd(6, "0"));
  const offset = zoneOffsetMinutes(zone);
  if (offset === undefined) return undefined;
  const wholeSeconds = date.getTime() / MILLIS_PER_SECOND + (hours * 60 + minutes - offset) * 60 + seconds;
  return wholeSeconds < FIRST_SECOND || wholeSeconds > LAST_SECOND ? undefined : wholeSeconds * SECOND + micros;
}

function fromNumber(value: number): Micros | undefined {
  const seconds = Math.abs(value) > 2e10 ? value / 1000 : value;
  const time = Math.round(seconds * SECOND);
  return time >= FIRST_TIME && time <= LAST_TIME ? time : undefined;
}

function zoneOffsetMinutes(zone: string | undefined): number | undefined {
  if (zone === undefined || zone === "Z" || zone === "z") return 0;
  const sign = zone.startsWith("-") ? -1 : 1;
  const digits = zone.slice(1).replace(":", "").padEnd(4, "0");
  const hours = Number(digits.slice(0, 2));
  const minutes = Number(digits.slice(2));
  if (hours > 23 || minutes > 59) return undefined;
  return sign * (hours * 60 + minutes);
}

/**
 * Prints a time as Prefect does: `2026-11-21T10:00:00Z`, with six decimals unless all are zero. An old row may have a
 * time beyond the years 1 to 9999. Such a time is printed as the nearest time within these years.
 */
export function printTime(micros: Micros): string {
  // JavaScript may be unable to hold the number of an old row.
  const time = Number(numberOf(micros));
  if (!(time > FIRST_TIME)) return "0001-01-01T00:00:00Z";
  if (time >= LAST_TIME) return LAST_TIME_TEXT;
  const fraction = Math.floor(((time % SECOND) + SECOND) % SECOND);
  const seconds = Math.round((time - fraction) / SECOND);
  const day = Math.floor(seconds / SECONDS_PER_DAY);
  const text = `${dateText(day)}T${clockText(seconds - day * SECONDS_PER_DAY)}`;
  return fraction === 0 ? `${text}Z` : `${text}.${String(fraction).padStart(6, "0")}Z`;
}

/** The day that was printed last. It is cached, because most times of a list are of one day. */
let lastDay = { day: 0, text: "1970-01-01" };

/** The date of a day, counted from 1970-01-01. */
function dateText(day: number): string {
  if (day !== lastDay.day)
    lastDay = { day, text: new Date(day * SECONDS_PER_DAY * MILLIS_PER_SECOND).toISOString().slice(0, 10) };
  return lastDay.text;
}

/** A second of a day as `10:00:00`. */
function clockText(second: number): string {
  const minute = Math.floor(second / 60);
  return `${TWO_DIGITS[Math.floor(minute / 60)]}:${TWO_DIGITS[minute % 60]}:${TWO_DIGITS[second % 60]}`;
}

const TWO_DIGITS = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, "0"));

/** `printTime` for a time that may be absent. */
export function printOptionalTime(time: Micros | null | undefined): string | null {
  return time === null || time === undefined ? null : printTime(time);
}

/** Converts microseconds to a duration on the wire: seconds as a float. */
export function printDuration(micros: Micros): number {
  return micros / SECOND;
}

const TimeOrNumber = plain(z.union([z.string(), z.number()], refusal("value_error", "value is not a valid datetime")));

/** A time in a request. `hold` makes the value that is held. */
const timeAs = <T>(hold: (time: Micros, value: string | number) => T) =>
  TimeOrNumber.meta({ type: "string", format: "date-time" }).transform((value, context) => {
    const time = parseTime(value);
    if (time !== undefined) return hold(time, value);
    context.addIssue({ code: "custom", message: `Unable to parse string [${value}]` });
    return z.NEVER;
  });

/** A time in a request, as microseconds. */
export const Time = timeAs((time) => time);

/** A time in an answer, printed by `printTime`. */
export const TimeText = z.string().meta({ format: "date-time" });

/** A time in a request that is kept as text: RFC 3339 in UTC, with the microseconds that were sent, in every year. */
export const TimeAsText = timeAs(withMicrosOf);

/** The time as text, with the fraction of a second as it was sent. An offset has whole minutes only, so it does not change the fraction. */
function withMicrosOf(time: Micros, value: string | number): string {
  if (typeof value === "string" && PLAIN.test(value)) {
    const seconds = value.slice(0, SECONDS_END);
    const fraction = value[SECONDS_END] === "." ? value.slice(SECONDS_END, FRACTION_END) : "";
    return `${seconds}${fraction === ".000000" ? "" : fraction}Z`;
  }
  const fraction = typeof value === "string" ? PATTERN.exec(value.trim())?.[7] : undefined;
  if (typeof value === "number" || fraction === undefined) return printTime(time);
  // Without its fraction the time is exact in every year.
  const whole = printTime(parseTime(value.replace(/[.,]\d+/, "")) ?? time);
  const micros = fraction.slice(0, 6).padEnd(6, "0");
  return micros === "000000" ? whole : whole.replace("Z", `.${micros}Z`);
}

const ISO_DURATION =
  /^([+-])?P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?$/i;
const CLOCK_DURATION = /^(-)?(?:(\d+)\s*(?:days?|d),?\s*)?(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d{1,6})?))?$/i;

/** The seconds of a duration: of a number, `PT1H30M` or `1 day, 02:00:00`. */
export function parseDuration(value: string | number): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  const text = value.trim();
  if (/^[+-]?\d+(\.\d+)?$/.test(text)) return Number(text);
  const iso = ISO_DURATION.exec(text);
  if (iso && text.length > 1 && !/[PT]$/i.test(text)) {
    const [, sign, weeks, days, hours, minutes, seconds] = iso;
    return signed(sign, Number(weeks ?? 0) * 7 + Number(days ?? 0), hours, minutes, seconds);
  }
  const clock = CLOCK_DURATION.exec(text);
  return clock ? signed(clock[1], Number(clock[2] ?? 0), clock[3], clock[4], clock[5]) : undefined;
}

function signed(sign: string | undefined, days: number, hours = "0", minutes = "0", seconds = "0"): number {
  const total = ((days * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds);
  return sign === "-" ? -total : total;
}

/** Seconds as `P1DT2H`: days, and the rest of the day in hours, minutes and seconds. */
export function printIsoDuration(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const rest = [
    [Math.floor((seconds % 86_400) / 3600), "H"],
    [Math.floor((seconds % 3600) / 60), "M"],
    [seconds % 60, "S"],
  ].flatMap(([count, unit]) => (count ? `${count}${unit}` : []));
  return `P${days > 0 ? `${days}D` : ""}${rest.length > 0 || days === 0 ? `T${rest.join("") || "0S"}` : ""}`;
}
