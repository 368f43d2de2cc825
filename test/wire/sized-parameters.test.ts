import { expect, test } from "vitest";
import { parseJson } from "#lib/json";
import { SizedParameters } from "#wire/sizes";

const MAX_BYTES = 524_288;

test.for([
  ["integers of 30 digits", "123456789012345678901234567890"],
  ["floats that are whole", "1.0000000000"],
  ["names of JavaScript's own", '{"__proto__":"abc"}'],
] as const)("parameters of %s are measured in their sent form", ([, item]) => {
  const head = '{"x":[';
  const tail = '],"y":"';
  const count = Math.floor((MAX_BYTES - 100) / (item.length + 1));
  const list = Array(count).fill(item).join(",");
  const textOf = (bytes: number) => {
    const start = `${head}${list}${tail}`;
    return `${start}${"y".repeat(bytes - start.length - 2)}"}`;
  };
  expect(SizedParameters.safeParse(parseJson(textOf(MAX_BYTES))).success).toBe(true);
  const { error } = SizedParameters.safeParse(parseJson(textOf(MAX_BYTES + 1)));
  expect(error?.issues[0]?.message).toContain("got 524,289 bytes");
});
