import { describe, expect, test } from "vitest";
import { isPattern, Pattern } from "#lib/pattern";
import { UnsupportedPattern } from "#lib/pattern/syntax";
import { Steps, TooManySteps } from "#lib/steps";
import recorded from "./recorded/patterns.json";

const isFound = (pattern: string, text: string, steps = new Steps(10_000_000)) =>
  new Pattern(pattern).isFoundIn(text, steps);

/** The pattern, or null if the pattern cannot be run. */
function compiled(source: string): Pattern | undefined {
  try {
    return new Pattern(source);
  } catch (error) {
    if (error instanceof UnsupportedPattern) return undefined;
    throw error;
  }
}

describe("patterns match where Python's `re.search` matches", () => {
  const valid = recorded.filter(({ found }) => found !== null);
  test.for(valid)("$pattern", ({ pattern, found, notFound = [] }) => {
    const compiledPattern = compiled(pattern);
    if (!compiledPattern) return;
    const verdicts = [...(found ?? []), ...notFound].map((text) => compiledPattern.isFoundIn(text, new Steps(100_000)));
    expect(verdicts).toEqual([...(found ?? []).map(() => true), ...notFound.map(() => false)]);
  });

  test("most of the patterns can be run", () => {
    expect(valid.filter(({ pattern }) => compiled(pattern)).length).toBeGreaterThan(valid.length * 0.9);
  });
});

test.for(recorded.filter(({ found }) => found === null))("$pattern is not a pattern, as in Python", ({ pattern }) => {
  expect(isPattern(pattern)).toBe(false);
});

test.for([
  ["^(?=.*[A-Z])(?=.*\\d).{8,}$", "Password1", true],
  ["^(?=.*[A-Z])(?=.*\\d).{8,}$", "password1", false],
  ["(?<!\\d)\\d{4}(?!\\d)", "in 2026.", true],
  ["(?<!\\d)\\d{4}(?!\\d)", "20261", false],
  ["^(?P<year>\\d{4})-\\d\\d\\Z", "2026-11", true],
  ["^a$", "a\n", true],
  ["^a\\Z", "a\n", false],
  ["^\\d+$", "٣", true],
  ["(?a)^\\d+$", "٣", false],
  ["^\\w+$", "Ünïcode", true],
  ["^.$", "😀", true],
  ["(?i)^straße$", "STRASSE", false],
  ["(?x) a b # and no more", "ab", true],
  ["a{,2}b", "b", true],
] as const)("%s in %j: %s", ([pattern, text, found]) => {
  expect(isFound(pattern, text)).toBe(found);
});

test.for([
  ["a back-reference", "(a)\\1"],
  ["a back-reference by name", "(?P<a>x)(?P=a)"],
  ["a question about a group", "(a)?(?(1)b|c)"],
  ["an atomic group", "(?>a+)b"],
  ["a possessive repetition", "a++b"],
  ["a large repetition", "x{0,100000}"],
  ["repetitions within repetitions", "((((x{100}){100}){100}){100})"],
  ["groups within groups", `${"(".repeat(5000)}${")".repeat(5000)}`],
  ["a long text", "a".repeat(100_000)],
] as const)("a pattern with %s is valid, but is not run because it may take too much time", ([, pattern]) => {
  expect(isPattern(pattern)).toBe(true);
  expect(() => new Pattern(pattern)).toThrow(UnsupportedPattern);
});

test.for(["^(a+)+$", "^(a|a)*$", "(a*)*b", "^(?=(a+)+$)", "(?:a?){30}a{30}b", "(.*)(.*)(.*)(.*)x"])(
  "the steps of %s are proportional to the length of the text",
  (pattern) => {
    const taken = (length: number) => {
      let steps = 0;
      const counted = new Steps(Number.POSITIVE_INFINITY);
      const spend = counted.spend.bind(counted);
      counted.spend = (count) => {
        steps += count;
        spend(count);
      };
      isFound(pattern, `${"a".repeat(length)}!`, counted);
      return steps;
    };
    expect(taken(2000)).toBeLessThan(taken(1000) * 2.1);
  },
);

test("a search ends when it has used all its steps", () => {
  expect(() => isFound("(a*)*b", "a".repeat(100_000), new Steps(10_000))).toThrow(TooManySteps);
});
