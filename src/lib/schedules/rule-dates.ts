/** The dates of one recurrence rule, on a clock that never changes. The search counts its looks. */
import { calendarDay, type CalendarDay, dayNumber, daysInMonth, daysInYear, modulo, weekdayOf } from "./calendar";
import type { Looks } from "./looks";
import { type Frequency, placedWeekday, type Rule, type WallSeconds } from "./rule";

const DAY = 86_400;
const UNITS: Partial<Record<Frequency, number>> = { HOURLY: 3600, MINUTELY: 60, SECONDLY: 1 };
/** The last second of the year 9999, where Python's calendar ends, too. */
const LAST_SECOND: WallSeconds = dayNumber(10_000, 1, 1) * DAY - 1;

/** The start of the rule, and the first second that is asked for. */
export interface From {
  begin: WallSeconds;
  from: WallSeconds;
}

/** One repetition of a rule: each of the days at each of the times. */
interface Period {
  days: readonly number[];
  hours: readonly number[];
  minutes: readonly number[];
  seconds: readonly number[];
}

/** Returns the rule's dates at or after `from`, in order. They end early if the looks are used up. */
export function* ruleDates(asked: Rule, { begin, from }: From, looks: Looks): Generator<WallSeconds> {
  const rule = withDefaults(asked, begin);
  const until = rule.until ?? LAST_SECOND;
  // COUNT counts from the start of the rule.
  const first = rule.count === undefined ? Math.max(begin, from) : begin;
  let left = rule.count ?? Infinity;
  for (const period of periods(rule, { begin, from: first }, looks)) {
    if (!looks.take(1 + (rule.positions?.length ?? 0))) return;
    const size = period.days.length * timesIn(period);
    if (size === 0) continue;
    const isPast = dateAt(period, 0) >= begin && dateAt(period, size - 1) < from;
    if (isPast && !rule.positions) {
      left -= size;
      if (left <= 0) return;
      continue;
    }
    for (const index of indexes(rule, period, size, first)) {
      const date = dateAt(period, index);
      if (date > until || left <= 0 || !looks.take()) return;
      if (date < begin) continue;
      left--;
      if (date >= from) yield date;
    }
  }
}

/** `dateutil`: parts that the rule does not name come from its start. */
function withDefaults(rule: Rule, begin: WallSeconds): Rule {
  const { month, day } = calendarDay(Math.floor(begin / DAY));
  const { freq } = rule;
  const isOpen = !rule.weekNumbers && !rule.yearDays && !rule.monthDays && !rule.weekdays;
  const isElapsed = !["YEARLY", "MONTHLY"].includes(freq);
  const isPlain =
    isElapsed && isOpen && !rule.months && !rule.hours && !rule.minutes && !rule.seconds && !rule.positions;
  const hour = Math.floor(modulo(begin, DAY) / 3600);
  return {
    ...rule,
    ...(isOpen && freq === "YEARLY" && { months: rule.months ?? new Set([month]), monthDays: new Set([day]) }),
    ...(isOpen && freq === "MONTHLY" && { monthDays: new Set([day]) }),
    ...(isOpen && freq === "WEEKLY" && { weekdays: new Set([placedWeekday(weekdayOf(Math.floor(begin / DAY)), 0)]) }),
    ...(!(freq in UNITS) && { hours: rule.hours ?? [hour] }),
    ...(freq !== "MINUTELY" &&
      freq !== "SECONDLY" && { minutes: rule.minutes ?? [Math.floor(modulo(begin, 3600) / 60)] }),
    ...(freq !== "SECONDLY" && { seconds: rule.seconds ?? [modulo(begin, 60)] }),
    // A rule without parts has a date in each interval, so COUNT determines the last date.
    ...(isPlain && rule.count !== undefined && { count: undefined, until: lastOf(rule, rule.count, begin) }),
  };
}

function lastOf({ freq, interval, until }: Rule, count: number, begin: WallSeconds): WallSeconds {
  const unit = UNITS[freq] ?? (freq === "WEEKLY" ? 7 * DAY : DAY);
  return Math.min(until ?? LAST_SECOND, begin + (count - 1) * interval * unit);
}

const timesIn = ({ hours, minutes, seconds }: Period) => hours.length * minutes.length * seconds.length;

/** The date with this index in the period, in order. */
function dateAt(period: Period, index: number): WallSeconds {
  const { days, hours, minutes, seconds } = period;
  const times = timesIn(period);
  const time = index % times;
  const hour = hours[Math.floor(time / (minutes.length * seconds.length))] ?? 0;
  const minute = minutes[Math.floor(time / seconds.length) % minutes.length] ?? 0;
  const second = seconds[time % seconds.length] ?? 0;
  return (((days[Math.floor(index / times)] ?? 0) * 24 + hour) * 60 + minute) * 60 + second;
}

/** The indexes of the period's dates at or after `first` that the rule chooses. */
function* indexes({ positions }: Rule, period: Period, size: number, first: WallSeconds): Generator<number> {
  if (positions) {
    const places = positions.map((position) => (position > 0 ? position - 1 : size + position));
    const sound = places.filter((place) => place >= 0 && place < size && dateAt(period, place) >= first);
    yield* [...new Set(sound)].toSorted((a, b) => a - b);
    return;
  }
  let [low, high] = [0, size];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (dateAt(period, middle) < first) low = middle + 1;
    else high = middle;
  }
  for (let index = low; index < size; index++) yield index;
}

