/** Times on the wire: RFC 3339 text outside, integer microseconds UTC inside. The only place that prints or reads them. */
import { z } from "zod";
import type { Micros } from "#lib/clock";

const PATTERN =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:\s*(Z|z|[+-]\d{2}(?::?\d{2})?))?)?$/;

const MICROS_PER_SECOND = 1_000_000;

/**
 * Reads a time as pydantic does: RFC 3339 with or without a zone (none means UTC), a date alone, or seconds (or
 * milliseconds) since 1970 as a number. Returns `undefined` where the text is no time.
 */
export function parseTime(text: string | number): Micros | undefined {
  if (typeof text === "number") return fromNumber(text);
  const match = PATTERN.exec(text.trim());
  if (!match) return /^-?\d+(\.\d+)?$/.test(text.trim()) ? fromNumber(Number(text)) : undefined;
  const [, year, month, day, hour, minute, second, fraction, zone] = match;
  const days = Date.UTC(Number(year), Number(month) - 1, Number(day));
  const date = new Date(days);
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return undefined;
  const hours = Number(hour ?? 0);
  const minutes = Number(minute ?? 0);
  const seconds = Number(second ?? 0);
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined;
  const micros = Number((fraction ?? "").slice(0, 6).padEnd(6, "0"));
  const offset = zoneOffsetMinutes(zone);
  if (offset === undefined) return undefined;
  return days * 1000 + ((hours * 60 + minutes - offset) * 60 + seconds) * MICROS_PER_SECOND + micros;
}

function fromNumber(value: number): Micros | undefined {
  if (!Number.isFinite(value)) return undefined;
  const seconds = Math.abs(value) > 2e10 ? value / 1000 : value;
  return Math.round(seconds * MICROS_PER_SECOND);
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

/** Prints a time as the original does: `2026-11-21T10:00:00Z`, with six decimals unless they are all zero. */
export function printTime(time: Micros): string {
  const whole = Math.floor(time / MICROS_PER_SECOND);
  const micros = time - whole * MICROS_PER_SECOND;
  const text = new Date(whole * 1000).toISOString().slice(0, 19);
  return micros === 0 ? `${text}Z` : `${text}.${String(micros).padStart(6, "0")}Z`;
}

/** `printTime` for what may be absent. */
export function printOptionalTime(time: Micros | null | undefined): string | null {
  return time === null || time === undefined ? null : printTime(time);
}

/** Microseconds as the float seconds of the wire's durations. */
export function printDuration(micros: Micros): number {
  return micros / MICROS_PER_SECOND;
}

/** A time in a request; holds microseconds. */
export const Time = z
  .union([z.string(), z.number()], "!value_error|value is not a valid datetime")
  .meta({ type: "string", format: "date-time" })
  .transform((value, context) => {
    const time = parseTime(value);
    if (time !== undefined) return time;
    context.addIssue({ code: "custom", message: `Unable to parse string [${value}]` });
    return z.NEVER;
  });

/** A time in an answer, printed by `printTime`. */
export const TimeText = z.string().meta({ format: "date-time" });
