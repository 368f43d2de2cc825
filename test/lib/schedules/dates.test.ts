import recorded from "./dates.json";
import { expect, test } from "vitest";
import { momentsWithin } from "#lib/schedules/looks";
import { wallAt } from "#lib/schedules/calendar";
import { type Schedule, ScheduleInput, scheduleMoments, settleSchedule } from "#wire/schedule";
import { parseTime, printTime } from "#wire/dates";

const SECOND = 1_000_000;
const DAY = 86_400 * SECOND;
const MOST = 6;
const SPAN = 1600 * DAY;

/** See record_dates.py. */
type Case = [kind: string, what: string | number, zone: number, third: number, start: number, steps: number[] | null];

// The type of a tuple in the JSON is an array with all types of its items.
const cases = recorded.cases as Case[];

function inputOf([kind, what, zone, third]: Case): Record<string, unknown> {
  const timezone = recorded.zones[zone];
  if (kind === "c") return { cron: what, timezone, day_or: third === 1 };
  if (kind === "r") return { rrule: what, timezone };
  return { interval: what, anchor_date: printTime(Math.round(third * SECOND)), timezone };
}

/**
 * Prefect: if the clock repeats an hour, one search gives a time of day once. A later search creates the second run.
 */
function shownOnce(moments: readonly number[], schedule: Schedule): number[] {
  if (!("interval" in schedule) || schedule.interval >= 86_400) return [...moments];
  const shown = new Set<number>();
  return moments.filter((moment) => {
    const wall = wallAt(moment, schedule.timezone);
    return !shown.has(wall) && shown.add(wall);
  });
}

function datesOf(schedule: Schedule, start: number): string[] {
  const window = {
    end: start + SPAN,
    until: start + SPAN,
    minRuns: MOST,
    maxRuns: "interval" in schedule ? MOST * 60 : MOST,
  };
  const moments = momentsWithin(scheduleMoments(schedule, start), window);
  return shownOnce(moments, schedule)
    .slice(0, MOST)
    .toSorted((a, b) => a - b)
    .map(printTime);
}

function momentsOf([, , , , start, steps]: Case): number[] {
  let moment = Math.round(start * SECOND);
  return (steps ?? []).map((step) => (moment += Math.round(step * SECOND)));
}

const expectedOf = (one: Case) => momentsOf(one).map(printTime);

/** A rule has days like `5#2` and days like `FR`. `dateutil` requires both kinds at once, RFC 5545 either kind. */
function hasTwoKindsOfDays(rrule: string): boolean {
  const lists = [...rrule.matchAll(/BYDAY=([^;\n]*)/g)].map(([, list = ""]) => list.split(","));
  return lists.some((days) => days.some((day) => /\d/.test(day)) && days.some((day) => !/\d/.test(day)));
}

/**
 * The differences from the original, with their reasons:
 * - `croniter` finds no date if the day of the month, the weekday, both together or the year never occurs again. So a
 *   schedule for the 31st of February or Mondays never runs. Here the Mondays count.
 * - `dateutil` reads days with and without a number together as a condition that no date meets. RFC 5545 lists them.
 * - The original accepts a rule without DTSTART and with UNTIL in UTC, and then fails each time that it reads the rule.
 *   Here the rule ends at UNTIL by the clock of its zone.
 * - BYEASTER is not in RFC 5545. It is refused, and the error names it.
 */
function isExplained([kind, what, , , , steps]: Case): boolean {
  const text = String(what);
  if (kind === "c") {
    const [, , day = "*", , weekday = "*", , year] = text.split(" ");
    const isBoth = !["*", "?"].includes(day) && !["*", "?"].includes(weekday);
    return steps?.length === 0 && (isBoth || year !== undefined);
  }
  if (kind !== "r") return false;
  const failsLater = !text.includes("DTSTART") && /UNTIL=\w+Z/.test(text);
  return hasTwoKindsOfDays(text) || failsLater || text.includes("BYEASTER");
}

/** The time of day in the zone, for each recorded date and for the anchor. */
function timesOfDay(one: Case): { anchor: number; dates: number[] } {
  const zone = recorded.zones[one[2]] ?? "";
  const timeOfDay = (moment: number) => ((wallAt(moment, zone) % DAY) + DAY) % DAY;
  return { anchor: timeOfDay(Math.round(one[3] * SECOND)), dates: momentsOf(one).map(timeOfDay) };
}

/**
 * Here an interval of days keeps the anchor's time of day. If a time of day occurs twice, the second one counts.
 * The original should do the same, but counts elapsed time from the anchor to the start of the search. If clocks have
 * changed in between, the original gives another hour, or the other one of two equal times of day.
 */
