import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { calendarDay, CALENDAR, dayNumber } from "#lib/schedules/calendar";
import { cronProblem } from "#lib/schedules/cron";
import { Looks } from "#lib/schedules/looks";
import { rruleProblem } from "#lib/schedules/rrule";
import { parseTime, printTime } from "#wire/dates";
import { type Schedule, ScheduleInput, scheduleMoments, settleSchedule } from "#wire/schedule";

const NOW = parseTime("2026-11-27T14:00:00Z") ?? 0;
/** The maximum number of dates that the scheduler takes. */
const MOST = 1_000;
/** The looks of one search, and the looks that its parts take beyond the bound before they end. */
const MOST_LOOKS = 400_000 + 10_000;
const ZONES = ["UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"];

interface Found {
  moments: number[];
  looks: number;
}

function search(schedule: Schedule, start = NOW): Found {
  const looks = new Looks();
  const moments = [...scheduleMoments(schedule, start, { looks }).take(MOST)];
  return { moments, looks: looks.taken };
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index).join(",");
const lines = (line: string, count: number) => Array.from({ length: count }, () => line).join("\n");

describe("a recurrence rule", () => {
  test.for([
    ["with all dates excluded", "DTSTART:20200101T000000\nRRULE:FREQ=DAILY\nEXRULE:FREQ=DAILY", 0],
    ["with all seconds excluded", "DTSTART:20200101T000000\nRRULE:FREQ=SECONDLY\nEXRULE:FREQ=SECONDLY", 0],
    ["of seconds on a day that does not exist", "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", 0],
    ["of years on a day that does not exist", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", 0],
    ["of hours on a day of the year that does not exist", "FREQ=HOURLY;BYYEARDAY=367", 0],
    ["with a second that its interval never meets", "FREQ=SECONDLY;INTERVAL=60;BYSECOND=30", 0],
    ["with a position that its period does not have", "FREQ=SECONDLY;BYSETPOS=2", 0],
    ["with many places in each second", `FREQ=SECONDLY;BYSETPOS=${numbers(2, 366)}`, 0],
    ["with a count that is longer than time", "FREQ=SECONDLY;COUNT=99999999999999999999;BYHOUR=1", 0],
    ["with an interval that is longer than time", `FREQ=SECONDLY;INTERVAL=${"9".repeat(5_000)}`, 0],
    ["with an end in the year 9999", "FREQ=MINUTELY;UNTIL=99991231T235959;BYMONTH=2;BYMONTHDAY=30;BYHOUR=1", 0],
    ["of the year 1", "DTSTART:00010101T000000\nRRULE:FREQ=SECONDLY", MOST],
    ["of the year 1 with a count", "DTSTART:00010101T000000\nRRULE:FREQ=SECONDLY;COUNT=99999999999999;BYDAY=MO", 0],
    ["with a great count and nothing left out", "FREQ=SECONDLY;COUNT=1000000000000", MOST],
    [
      "of every second of the day",
      `FREQ=DAILY;BYHOUR=${numbers(0, 23)};BYMINUTE=${numbers(0, 59)};BYSECOND=${numbers(0, 59)}`,
      MOST,
    ],
    [
      "of hundreds of lines that exclude",
      `DTSTART:20200101T000000\nRRULE:FREQ=DAILY\n${lines("EXRULE:FREQ=DAILY", 350)}`,
      0,
    ],
  ] as const)("%s ends", ([, rrule, count]) => {
    expect(rruleProblem(rrule)).toBeUndefined();
    const { moments, looks } = search(settleSchedule(ScheduleInput.parse({ rrule }), NOW));
    expect(moments.length).toBe(count);
    expect(looks).toBeLessThanOrEqual(MOST_LOOKS);
  });

  test("without dates does not prevent the dates of the other rules in its schedule", () => {
    const rrule = "RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30\nRRULE:FREQ=DAILY";
    const { moments } = search(settleSchedule(ScheduleInput.parse({ rrule }), NOW));
    expect(moments.slice(0, 2).map(printTime)).toEqual(["2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z"]);
  });

  test("gives no date after the last known exclusion", () => {
    const rrule = `DTSTART:20200101T000000\nRRULE:FREQ=DAILY\nEXRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30`;
    expect(search({ rrule, timezone: "UTC" }).moments).toEqual([]);
  });

  test.for([
    `DTSTART:20200101T000000\n${lines("RRULE:FREQ=DAILY", 60_000)}`,
    `RDATE:${lines("20270101T000000", 60_000).replaceAll("\n", ",")}`,
    `FREQ=DAILY;BYDAY=${lines("MO", 300_000).replaceAll("\n", ",")}`,
    "x".repeat(1_000_000),
  ])("of a million characters is refused, and the error does not repeat the rule", (rrule) => {
    expect(rruleProblem(rrule)?.length).toBeLessThan(200);
    const { error } = ScheduleInput.safeParse({ rrule });
    expect(error).toBeDefined();
    expect(() => search({ rrule, timezone: "UTC" })).toThrow("characters");
  });

  test.for([
    "FREQ=DAILY;INTERVAL=00",
    "FREQ=DAILY;BYHOUR=24",
    "FREQ=DAILY;BYMINUTE=60",
    "FREQ=WEEKLY;BYSECOND=-1",
    "FREQ=DAILY;BYSETPOS=0",
    "FREQ=DAILY;BYSETPOS=367",
    "FREQ=DAILY;UNTIL=20260231T000000",
    "FREQ=DAILY;__proto__=1",
    "DTSTART:00000101T000000\nRRULE:FREQ=DAILY",
    "DTSTART:20260132T000000\nRRULE:FREQ=DAILY",
    "DTSTART:20260101T240000\nRRULE:FREQ=DAILY",
    "RDATE:20261301T000000",
  ])("%j is not a valid rule", (rrule) => {
    expect(rruleProblem(rrule)).toMatch(/^Invalid RRule string/);
  });

  const by = (name: string, values: readonly number[]) =>
    fc.option(
      fc
        .uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 6 })
        .map((list) => `;${name}=${list.join(",")}`),
      { nil: "", freq: 2 },
    );
  const freq = fc.constantFrom("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY");
  const far = fc.constantFrom("1", "2", "7", "59", "60", "86399", "86400", "31536000", "999999999999999999999");
  const optional = (name: string, value: fc.Arbitrary<string>) =>
    fc.option(
      value.map((text) => `;${name}=${text}`),
      { nil: "" },
    );
  const rule = fc
    .tuple(
      freq.map((value) => `FREQ=${value}`),
      optional("INTERVAL", far),
      optional("COUNT", far),
      by("BYMONTH", [1, 2, 12, 13]),
      by("BYMONTHDAY", [-31, -1, 1, 29, 30, 31]),
      by("BYYEARDAY", [1, 366, -366, 400]),
      by("BYWEEKNO", [1, 53, -53]),
      by("BYSETPOS", [1, -1, 2, 366]),
      by("BYHOUR", [0, 1, 23]),
      by("BYMINUTE", [0, 30, 59]),
      by("BYSECOND", [0, 59]),
      optional("BYDAY", fc.constantFrom("MO", "SU,5MO", "-53FR", "99TU")),
      optional("WKST", fc.constantFrom("SU", "WE")),
    )
    .map((parts) => parts.join(""));
  const stamp = fc.constantFrom(
    "00010101T000000",
    "19991231T235959",
    "20200101T000000",
    "20261127T140000",
    "99991231T235959",
  );
  const line = fc.oneof(
    { weight: 4, arbitrary: rule.map((text) => `RRULE:${text}`) },
    { weight: 3, arbitrary: rule.map((text) => `EXRULE:${text}`) },
    { weight: 1, arbitrary: stamp.map((text) => `RDATE:${text}`) },
    { weight: 1, arbitrary: stamp.map((text) => `EXDATE:${text}`) },
  );
  const hostile = fc
    .tuple(stamp, rule, fc.array(line, { maxLength: 8 }))
    .map(([begin, first, others]) => [`DTSTART:${begin}`, `RRULE:${first}`, ...others].join("\n"));

  test("ends within the same number of looks, for any rule", { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(hostile, fc.constantFrom(...ZONES), (rrule, timezone) => {
        fc.pre(rruleProblem(rrule) === undefined);
        const { moments, looks } = search({ rrule, timezone });
        expect(looks).toBeLessThanOrEqual(MOST_LOOKS);
        expectInOrder(moments, NOW);
      }),
      { numRuns: 80 },
    );
  });
});

