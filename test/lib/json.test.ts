import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkDepth, isExactNumber, MAX_JSON_DEPTH, numberOf, parseJson, TooDeep } from "#lib/json";

const nested = (depth: number, inner = "0"): string => "[".repeat(depth) + inner + "]".repeat(depth);

describe("numbers", () => {
  test.for([
    "1152921504606846977",
    "9007199254740993",
    "9999999999999999",
    "-9007199254740993",
    "123456789012345678901234567890",
    "1.0",
    "0.0",
    "-0.0",
    "-0",
    "0.10",
    "1e400",
    "-1E-400",
    "1e5",
    "2.5e-7",
    "0.1000000000000000055511151231257827",
    "3.1415926535897932",
  ])("%s is printed unchanged", (number) => {
    for (const text of [
      number,
      `[${number}]`,
      `{"a":${number}}`,
      `[1,${number},2]`,
      `{"a":{"b":[${number}]}}`,
      `[ ${number} ]`,
    ])
      expect(JSON.stringify(parseJson(text))).toBe(text.replaceAll(" ", ""));
  });

  test.for(["0", "1", "-1", "9007199254740991", "1764251244123456", "0.1", "1.5", "123.456", "-2.25"])(
    "%s is an ordinary number of JavaScript",
    (number) => expect(parseJson(`[${number}]`)).toEqual([Number(number)]),
  );

  test("numbers within strings stay unchanged", () => {
    const text = '{"at":"2026-11-27T13:47:24.123450+00:00","id":"1e5","list":"[1.0, 12345678901234567890]"}';
    expect(parseJson(text)).toEqual(JSON.parse(text));
    expect(JSON.stringify(parseJson('["[1.0,",2.0]'))).toBe('["[1.0,",2.0]');
  });

  test("an exact number has its value, and is recognised as a number", () => {
    const [big] = parseJson("[2.0]") as unknown[];
    expect([
      isExactNumber(big),
      isExactNumber(2),
      isExactNumber({ rawJSON: "2" }),
      numberOf(big),
      numberOf("x"),
    ]).toEqual([true, false, false, 2, "x"]);
    expect(JSON.stringify(parseJson("7.0"))).toBe("7.0");
  });

  test("any JSON from a program is printed unchanged", () => {
    const number = fc.oneof(
      fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }).map(String),
      fc.bigInt({ min: 2n ** 53n - 9n, max: 2n ** 53n + 9n }).map(String),
      fc
        .double({ noNaN: true, noDefaultInfinity: true })
        .map((value) => (Number.isInteger(value) ? `${BigInt(value)}.0` : String(value))),
      fc.tuple(fc.integer(), fc.stringMatching(/^[0-9]{1,30}$/)).map(([whole, decimals]) => `${whole}.${decimals}`),
      fc.tuple(fc.integer(), fc.constantFrom("e", "E", "e+", "E-"), fc.nat(400)).map((parts) => parts.join("")),
    );
    const { value } = fc.letrec<{ value: string }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 5 },
        number,
        fc.string({ unit: "binary" }).map((text) => JSON.stringify(text)),
        fc.constantFrom("true", "false", "null"),
        fc.array(tie("value"), { maxLength: 5 }).map((items) => `[${items.join(",")}]`),
        // JavaScript moves names that are indexes to the front. Python does not depend on the order of names.
        fc
          .uniqueArray(
            fc.tuple(
              fc.string().filter((name) => !/^\d+$/.test(name)),
              tie("value"),
            ),
            { maxLength: 5, selector: ([name]) => name },
          )
          .map((entries) => `{${entries.map(([name, item]) => `${JSON.stringify(name)}:${item}`).join(",")}}`),
      ),
    }));
    fc.assert(
      fc.property(value, (text) => JSON.stringify(parseJson(text)) === text),
      { numRuns: 2_000 },
    );
  });

  test("a key named __proto__ is an ordinary key", () => {
    expect(JSON.stringify(parseJson('{"__proto__":{"a":1.0}}'))).toBe('{"__proto__":{"a":1.0}}');
  });
});

describe("depth", () => {
  test("the maximum depth is read, and one level more is refused", () => {
    expect(() => parseJson(nested(MAX_JSON_DEPTH))).not.toThrow();
    expect(() => parseJson(nested(MAX_JSON_DEPTH + 1))).toThrow(TooDeep);
    expect(() => parseJson(`{"a":${nested(MAX_JSON_DEPTH)}}`)).toThrow(TooDeep);
  });

  test("values side by side, and brackets within strings, do not count as depth", () => {
    expect(() => checkDepth(`[${Array.from({ length: 5_000 }, () => "[{}]").join(",")}]`)).not.toThrow();
    expect(() => checkDepth(JSON.stringify(['\\"[', nested(5_000)]))).not.toThrow();
  });

  test("a hundred thousand levels, and a text without an end, are found in one pass", () => {
    expect(() => parseJson("[".repeat(100_000))).toThrow(TooDeep);
    expect(() => parseJson('{"a":'.repeat(100_000))).toThrow(TooDeep);
  });

  test.for([
    [`{"name":"x","parameters":${nested(1_000)}}`, ["parameters", 0]],
    [`{"parameters":{"k":{"deep":${nested(1_000)}}}}`, ["parameters", "k"]],
    [`[{"a":1},{"payload":${nested(1_000)}}]`, [1, "payload"]],
    [`[1,[2,3],{"a":{"b":4},"c":"d"},${nested(1_000)}]`, [3, 0]],
  ] as const)("the refusal names the place: %#", ([text, path]) => {
    try {
      parseJson(text);
      expect.unreachable();
    } catch (error) {
      expect(error instanceof TooDeep && error.path).toEqual(path);
    }
  });
});
