/** The times of cron expressions, read as `croniter` reads them, on the wall clock of a time zone. */
import { type Micros, SECOND } from "#lib/clock";
import { Looks } from "./looks";
import { momentOf, type Wall, wallAt } from "./calendar";

const DAY_MS = 86_400_000;
const LAST_YEAR_AHEAD = 50;

/** The values a field may have; `undefined` for any. */
type Values = ReadonlySet<number> | undefined;

/** The smallest and the largest value of a field, the names of its values, and numbers that mean other values. */
interface Field {
  min: number;
  max: number;
  names?: Record<string, number>;
  aliases?: Record<number, number>;
}

const named = (names: string, first: number) =>
  Object.fromEntries(names.split(" ").map((name, index) => [name, index + first]));

const MINUTE: Field = { min: 0, max: 59 };
const HOUR: Field = { min: 0, max: 23 };
const DAY: Field = { min: 1, max: 31 };
const MONTH: Field = { min: 1, max: 12, names: named("jan feb mar apr may jun jul aug sep oct nov dec", 1) };
const WEEKDAY: Field = { min: 0, max: 6, names: named("sun mon tue wed thu fri sat", 0) };
/** `croniter`: in expressions of five parts, 7 is a Sunday. In expressions of six parts, day 0 is the first day of the month. */
const WEEKDAY_OF_FIVE: Field = { ...WEEKDAY, aliases: { 7: 0 } };
const DAY_OF_SIX: Field = { ...DAY, aliases: { 0: 1 } };
const SECONDS: Field = { min: 0, max: 59 };
const YEAR: Field = { min: 1970, max: 2099 };
const FIELDS: Field[] = [MINUTE, HOUR, DAY, MONTH, WEEKDAY, SECONDS, YEAR];

const SHORTHANDS: Record<string, string> = {
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
};

/** How many characters an expression may have. An expression that lists each value of each field has fewer. */
const MAX_CHARACTERS = 6500;

/** Returns the fault of a cron expression, or undefined if there is none. */
export function cronProblem(expression: string): string | undefined {
  if (expression.length > MAX_CHARACTERS)
    return `Invalid cron string: "${expression.slice(0, 40)}..."\nMax length is ${MAX_CHARACTERS}, got ${expression.length}`;
  if (!parseCron(expression, "")) return `Invalid cron string: "${expression}"`;
  if (expression.split(/\s+/).some((part) => part.toLowerCase() === "r")) {
    return `Random and Hashed expressions are unsupported, received: "${expression}"`;
  }
  return undefined;
}

/** A cron expression, and the options for reading it. */
interface CronTimes {
  expression: string;
  zone: string;
  /** Whether a day has to match only one of the two day fields. Otherwise the day has to match both. */
  dayOr: boolean;
  /** Random fields have the same values for the same seed. */
  seed: string;
  /** How many candidates the search may pass. */
  looks?: Looks | undefined;
}

/**
 * Returns the moments at or after `start` at which the zone's clock shows a time of the expression. Prefect: if a
 * change of clocks repeats an hour, its times count once; if it skips an hour, the times in it count an hour earlier.
 */
export function* cronMoments(
  { expression, zone, dayOr, seed, looks = new Looks() }: CronTimes,
  start: Micros,
): Generator<Micros> {
  if (expression.length > MAX_CHARACTERS) return;
  const cron = parseCron(expression, seed);
  if (!cron) return;
  const from = Math.ceil(wallAt(start, zone) / SECOND) * SECOND;
  for (const wall of walls(cron, dayOr, from, looks)) yield momentOf(wall, zone, "earlier");
}

function* walls(cron: Cron, dayOr: boolean, from: Wall, looks: Looks): Generator<Wall> {
  const first = new Date(from / 1000);
  const firstDay = Date.UTC(first.getUTCFullYear(), first.getUTCMonth(), first.getUTCDate());
  const hours = listed(cron.hours, HOUR);
  const minutes = listed(cron.minutes, MINUTE);
  const seconds = listed(cron.seconds, SECONDS);
  let lastYear = first.getUTCFullYear() + LAST_YEAR_AHEAD;
  for (let day = firstDay; ; day += DAY_MS) {
    const date = new Date(day);
    const year = date.getUTCFullYear();
    if (!(year <= lastYear) || !looks.take()) return;
    if (cron.months && !cron.months.has(date.getUTCMonth() + 1)) {
      day = Date.UTC(year, date.getUTCMonth() + 1, 1) - DAY_MS;
      continue;
    }
    if ((cron.years && !cron.years.has(year)) || !isDay(cron, dayOr, date)) continue;
    lastYear = year + LAST_YEAR_AHEAD;
    for (const hour of hours) {
      for (const minute of minutes) {
        for (const second of seconds) {
          const wall = (day + ((hour * 60 + minute) * 60 + second) * 1000) * 1000;
          if (!looks.take()) return;
          if (wall >= from) yield wall;
        }
      }
    }
  }
}