function expectInOrder(moments: readonly number[], start: number): void {
  expect(moments.filter((moment) => !(moment >= start && moment < CALENDAR.end))).toEqual([]);
}

describe("a cron expression", () => {
  test.for(["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 31 2 * 0 2030", "* * * * * * 1970", "0 0 29 2 * 0 2097-2099"])(
    "without a date ends: %s",
    (cron) => {
      const { moments, looks } = search({ cron, timezone: "Europe/Berlin", day_or: true });
      expect(moments).toEqual([]);
      expect(looks).toBeLessThanOrEqual(MOST_LOOKS);
    },
  );

  test("of a million characters is refused, and the error does not repeat the expression", () => {
    const cron = `${"0,".repeat(500_000)}0 * * * *`;
    expect(cronProblem(cron)?.length).toBeLessThan(200);
    expect(search({ cron, timezone: null, day_or: true }).moments).toEqual([]);
  });

  test("ends with the year 9999", () => {
    const start = parseTime("9999-12-30T00:00:00Z") ?? 0;
    const { moments } = search({ cron: "0 0 * * *", timezone: "America/New_York", day_or: true }, start);
    expect(moments.map(printTime)).toEqual(["9999-12-30T05:00:00Z", "9999-12-31T05:00:00Z"]);
  });
});

