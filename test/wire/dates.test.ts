import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FIRST_TIME, LAST_TIME, parseTime, printTime, Time, TimeAsText } from "#wire/dates";

describe("a time is printed unchanged", () => {
  test.for([
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"],
    ["0044-03-15T12:00:00Z", "0044-03-15T12:00:00Z"],
    ["0099-12-31", "0099-12-31T00:00:00Z"],
    ["1683-12-31T23:59:59Z", "1683-12-31T23:59:59Z"],
    ["1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"],
    ["2026-11-27T10:00:00.000001+02:00", "2026-11-27T08:00:00.000001Z"],
    ["2400-02-29T00:00:00Z", "2400-02-29T00:00:00Z"],
    ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"],
    ["9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"],
  ] as const)("%s", ([text, printed]) => expect(printTime(parseTime(text) ?? Number.NaN)).toBe(printed));

  test("in microseconds between 1684 and 2255, and to 32 microseconds in any year", () => {
    const text = (year: number, second: number, micros: number) =>
      `${String(year).padStart(4, "0")}-07-01T00:00:${String(second).padStart(2, "0")}.${String(micros).padStart(6, "0")}Z`;
    const second = fc.integer({ min: 0, max: 59 });
    const micros = fc.integer({ min: 1, max: 999_999 });
    fc.assert(
      fc.property(fc.integer({ min: 1685, max: 2254 }), second, micros, (...parts) => {
        return printTime(parseTime(text(...parts)) ?? 0) === text(...parts);
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9999 }), second, micros, (year, seconds, fraction) => {
        const time = parseTime(text(year, seconds, fraction)) ?? Number.NaN;
        const again = parseTime(printTime(time)) ?? Number.NaN;
        const whole = parseTime(text(year, seconds, 0).replace(".000000", "")) ?? Number.NaN;
        return again === time && Math.abs(time - whole - fraction) <= 32;
      }),
    );
  });

  test("a time that is stored as text has its microseconds in any year", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9999 }), fc.integer({ min: 1, max: 999_999 }), (year, micros) => {
        const text = `${String(year).padStart(4, "0")}-07-01T00:00:59.${String(micros).padStart(6, "0")}Z`;
        return TimeAsText.parse(text) === text && TimeAsText.parse(text.replace("Z", "+00:00")) === text;
      }),
    );
    expect(TimeAsText.parse("2026-01-01T00:00:00.5+05:30")).toBe("2025-12-31T18:30:00.500000Z");
    expect(TimeAsText.parse("2026-01-01")).toBe("2026-01-01T00:00:00Z");
    expect(TimeAsText.parse(1_700_000_000)).toBe("2023-11-14T22:13:20Z");
  });
});

test.for([
  "0000-01-01T00:00:00Z",
  "0001-01-01T00:00:00+00:01",
  "9999-12-31T23:59:59.999999-00:01",
  "10000-01-01T00:00:00Z",
  "2026-02-30T00:00:00Z",
  1e18,
  -1e18,
  "1e18",
  "1000000000000000000",
  1e300,
  Number.NaN,
  Number.POSITIVE_INFINITY,
])("%s is not a valid time", (value) => expect(Time.safeParse(value).success).toBe(false));

test("a time beyond the supported years is printed as the nearest supported time", () => {
  for (const time of [-1e18, -9e15 * 1_000, Number.NEGATIVE_INFINITY, Number.NaN, FIRST_TIME - 1])
    expect(printTime(time)).toBe("0001-01-01T00:00:00Z");
  for (const time of [1e18, 9e18, Number.POSITIVE_INFINITY, LAST_TIME])
    expect(printTime(time)).toBe("9999-12-31T23:59:59.999999Z");
});

test("any number is printed", () => {
  fc.assert(fc.property(fc.double(), (time) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$/.test(printTime(time))));
});

test("a time is parsed equally for any spelling of its zone", () => {
  const two = (from: number, to: number) => fc.integer({ min: from, max: to }).map((n) => String(n).padStart(2, "0"));
  const year = fc.integer({ min: 0, max: 9999 }).map((n) => String(n).padStart(4, "0"));
  const fraction = fc.oneof(
    fc.constant(""),
    fc.integer({ min: 0, max: 999_999 }).map((n) => `.${String(n).padStart(6, "0")}`),
  );
  fc.assert(
    fc.property(
      fc.tuple(year, two(0, 13), two(0, 32)),
      fc.tuple(two(0, 24), two(0, 60), two(0, 60)),
      fraction,
      (date, time, micros) => {
        const text = `${date.join("-")}T${time.join(":")}${micros}`;
        const read = parseTime(`${text}-00:00`);
        for (const zone of ["Z", "+00:00", ""]) expect(parseTime(text + zone)).toBe(read);
        const kept = (zone: string) => TimeAsText.safeParse(text + zone).data;
        expect(kept("Z")).toBe(kept("-00:00"));
        expect(kept("+00:00")).toBe(kept("-00:00"));
      },
    ),
    { numRuns: 2_000 },
  );
});
