/** Recurrence rules (RFC 5545) as `dateutil` and the original read them: on the wall clock of the schedule's time zone. */
import { RRuleTemporal } from "rrule-temporal";
import { Temporal } from "temporal-polyfill";
import type { Micros } from "#lib/clock";
import { momentOf, type Wall, wallAt } from "./zones";

/** Prefect: MAX_RRULE_LENGTH, about a year of single dates. */
const MAX_CHARACTERS = 6500;
/** Prefect: where rules without DTSTART begin. */
const DEFAULT_START: Wall = Date.UTC(2020, 0, 1) * 1000;
const SECOND = 1_000_000;
const STAMP = /^(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2}))?Z?$/;

const FREQUENCIES = ["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"];
const WEEK = "MO,TU,WE,TH,FR,SA,SU";
const LAST_STAMP = "99991231T235959";
const NUMBERS = /^[+-]?\d+(,[+-]?\d+)*$/;
const PARTS: Record<string, RegExp> = {
  FREQ: new RegExp(`^(${FREQUENCIES.join("|")})$`),
  INTERVAL: /^\d+$/,
  COUNT: /^\d+$/,
  UNTIL: STAMP,
  WKST: /^(MO|TU|WE|TH|FR|SA|SU)$/,
  BYDAY: /^([+-]?\d*|)(MO|TU|WE|TH|FR|SA|SU)(\([+-]?\d+\))?(,([+-]?\d*|)(MO|TU|WE|TH|FR|SA|SU)(\([+-]?\d+\))?)*$/,
  BYSETPOS: NUMBERS,
  BYMONTH: NUMBERS,
  BYMONTHDAY: NUMBERS,
  BYYEARDAY: NUMBERS,
  BYWEEKNO: NUMBERS,
  BYHOUR: NUMBERS,
  BYMINUTE: NUMBERS,
  BYSECOND: NUMBERS,
};

type Rule = Record<string, string>;

interface RuleSet {
  start: Wall | undefined;
  rules: Rule[];
  excludedRules: Rule[];
  dates: Wall[];
  excludedDates: Wall[];
}

/** A rule that cannot be read; its message says why. */
class RuleProblem extends Error {}

/** What is wrong with a recurrence rule, or undefined. */
export function rruleProblem(text: string): string | undefined {
  try {
    checkUntil(text, parseSet(text));
  } catch (error) {
    if (error instanceof RuleProblem) return `Invalid RRule string "${text}": ${error.message}`;
    throw error;
  }
  if (text.length > MAX_CHARACTERS)
    return `Invalid RRule string "${text.slice(0, 40)}..."\nMax length is ${MAX_CHARACTERS}, got ${text.length}`;
  return undefined;
}

/**
 * The rule with a DTSTART. Prefect: `normalize_rrule_string`, one without begins in 2020, or, if it comes every few
 * seconds or minutes, at such a moment not long before now.
 */
export function anchorRule(text: string, zone: string, now: Micros): string {
  if (text.toUpperCase().includes("DTSTART")) return text;
  const set = parseSet(text);
  const [rule, ...others] = set.rules;
  const isPlain = rule && others.length + set.excludedRules.length + set.dates.length + set.excludedDates.length === 0;
  const start = isPlain ? recentStart(rule, wallAt(now, zone || "UTC")) : DEFAULT_START;
  return `DTSTART:${printStamp(start)}\n${text}`;
}

function recentStart(rule: Rule, now: Wall): Wall {
  const unit = rule["FREQ"] === "SECONDLY" ? SECOND : rule["FREQ"] === "MINUTELY" ? 60 * SECOND : undefined;
  if (unit === undefined || rule["COUNT"] !== undefined || now <= DEFAULT_START) return DEFAULT_START;
  const period = unit * intervalOf(rule);
  return DEFAULT_START + Math.floor((now - DEFAULT_START) / period) * period;
}

/** The rule's moments at or after `start`, in order. */
export function* rruleMoments(text: string, zone: string, start: Micros): Generator<Micros> {
  const set = parseSet(text);
  const begin = set.start ?? DEFAULT_START;
  const from = wallAt(start, zone);
  const excluded = new Set(set.excludedDates);
  const sources = [
    ...set.rules.map((rule) => ruleWalls(rule, begin, from)),
    set.dates.toSorted((a, b) => a - b)[Symbol.iterator](),
  ];
  const exclusions = merge(set.excludedRules.map((rule) => ruleWalls(rule, begin, from)));
  let exclusion = exclusions.next();
  for (const wall of merge(sources)) {
    while (!exclusion.done && exclusion.value < wall) exclusion = exclusions.next();
    if (excluded.has(wall) || (!exclusion.done && exclusion.value === wall)) continue;
    const moment = momentOf(wall, zone, "earlier");
    if (moment >= start) yield moment;
  }
}

