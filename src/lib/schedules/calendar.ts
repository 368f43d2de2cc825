/** The Gregorian calendar of the years 1 to 9999, with days counted from 1970-01-01. */
import { DAY, type Micros } from "#lib/clock";

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