function isDay(cron: Cron, dayOr: boolean, date: Date): boolean {
  const isDayOfMonth = !cron.days || cron.days.has(date.getUTCDate()) || (cron.lastDay && isLastDay(date));
  const isWeekday = isDayOfWeek(cron, date);
  // `croniter`: with a numbered weekday of the month (`5#2`) the day of the month does not count.
  if (dayOr && cron.days && cron.nthWeekdays.size > 0) return isWeekday;
  if (dayOr && cron.days && cron.weekdays) return isDayOfMonth || isWeekday;
  return isDayOfMonth && isWeekday;
}

function isDayOfWeek(cron: Cron, date: Date): boolean {
  const weekday = date.getUTCDay();
  if (cron.nthWeekdays.size === 0) return !cron.weekdays || cron.weekdays.has(weekday);
  const which = cron.nthWeekdays.get(weekday);
  if (!which) return false;
  const isLast = date.getUTCDate() + 7 > daysIn(date);
  return which.has(Math.ceil(date.getUTCDate() / 7)) || (which.has(0) && isLast);
}

const daysIn = (date: Date) => new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
const isLastDay = (date: Date) => date.getUTCDate() === daysIn(date);

function listed(values: Values, { min, max }: Field): number[] {
  return stretch(min, max, 1).filter((value) => !values || values.has(value));
}

type Cron = NonNullable<ReturnType<typeof parseCron>>;

/** The parts of the expression, or undefined if it is not a cron expression. */
function parseCron(expression: string, seed: string) {
  const text = expression.toLowerCase();
  const shorthand = Object.hasOwn(SHORTHANDS, text) ? SHORTHANDS[text] : undefined;
  const written = (shorthand ?? text).trim().split(/\s+/);
  if (![5, 6, 7].includes(written.length)) return undefined;
  const parts = written.map((part, index) => drawn(part, index, seed));
  const days = parseDays(parts[2] ?? "", parts.length === 6 ? DAY_OF_SIX : DAY);
  const weekdays = parseWeekdays(parts[4] ?? "", parts.length === 5 ? WEEKDAY_OF_FIVE : WEEKDAY);
  if (!days || !weekdays) return undefined;
  const fields = FIELDS.map((one, index) => {
    const part = parts[index];
    if (part === undefined) return index === 5 ? new Set([0]) : new Set<number>();
    return index === 2 || index === 4 ? new Set<number>() : parseField(part, one);
  });
  if (fields.includes(undefined)) return undefined;
  const [minutes, hours, , months, , seconds, years] = FIELDS.map((one, index) =>
    isAll(fields[index], one) ? undefined : fields[index],
  );
  // A field that lists every value counts as a star, unless then only the other day field would count.
  const isEveryWeekday = isAll(weekdays.values, WEEKDAY) && (parts[2] ?? "").includes("*");
  return {
    minutes,
    hours,
    months,
    seconds,
    years: parts.length === 7 ? years : undefined,
    /** `l` among the days: the last day of the month. */
    lastDay: days.last,
    days: isAll(days.values, DAY) && (parts[4] ?? "").includes("*") ? undefined : days.values,
    weekdays: isEveryWeekday ? undefined : weekdays.values,
    /** `5#2`, `l5`: the position of the weekday in the month; 0 means the last. */
    nthWeekdays: weekdays.nth,
  };
}

const RANDOM = /^r(?:\((\d+)-(\d+)\))?(?:\/(\d+))?$/;

/**
 * Returns a plain field for a random one (`r(0-29)`, `r/15`). `croniter` draws other values each time, so the original
 * schedules other runs each time. Here a seed always gives the same times.
 */