function* periods(rule: Rule, range: From, looks: Looks): Generator<Period> {
  if (rule.freq in UNITS) {
    yield* periodsOfTime(rule, range, looks);
    return;
  }
  const { hours = [], minutes = [], seconds = [] } = rule;
  for (const days of periodsOfDays(rule, range)) {
    const chosen: number[] = [];
    for (const day of days) {
      if (!looks.take()) return;
      if (isRuleDay(rule, day)) chosen.push(day);
    }
    yield { days: chosen, hours, minutes, seconds };
  }
}

/** The days of each year, month, week or day that the interval chooses. */
function* periodsOfDays(rule: Rule, { begin, from }: From): Generator<number[]> {
  const { freq, interval, weekStart } = rule;
  const [beginDay, fromDay] = [Math.floor(begin / DAY), Math.floor(from / DAY)];
  const lastDay = Math.floor((rule.until ?? LAST_SECOND) / DAY);
  const [first, asked] = [calendarDay(beginDay), calendarDay(fromDay)];
  if (freq === "YEARLY") {
    const last = calendarDay(lastDay).year;
    for (let year = first.year + steps(asked.year - first.year, interval); year <= last; year += interval)
      yield Array.from({ length: 12 }, (_, index) => daysOfMonth(rule, year, index + 1)).flat();
  } else if (freq === "MONTHLY") {
    const monthOf = ({ year, month }: typeof first) => year * 12 + month - 1;
    const last = monthOf(calendarDay(lastDay));
    let month = monthOf(first) + steps(monthOf(asked) - monthOf(first), interval);
    for (; month <= last; month += interval) yield daysOfMonth(rule, Math.floor(month / 12), (month % 12) + 1);
  } else {
    // The first week has only the days after the start of the rule.
    const length = freq === "WEEKLY" ? 7 : 1;
    const start = freq === "WEEKLY" ? beginDay - modulo(weekdayOf(beginDay) - weekStart, 7) : beginDay;
    let day = start + length * steps(Math.floor((fromDay - start) / length), interval);
    for (; day <= lastDay; day += length * interval)
      yield Array.from({ length }, (_, index) => day + index).filter((one) => one >= beginDay);
  }
}

/** The largest multiple of the interval that is not greater than the distance. */
const steps = (distance: number, interval: number) => Math.max(0, Math.floor(distance / interval)) * interval;

/** The days of a month that the rule may choose; none if the rule does not choose the month. */
function daysOfMonth({ months, monthDays }: Rule, year: number, month: number): number[] {
  if (months && !months.has(month)) return [];
  const length = daysInMonth(year, month);
  const before = dayNumber(year, month, 1) - 1;
  const days = monthDays
    ? [...monthDays].map((day) => (day > 0 ? day : length + 1 + day)).filter((day) => day >= 1 && day <= length)
    : Array.from({ length }, (_, index) => index + 1);
  return [...new Set(days)].toSorted((a, b) => a - b).map((day) => before + day);
}

/** Each hour, minute or second that the interval chooses and the parts allow. Days without one are skipped. */
function* periodsOfTime(rule: Rule, { begin, from }: From, looks: Looks): Generator<Period> {
  const { freq, hours, minutes, seconds } = rule;
  const unit = UNITS[freq] ?? 1;
  const step = unit * rule.interval;
  const origin = Math.floor(begin / unit) * unit;
  const last = rule.until ?? LAST_SECOND;
  const meeting = (wall: WallSeconds) => origin + Math.max(0, Math.ceil((wall - origin) / step)) * step;
  const days = new Map<number, boolean>();
  for (let wall = meeting(from - unit + 1); wall <= last;) {
    if (!looks.take()) return;
    const day = Math.floor(wall / DAY);
    const [hour, minute, second] = [
      Math.floor(modulo(wall, DAY) / 3600),
      Math.floor(modulo(wall, 3600) / 60),
      modulo(wall, 60),
    ];
    if (!days.has(day)) {
      days.clear();
      days.set(day, isRuleDay(rule, day));
    }
    if (!days.get(day)) wall = meeting((day + 1) * DAY);
    else if (hours && !hours.includes(hour)) wall = meeting(wall - modulo(wall, 3600) + 3600);
    else if (freq !== "HOURLY" && minutes && !minutes.includes(minute)) wall = meeting(wall - second + 60);
    else if (freq === "SECONDLY" && seconds && !seconds.includes(second)) wall += step;
    else {
      yield {
        days: [day],
        hours: [hour],
        minutes: freq === "HOURLY" ? (minutes ?? []) : [minute],
        seconds: freq === "SECONDLY" ? [second] : (seconds ?? []),
      };
      wall += step;
    }
  }
}

/** Whether all parts of the rule that concern days allow the day. */
function isRuleDay(rule: Rule, number: number): boolean {
  const { months, monthDays, yearDays, weekNumbers } = rule;
  const date = calendarDay(number);
  if (months && !months.has(date.month)) return false;
  if (monthDays && !has(monthDays, date.day, daysInMonth(date.year, date.month))) return false;
  if (yearDays && !has(yearDays, dayOfYear(number, date), daysInYear(date.year))) return false;
  if (weekNumbers && !isOfWeek(rule, weekNumbers, number)) return false;
  return isOnWeekday(rule, number, date);
}

/** Whether a position is in the set. Negative numbers count from the end. */
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

/** The first day of the year's first week. The first week contains the 4th of January. */
function firstWeek(year: number, weekStart: number): number {
  const fourth = dayNumber(year, 1, 4);
  return fourth - modulo(weekdayOf(fourth) - weekStart, 7);
}
