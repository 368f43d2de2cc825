import fc from "fast-check";
import { expect, test } from "vitest";
import { textsOfList } from "#lib/json-list";

test("the texts of a list's items are as they were written", () => {
  fc.assert(
    fc.property(fc.array(fc.json()), fc.constantFrom("", " ", "\n\t"), (items, space) => {
      const text = `${space}[${items.map((item) => space + item + space).join(",")}]${space}`;
      expect(textsOfList(text)).toEqual(items.map((item) => item.trim()));
    }),
  );
});

test.for([
  ["[]", []],
  ["[ ]", []],
  ['[{"a":[1,2],"b":"],["},"\\\\","\\"",1.50]', ['{"a":[1,2],"b":"],["}', '"\\\\"', '"\\""', "1.50"]],
] as const)("the items of %s", ([text, items]) => {
  expect(textsOfList(text)).toEqual(items);
});