function drawn(part: string, index: number, seed: string): string {
  const match = RANDOM.exec(part);
  const one = FIELDS[index];
  if (!match || !one) return part;
  const [, from, to, step] = match;
  const [low, high] = [Number(from ?? one.min), Number(to ?? one.max)];
  const most = step === undefined ? high : low + Number(step) - 1;
  const isSound =
    low >= one.min && high <= one.max && most <= one.max && most >= low && (from === undefined || low < high);
  if (!isSound) return part;
  const value = low + (hashOf(`${index} ${seed}`) % (most - low + 1));
  return step === undefined ? `${value}` : `${value}-${high}/${step}`;
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return hash;
}

const isAll = (values: Values, { min, max }: Field) => values === undefined || values.size === max - min + 1;

function parseDays(part: string, day: Field): { values: Values; last: boolean } | undefined {
  if (part === "?" || part === "*") return { values: undefined, last: false };
  const items = part.split(",");
  const last = items.includes("l");
  const plain = items.filter((item) => item !== "l").map((item) => item.replace(/-l(?=\/|$)/, "-31"));
  if (plain.length === 0) return { values: new Set(), last };
  const values = parseField(plain.join(","), day);
  if (values) return { values, last };
  return plain.includes("*") ? { values, last: false } : undefined;
}

function parseWeekdays(part: string, weekday: Field): { values: Values; nth: Map<number, Set<number>> } | undefined {
  const nth = new Map<number, Set<number>>();
  if (part === "?" || part === "*") return { values: undefined, nth };
  const plain: string[] = [];
  for (const item of part.split(",")) {
    const [, range, which] = /^([a-z]{3}-[a-z]{3}|\w+)#(\d+)$/.exec(item) ?? [];
    const [, last] = /^l(\d+)$/.exec(item) ?? [];
    if (range === undefined && last === undefined) {
      plain.push(item);
      continue;
    }
    const days = parseField(range ?? last ?? "", weekday);
    const place = last === undefined ? Number(which) : 0;
    if (!days || (last === undefined && (place < 1 || place > 5))) return undefined;
    for (const day of days) nth.set(day, new Set([...(nth.get(day) ?? []), place]));
  }
  if (nth.size > 0) return plain.length > 0 ? undefined : { values: new Set(), nth };
  const values = parseField(plain.join(","), weekday);
  return values ? { values, nth } : undefined;
}

/** The values of one field's list of numbers, names, ranges and steps. */
function parseField(part: string, one: Field): Set<number> | undefined {
  const values = new Set<number>();
  for (const item of part.split(",")) {
    const range = parseItem(item, one);
    if (!range) return undefined;
    for (const value of range) values.add(value);
  }
  return values;
}

function parseItem(item: string, one: Field): number[] | undefined {
  if (item === "*") return stretch(one.min, one.max, 1);
  const match = /^(\*|[^-/*]+)(?:-([^-/]+))?(?:\/(\d+))?$/.exec(item);
  if (!match) return undefined;
  const [, lowText = "", highText, stepText] = match;
  const low = lowText === "*" ? one.min : parseValue(lowText, one);
  const high = highText === undefined ? undefined : parseValue(highText, one);
  const step = Number(stepText ?? 1);
  if (low === undefined || step < 1 || (highText !== undefined && (high === undefined || lowText === "*")))
    return undefined;
  if (high === undefined && stepText === undefined) return [low];
  if (high === undefined) return stretch(low === one.max ? one.min : low, one.max, step);
  if (low === high) return stretch(one.min, one.max, step);
  if (low < high) return stretch(low, high, step);
  return aroundTheEnd(low, high, step, one);
}

/** A range with an end below its start continues at the first value of the field: `nov-feb`, `sat-mon`. */
function aroundTheEnd(low: number, high: number, step: number, { min, max }: Field): number[] {
  const upper = stretch(low, max, step);
  const last = upper.at(-1) ?? max;
  const left = max - last;
  const skipped = last - min + step > max - min + 1 && left < step ? step - left : 0;
  return [...upper, ...stretch(min + skipped, high, step)];
}

function stretch(low: number, high: number, step: number): number[] {
  const values: number[] = [];
  for (let value = low; value <= high; value += step) values.push(value);
  return values;
}

function parseValue(text: string, { names = {}, aliases = {}, min, max }: Field): number | undefined {
  const number = /^\d+$/.test(text) ? Number(text) : names[text];
  if (number === undefined) return undefined;
  const value = aliases[number] ?? number;
  return value >= min && value <= max ? value : undefined;
}