const SUB_DAILY = ["HOURLY", "MINUTELY", "SECONDLY"];
const OF_DAYS = ["BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYDAY"];
const DAY = 86_400 * SECOND;

/** The walls of one rule from `from` on. */
function* ruleWalls(rule: Rule, begin: Wall, from: Wall): Generator<Wall> {
  const isPicky = SUB_DAILY.includes(rule["FREQ"] ?? "") && OF_DAYS.some((part) => part in rule);
  if (!isPicky || rule["COUNT"] !== undefined) {
    yield* libraryWalls(rule, begin, from);
    return;
  }
  // The library would step through each minute of the days that do not count.
  const days: Rule = { FREQ: "DAILY" };
  for (const part of [...OF_DAYS, "UNTIL"]) {
    const value = rule[part];
    // A weekday's place counts in months and years alone.
    if (value !== undefined) days[part] = part === "BYDAY" ? value.replaceAll(/[+-]?\d+/g, "") : value;
  }
  const midnight = (wall: Wall) => wall - (((wall % DAY) + DAY) % DAY);
  const first = midnight(Math.max(begin, from));
  for (const day of libraryWalls(days, midnight(begin), first)) {
    const until = parseStamp(rule["UNTIL"] ?? LAST_STAMP);
    const end = printStamp(Math.min(until, day + DAY - SECOND));
    yield* libraryWalls({ ...rule, UNTIL: end }, begin, Math.max(from, day));
  }
}

/** The same from the library, which counts on a clock without changes. */
function* libraryWalls(rule: Rule, begin: Wall, from: Wall): Generator<Wall> {
  const start = rule["COUNT"] === undefined ? jump(rule, begin, from) : begin;
  const until = rule["UNTIL"] === undefined ? {} : { UNTIL: `${printStamp(parseStamp(rule["UNTIL"]))}Z` };
  const parts = Object.entries({ ...rule, ...until }).map(([key, value]) => `${key}=${value}`);
  const rruleString = `DTSTART:${printStamp(start)}Z\nRRULE:${parts.join(";")}`;
  const isOften = SUB_DAILY.includes(rule["FREQ"] ?? "");
  const iterator = new RRuleTemporal({ rruleString, maxIterations: isOften ? 100_000 : 10_000 });
  let after: Temporal.ZonedDateTime | null = null;
  let wall = start - SECOND;
  for (;;) {
    after = nextAfter(iterator, Math.max(wall, from - SECOND));
    if (after === null) return;
    wall = after.epochMilliseconds * 1000;
    yield wall;
  }
}

function nextAfter(rule: RRuleTemporal, wall: Wall): Temporal.ZonedDateTime | null {
  const next = found(() => rule.next(new Date(wall / 1000), false));
  return next === null
    ? null
    : Temporal.Instant.fromEpochMilliseconds(next.epochMilliseconds).toZonedDateTimeISO("UTC");
}

/** The library gives up with an error on a rule whose dates do not come; that is no date. */
function found<T>(search: () => T | null): T | null {
  try {
    return search();
  } catch (error) {
    if (error instanceof Error && error.message.startsWith("Maximum iterations")) return null;
    throw error;
  }
}

/** A start near `from` in step with `begin`: without a COUNT the rule's dates from there on are the same. */
function jump(rule: Rule, begin: Wall, from: Wall): Wall {
  if (from <= begin) return begin;
  const interval = intervalOf(rule);
  const freq = rule["FREQ"];
  const elapsed: Record<string, number> = { SECONDLY: 1, MINUTELY: 60, HOURLY: 3600, DAILY: 86_400, WEEKLY: 604_800 };
  const unit = elapsed[freq ?? ""];
  if (unit !== undefined) {
    const period = unit * interval * SECOND;
    return begin + Math.max(0, Math.floor((from - begin) / period) - 1) * period;
  }
  const first = new Date(begin / 1000);
  if (first.getUTCDate() > 28) return begin;
  const months = interval * (freq === "YEARLY" ? 12 : 1);
  const last = new Date(from / 1000);
  const passed = (last.getUTCFullYear() - first.getUTCFullYear()) * 12 + last.getUTCMonth() - first.getUTCMonth();
  const steps = Math.max(0, Math.floor(passed / months) - 1);
  first.setUTCMonth(first.getUTCMonth() + steps * months);
  return first.getTime() * 1000;
}

