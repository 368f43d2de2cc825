/** The Gregorian calendar of the years 1 to 9999, with days counted from 1970-01-01, and clocks of time zones. */
import { DAY, type Micros, SECOND } from "#lib/clock";
import { Temporal } from "temporal-polyfill";

/** A day of the calendar; months and days of the month begin with 1. */
export interface CalendarDay {
  year: number;
  month: number;
  day: number;
}

const DAYS_OF_ERA = 146_097; // 400 years
const DAYS_BEFORE_1970 = 719_468; // since the 1st of March of the year 0

// Without `Date`, because with `Date` a search takes three times as long.

/** Returns the number of a day. A month or a day that does not exist counts as a day before or after. */
export function dayNumber(year: number, month: number, day: number): number {
  // In a year that begins in March, the leap day is the last day.
  const marchYear = month > 2 ? year : year - 1;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * DAYS_OF_ERA + dayOfEra - DAYS_BEFORE_1970;
}

/** Returns the day with this number. */
export function calendarDay(number: number): CalendarDay {
  const shifted = number + DAYS_BEFORE_1970;
  const era = Math.floor(shifted / DAYS_OF_ERA);
  const dayOfEra = shifted - era * DAYS_OF_ERA;
  const leapDays = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return {
    year: era * 400 + yearOfEra + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1,
  };
}

/** How many days the month has. */
export function daysInMonth(year: number, month: number): number {
  if (month !== 2) return [4, 6, 9, 11].includes(month) ? 30 : 31;
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
}

/** How many days the year has. */
export function daysInYear(year: number): number {
  return 337 + daysInMonth(year, 2);
}

/** The day of the week, 0 for Monday. */
export function weekdayOf(number: number): number {
  return modulo(number + 3, 7);
}

/** Returns the remainder, which is never negative. */
export function modulo(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor;
}

/** The first moment of the year 1, and the first moment after the year 9999. */
export const CALENDAR: Readonly<{ first: Micros; end: Micros }> = {
  first: dayNumber(1, 1, 1) * DAY,
  end: dayNumber(10_000, 1, 1) * DAY,
};

/** The time on a wall clock, in microseconds, as if the clock were in UTC. */
export type Wall = number;

/** Whether the name is an IANA time zone. */
export function isZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
    return true;
  } catch {
    return false;
  }
}

/** Returns the time on a clock in the zone at a moment. */
export function wallAt(moment: Micros, zone: string): Wall {
  if (zone === "UTC") return moment;
  return moment + offsetAt(moment, zone);
}

/**
 * Returns the moment at which a clock in the zone shows `wall`. Near a clock change there are two candidates: with the offset before
 * the change and with the offset after it. `choice` says which candidate counts, for repeated and for skipped times.
 */
export function momentOf(wall: Wall, zone: string, choice: "earlier" | "later"): Micros {
  if (zone === "UTC") return wall;
  // Between these two moments the clocks of a zone change at most once.
  const readings = [wall - offsetAt(wall - DAY, zone), wall - offsetAt(wall + DAY, zone)];
  const shown = readings.filter((moment) => wallAt(moment, zone) === wall);
  const possible = shown.length > 0 ? shown : readings;
  return choice === "earlier" ? Math.min(...possible) : Math.max(...possible);
}

/** The zone's offset at a moment, in microseconds. */
function offsetAt(moment: Micros, zone: string): number {
  const seconds = Math.floor(moment / SECOND);
  const zoned = Temporal.Instant.fromEpochMilliseconds(seconds * 1000).toZonedDateTimeISO(zone);
  return zoned.offsetNanoseconds / 1000;
}

/** Returns a moment on the zone's clock as Python prints it: `2026-11-21 12:00:00+01:00`. */
export function printZoned(moment: Micros, zone: string): string {
  const wall = wallAt(moment, zone);
  const micros = ((wall % SECOND) + SECOND) % SECOND;
  const fraction = micros === 0 ? "" : `.${String(micros).padStart(6, "0")}`;
  const text = new Date((wall - micros) / 1000).toISOString().slice(0, 19).replace("T", " ");
  const minutes = Math.round((wall - moment) / (60 * SECOND));
  const two = (number: number) => String(number).padStart(2, "0");
  return `${text}${fraction}${minutes < 0 ? "-" : "+"}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
}