describe("an interval", () => {
  const seconds = fc.constantFrom(1e-6, 0.001, 1, 59.999999, 3600, 86_400, 129_600, 7 * 86_400, 1e9, 1e13, 1e300);
  const time = fc.integer({ min: dayNumber(1, 1, 2), max: dayNumber(9999, 12, 30) }).map((day) => day * 86_400_000_000);

  test("of any length, with any anchor, ends or continues from the start", () => {
    fc.assert(
      fc.property(seconds, time, time, fc.constantFrom(...ZONES), (interval, anchor, start, timezone) => {
        const { moments, looks } = search({ interval, anchor_date: dateText(anchor), timezone }, start);
        expect(looks).toBeLessThanOrEqual(2 * MOST);
        expectInOrder(moments, start);
        expect(moments.filter((moment, index) => moment <= (moments[index - 1] ?? -Infinity))).toEqual([]);
      }),
    );
  });

  test.for([0, -60, Number.NaN, Number.POSITIVE_INFINITY])("of %s seconds in a table row has no dates", (interval) => {
    expect(search({ interval, anchor_date: "2020-01-01T00:00:00Z", timezone: "UTC" }).moments).toEqual([]);
  });

  test("ends with the year 9999", () => {
    const schedule = { interval: 365_250 * 86_400, anchor_date: "2020-06-01T00:00:00Z", timezone: "America/New_York" };
    const years = search(schedule).moments.map((moment) => calendarDay(Math.floor(moment / 86_400_000_000)).year);
    expect(years).toEqual([3020, 4020, 5020, 6020, 7020, 8020, 9020]);
  });

  test.for([1e300, 8.64e13, "P1000000000D"])("of %j seconds is refused, as in the original", (interval) => {
    const { error } = ScheduleInput.safeParse({ interval });
    expect(JSON.stringify(error)).toContain("durations may not exceed 999,999,999 days");
  });
});

const dateText = (moment: number) => {
  const { year, month, day } = calendarDay(Math.floor(moment / 86_400_000_000));
  const two = (number: number) => String(number).padStart(2, "0");
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}T00:00:00Z`;
};

test("a day has the same number as in Date, in all years", () => {
  fc.assert(
    fc.property(fc.integer({ min: dayNumber(1, 1, 1), max: dayNumber(9999, 12, 31) }), (number) => {
      const date = new Date(number * 86_400_000);
      const { year, month, day } = calendarDay(number);
      expect([year, month, day]).toEqual([date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()]);
      expect(dayNumber(year, month, day)).toBe(number);
    }),
  );
});
