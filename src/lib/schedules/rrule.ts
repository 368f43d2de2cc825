/** The times of recurrence rules (RFC 5545), read as `dateutil` and the original read them, on the wall clock of a time zone. */
import { dayNumber, momentOf, wallAt } from "./calendar";
import { type Micros, SECOND } from "#lib/clock";
import { Looks } from "./looks";
import { parseRule, parseStamp, type Rule, RuleProblem, type WallSeconds } from "./rule";
import { ruleDates } from "./rule-dates";

/** Prefect: MAX_RRULE_LENGTH, the length of about a year of single dates. */
const MAX_CHARACTERS = 6500;
/** Prefect: the start of rules without DTSTART. */
const DEFAULT_START: WallSeconds = dayNumber(2020, 1, 1) * 86_400;
/** A stored text may be longer than a request's text, because a DTSTART was added. */
const DTSTART_CHARACTERS = 32;

/** The rules, all excluded rules and the merge have their own looks, so that a rule without dates does not use the looks of the others. */
const [LOOKS_OF_RULES, LOOKS_OF_EXCLUSIONS, LOOKS_OF_MERGE] = [200_000, 100_000, 100_000];

interface RuleSet {
  start: WallSeconds | undefined;
  rules: Rule[];
  excludedRules: Rule[];
  dates: WallSeconds[];
  excludedDates: WallSeconds[];
}

/** Returns the fault of a recurrence rule, or undefined if there is none. */
export function rruleProblem(text: string): string | undefined {
  if (text.length > MAX_CHARACTERS)
    return `Invalid RRule string "${text.slice(0, 40)}..."\nMax length is ${MAX_CHARACTERS}, got ${text.length}`;
  try {
    checkUntil(text, parseSet(text));
  } catch (error) {
    if (error instanceof RuleProblem) return `Invalid RRule string "${text}": ${error.message}`;
    throw error;
  }
  return undefined;
}

/**
 * Returns the rule with a DTSTART. Prefect: `normalize_rrule_string`; a rule without DTSTART begins in 2020, and a rule
 * that repeats by seconds or minutes begins at its last time before now.
 */
export function anchorRule(text: string, zone: string, now: Micros): string {
  if (text.toUpperCase().includes("DTSTART")) return text;
  const set = parseSet(text);
  const [rule, ...others] = set.rules;
  const isPlain = rule && others.length + set.excludedRules.length + set.dates.length + set.excludedDates.length === 0;
  const start = isPlain ? recentStart(rule, Math.floor(wallAt(now, zone || "UTC") / SECOND)) : DEFAULT_START;
  return `DTSTART:${printStamp(start)}\n${text}`;
}

function recentStart({ freq, count, interval }: Rule, now: WallSeconds): WallSeconds {
  const unit = freq === "SECONDLY" ? 1 : freq === "MINUTELY" ? 60 : undefined;
  if (unit === undefined || count !== undefined || now <= DEFAULT_START) return DEFAULT_START;
  const period = unit * interval;
  return DEFAULT_START + Math.floor((now - DEFAULT_START) / period) * period;
}

/**
 * Returns the rule's moments at or after `start`, in order. They end when the looks are used up. The rule may then have
 * later moments, but no earlier moment is missing. Throws if the text is not a rule.
 */
export function* rruleMoments(text: string, zone: string, start: Micros, looks = new Looks()): Generator<Micros> {
  // No request may have a longer text, so a longer text was never checked.
  if (text.length > MAX_CHARACTERS + DTSTART_CHARACTERS)
    throw new RuleProblem(`the rule has ${text.length} characters`);
  const set = parseSet(text);
  const from = { begin: set.start ?? DEFAULT_START, from: Math.ceil(wallAt(start, zone) / SECOND) };
  const excluded = new Set(set.excludedDates);
  const perRule = LOOKS_OF_RULES / Math.max(1, set.rules.length);
  const dates = set.dates.toSorted((a, b) => a - b)[Symbol.iterator]();
  const sources = [...set.rules.map((rule) => ruleDates(rule, from, looks.part(perRule))), dates];
  // All exclusions before a date have to be known, so the dates end when the looks of the exclusions are used up.
  const forExclusions = looks.part(LOOKS_OF_EXCLUSIONS);
  const exclusions = merge(
    set.excludedRules.map((rule) => ruleDates(rule, from, forExclusions)),
    forExclusions,
  );
  let exclusion = exclusions.next();
  for (const wall of merge(sources, looks.part(LOOKS_OF_MERGE))) {
    while (!exclusion.done && exclusion.value < wall) exclusion = exclusions.next();
    if (forExclusions.areSpent) return;
    if (excluded.has(wall) || (!exclusion.done && exclusion.value === wall)) continue;
    const moment = momentOf(wall * SECOND, zone, "earlier");
    if (moment >= start) yield moment;
  }
}

/** Merges ascending sources, each value once. One step reads the head of each source. */
function* merge(sources: readonly Iterator<WallSeconds>[], looks: Looks): Generator<WallSeconds> {
  const heads = sources.map((source) => ({ source, head: source.next() }));
  for (let last = -Infinity; ;) {
    let first: (typeof heads)[number] | undefined;
    for (const one of heads) {
      if (!one.head.done && (!first || one.head.value < first.head.value)) first = one;
    }
    if (!first || first.head.done || !looks.take(heads.length)) return;
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

/** RFC 5545: UNTIL is in UTC if and only if DTSTART has a time zone. */
function checkUntil(text: string, { rules, excludedRules }: RuleSet): void {
  const begin = /^DTSTART\S*/im.exec(text)?.[0].toUpperCase();
  if (begin === undefined) return;
  const isZoned = begin.endsWith("Z") || begin.includes("TZID=");
  if ([...rules, ...excludedRules].some(({ until, endsInUtc }) => until !== undefined && endsInUtc !== isZoned))
    throw new RuleProblem("RRULE UNTIL values must be specified in UTC when DTSTART is timezone-aware");
}

function addLine(set: RuleSet, line: string): void {
  const colon = line.indexOf(":");
  const [name = "", ...parameters] = colon < 0 ? ["RRULE"] : line.slice(0, colon).split(";");
  const value = line.slice(colon + 1);
  const known = parameters.filter((parameter) => !/^(TZID=|VALUE=DATE-TIME$|VALUE=DATE$)/.test(parameter));
  if (known.length > 0) throw new RuleProblem(`unsupported ${name} parm: ${known[0]}`);
  const add = LINES.get(name);
  if (!add) throw new RuleProblem(`unsupported property: ${name}`);
  add(set, value);
}

const stampsIn = (value: string) => value.split(",").map(parseStamp);

/** The effect of each kind of line on a set. */
const LINES: ReadonlyMap<string, (set: RuleSet, value: string) => unknown> = new Map([
  ["RRULE", (set: RuleSet, value) => set.rules.push(parseRule(value))],
  ["EXRULE", (set, value) => set.excludedRules.push(parseRule(value))],
  ["RDATE", (set, value) => set.dates.push(...stampsIn(value))],
  ["EXDATE", (set, value) => set.excludedDates.push(...stampsIn(value))],
  ["DTSTART", (set, value) => (set.start = parseStamp(value))],
]);

function printStamp(wall: WallSeconds): string {
  return new Date(wall * 1000).toISOString().slice(0, 19).replaceAll(/[-:]/g, "");
}