function losesTimeOfDay(one: Case): boolean {
  if (one[0] !== "i" || Number(one[1]) % 86_400 !== 0) return false;
  const { anchor, dates } = timesOfDay(one);
  const [first = 0] = momentsOf(one);
  const zone = recorded.zones[one[2]] ?? "";
  return dates.some((time) => time !== anchor) || wallAt(first, zone) === wallAt(first + 3600 * SECOND, zone);
}

const isOther = (one: Case) => isExplained(one) || losesTimeOfDay(one);
const ofKind = (letter: string) => cases.filter((one) => one[0] === letter && one[5] !== null && !isOther(one));
const kinds = { "cron expressions": "c", intervals: "i", "recurrence rules": "r" };

test("there are more than 3,000 recorded schedules in thirty time zones, and few have explained differences", () => {
  expect(cases.filter((one) => one[5] !== null && !isExplained(one)).length).toBeGreaterThan(3000);
  expect(cases.filter((one) => one[5] !== null && isExplained(one)).length).toBeLessThan(150);
  expect(recorded.zones.length).toBeGreaterThanOrEqual(30);
});

for (const [name, letter] of Object.entries(kinds)) {
  test.for(recorded.zones.map((zone, index) => [zone, index] as const))(
    `${name} in %s have the original's dates`,
    { timeout: 60_000 },
    ([, zone]) => {
      const others = ofKind(letter)
        .filter((one) => one[2] === zone)
        .flatMap((one) => {
          const start = Math.round(one[4] * SECOND);
          const schedule = settleSchedule(ScheduleInput.parse(inputOf(one)), start);
          const [dates, expected] = [datesOf(schedule, start), expectedOf(one)];
          return dates.join() === expected.join() ? [] : [{ schedule, start: printTime(start), dates, expected }];
        });
      expect(others).toEqual([]);
    },
  );
}

test("an interval of whole days keeps the anchor's time of day when the original does not", () => {
  const lost = cases.filter(losesTimeOfDay);
  expect(lost.length).toBeGreaterThan(50);
  for (const one of lost) {
    const [, days, zone, anchor, start] = [
      one[0],
      Number(one[1]) * SECOND,
      recorded.zones[one[2]] ?? "",
      one[3],
      one[4],
    ];
    const [first, from] = [wallAt(Math.round(anchor * SECOND), zone), Math.round(start * SECOND)];
    const schedule = settleSchedule(ScheduleInput.parse(inputOf(one)), from);
    const dates = momentsWithin(scheduleMoments(schedule, from), {
      end: from + SPAN,
      until: from,
      minRuns: MOST,
      maxRuns: MOST,
    });
    // Each date has the anchor's time of day. A time that does not exist moves by an hour (Lord Howe: half an hour). No
    // date is missing.
    const late = dates.map((moment) => (wallAt(moment, zone) - first) % days);
    expect(late.filter((time) => time !== 0 && time !== 3600 * SECOND && time !== 1800 * SECOND)).toEqual([]);
    expect(late.filter((time) => time !== 0).length).toBeLessThanOrEqual(1);
    const walls = [
      wallAt(from, zone) - days,
      ...dates.map((moment, index) => wallAt(moment, zone) - (late[index] ?? 0)),
    ];
    expect(walls.slice(2).every((wall, index) => wall - (walls[index + 1] ?? 0) === days)).toBe(true);
    expect((walls[1] ?? 0) - (walls[0] ?? 0)).toBeLessThanOrEqual(2 * days);
    // The original's dates are the same, except after the change of the clock.
    const near = momentsOf(one).filter((moment) => !dates.some((date) => Math.abs(date - moment) <= 7200 * SECOND));
    expect(near.length).toBeLessThanOrEqual(1);
  }
});

test("schedules that the original refuses are refused", () => {
  const refused = cases.filter(([, , , , , steps]) => steps === null);
  expect(refused.length).toBeGreaterThan(50);
  expect(refused.filter((one) => ScheduleInput.safeParse(inputOf(one)).success)).toEqual([]);
});

test.for(["FREQ=DAILY;INTERVAL=0", "EXDATE:20260101T000000"])(
  "%j is not a recurrence rule, though the original accepts it",
  (rrule) => {
    expect(ScheduleInput.safeParse({ rrule }).success).toBe(false);
  },
);

test("a search ends if no date ever comes", () => {
  const schedule = settleSchedule(ScheduleInput.parse({ cron: "0 0 30 2 *" }), 0);
  expect([...scheduleMoments(schedule, 0)]).toEqual([]);
});

test("the dates are the same for any start of the search", () => {
  const schedule = settleSchedule(ScheduleInput.parse({ cron: "0 9 * * 1-5", timezone: "Europe/Berlin" }), 0);
  const start = parseTime("2026-03-27T00:00:00Z") ?? 0;
  const [, second] = datesOf(schedule, start);
  expect(datesOf(schedule, parseTime(second ?? "") ?? 0)[0]).toBe(second);
});
