/** The days that a recurrence rule allows. */
import { calendarDay, type CalendarDay, dayNumber, daysInMonth, daysInYear, modulo, weekdayOf } from "./calendar";
import { placedWeekday, type Rule } from "./rule";

/** Whether all parts of the rule that concern days allow the day. */
export function isRuleDay(rule: Rule, number: number): boolean {
  const { months, monthDays, yearDays, weekNumbers } = rule;
  const date = calendarDay(number);
  if (months && !months.has(date.month)) return false;
  if (monthDays && !has(monthDays, date.day, daysInMonth(date.year, date.month))) return false;
  if (yearDays && !has(yearDays, dayOfYear(number, date), daysInYear(date.year))) return false;
  if (weekNumbers && !isOfWeek(rule, weekNumbers, number)) return false;
  return isOnWeekday(rule, number, date);
}

/** Whether a position is in the set, where negative numbers count from the end. */
const has = (places: ReadonlySet<number>, place: number, length: number) =>
  places.has(place) || places.has(place - length - 1);

const dayOfYear = (number: number, { year }: CalendarDay) => number - dayNumber(year, 1, 1) + 1;

/** RFC 5545: weekdays with and without a number are alternatives. */
function isOnWeekday({ freq, weekdays, months }: Rule, number: number, date: CalendarDay): boolean {
  if (!weekdays) return true;
  const isOfYear = freq === "YEARLY" && !months;
  const place = isOfYear ? dayOfYear(number, date) : date.day;
  const length = isOfYear ? daysInYear(date.year) : daysInMonth(date.year, date.month);
  const places = [0, Math.ceil(place / 7), -Math.ceil((length - place + 1) / 7)];
  return places.some((one) => weekdays.has(placedWeekday(weekdayOf(number), one)));
}

/** A week belongs to the year that has most of its days. */
function isOfWeek({ weekStart }: Rule, wanted: ReadonlySet<number>, number: number): boolean {
  const start = number - modulo(weekdayOf(number) - weekStart, 7);
  const { year } = calendarDay(start + 3);
  const weeks = (firstWeek(year + 1, weekStart) - firstWeek(year, weekStart)) / 7;
  return has(wanted, (start - firstWeek(year, weekStart)) / 7 + 1, weeks);
}

/** The first day of the year's first week, which is the week with the 4th of January. */
function firstWeek(year: number, weekStart: number): number {
  const fourth = dayNumber(year, 1, 4);
  return fourth - modulo(weekdayOf(fourth) - weekStart, 7);
}
