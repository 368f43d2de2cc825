import { expect, test } from "vitest";
import { jsonError, jsonProblem } from "#lib/json-problem";

/** The messages of Python 3.11. */
test.for([
  ["", "Expecting value: line 1 column 1 (char 0)"],
  ["a=b", "Expecting value: line 1 column 1 (char 0)"],
  ["nul", "Expecting value: line 1 column 1 (char 0)"],
  ["[1,]", "Expecting value: line 1 column 4 (char 3)"],
  ["[1,,2]", "Expecting value: line 1 column 4 (char 3)"],
  ['{"a": -}', "Expecting value: line 1 column 7 (char 6)"],
  ["[1 2]", "Expecting ',' delimiter: line 1 column 4 (char 3)"],
  ["[1}", "Expecting ',' delimiter: line 1 column 3 (char 2)"],
  ["[2.e3]", "Expecting ',' delimiter: line 1 column 3 (char 2)"],
  ['{"limit": 1', "Expecting ',' delimiter: line 1 column 12 (char 11)"],
  ['{\n  "b": "é😀"\n', "Expecting ',' delimiter: line 3 column 1 (char 14)"],
  ['{"a" 1}', "Expecting ':' delimiter: line 1 column 6 (char 5)"],
  ["{a: 1}", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"],
  ['{"a": 1,}', "Expecting property name enclosed in double quotes: line 1 column 9 (char 8)"],
  ["{} x", "Extra data: line 1 column 4 (char 3)"],
  ["01", "Extra data: line 1 column 2 (char 1)"],
  ['["abc', "Unterminated string starting at: line 1 column 2 (char 1)"],
  ['"\\', "Unterminated string starting at: line 1 column 1 (char 0)"],
  ['"a\nb"', "Invalid control character at: line 1 column 3 (char 2)"],
  ['"a\\x"', "Invalid \\escape: line 1 column 3 (char 2)"],
  ['"a\\u12"', "Invalid \\uXXXX escape: line 1 column 4 (char 3)"],
  ['"\\u00e\n"', "Invalid \\uXXXX escape: line 1 column 3 (char 2)"],
] as const)("%j is refused as Python does", ([text, words]) => {
  expect(() => JSON.parse(text)).toThrow(SyntaxError);
  expect(jsonError(text)).toBe(words);
});

test("a text of many brackets is refused", () => {
  expect(jsonProblem("[".repeat(1_000_000))).toEqual({ words: "Expecting value", position: 1_000_000 });
});