/** Ascending sources as one, each value once. */
function* merge(sources: Iterator<Wall>[]): Generator<Wall> {
  const heads = sources.map((source) => ({ source, head: source.next() }));
  for (let last = -Infinity; ;) {
    const [first] = heads.filter(({ head }) => !head.done).toSorted((a, b) => a.head.value - b.head.value);
    if (!first) return;
    const wall = first.head.value;
    first.head = first.source.next();
    if (wall > last) yield wall;
    last = wall;
  }
}

function parseSet(text: string): RuleSet {
  const set: RuleSet = { start: undefined, rules: [], excludedRules: [], dates: [], excludedDates: [] };
  const lines = text.toUpperCase().split(/\s+/).filter(Boolean);
  if (lines.length === 0) throw new RuleProblem("empty string");
  for (const line of lines) addLine(set, line);
  if (set.rules.length + set.dates.length === 0) throw new RuleProblem("the rule has no RRULE");
  return set;
}

/** RFC 5545: an end is in UTC if and only if the beginning has a time zone. */
function checkUntil(text: string, { rules, excludedRules }: RuleSet): void {
  const begin = /^DTSTART\S*/im.exec(text)?.[0].toUpperCase();
  if (begin === undefined) return;
  const isZoned = begin.endsWith("Z") || begin.includes("TZID=");
  if ([...rules, ...excludedRules].some(({ UNTIL: until }) => until !== undefined && until.endsWith("Z") !== isZoned))
    throw new RuleProblem("RRULE UNTIL values must be specified in UTC when DTSTART is timezone-aware");
}

function addLine(set: RuleSet, line: string): void {
  const colon = line.indexOf(":");
  const [name = "", ...parameters] = colon < 0 ? ["RRULE"] : line.slice(0, colon).split(";");
  const value = line.slice(colon + 1);
  const known = parameters.filter((parameter) => !/^(TZID=|VALUE=DATE-TIME$|VALUE=DATE$)/.test(parameter));
  if (known.length > 0) throw new RuleProblem(`unsupported ${name} parm: ${known[0]}`);
  switch (name) {
    case "RRULE":
      set.rules.push(parseRule(value));
      return;
    case "EXRULE":
      set.excludedRules.push(parseRule(value));
      return;
    case "RDATE":
      set.dates.push(...value.split(",").map(parseStamp));
      return;
    case "EXDATE":
      set.excludedDates.push(...value.split(",").map(parseStamp));
      return;
    case "DTSTART":
      set.start = parseStamp(value);
      return;
    default:
      throw new RuleProblem(`unsupported property: ${name}`);
  }
}

function parseRule(text: string): Rule {
  const rule: Rule = {};
  for (const part of text.split(";")) {
    const [key = "", value] = part.split("=");
    if (value === undefined) throw new RuleProblem("not enough values to unpack (expected 2, got 1)");
    const name = key === "BYWEEKDAY" ? "BYDAY" : key;
    const pattern = PARTS[name];
    if (!pattern) throw new RuleProblem(`unknown parameter '${key}'`);
    if (!pattern.test(value)) throw new RuleProblem(`invalid '${key}': ${value}`);
    rule[name] = value;
  }
  if (rule["FREQ"] === undefined) throw new RuleProblem("FREQ is missing");
  // `dateutil`: a week's number alone means all of its days.
  if (rule["BYWEEKNO"] !== undefined && !["BYDAY", "BYMONTHDAY", "BYYEARDAY"].some((part) => part in rule))
    rule["BYDAY"] = WEEK;
  if (rule["INTERVAL"] === "0") throw new RuleProblem("invalid 'INTERVAL': 0");
  return rule;
}

const intervalOf = (rule: Rule): number => Number(rule["INTERVAL"] ?? 1);

function parseStamp(text: string): Wall {
  const match = STAMP.exec(text);
  if (!match) throw new RuleProblem(`invalid date: ${text}`);
  const [, year, month, day, hour = "0", minute = "0", second = "0"] = match;
  return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second)) * 1000;
}

function printStamp(wall: Wall): string {
  return new Date(wall / 1000).toISOString().slice(0, 19).replaceAll(/[-:]/g, "");
}
