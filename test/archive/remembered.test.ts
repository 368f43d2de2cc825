import { expect, test } from "vitest";
import { Remembered } from "#archive/remembered";

test("the values that were used last are remembered, up to a number of bytes", () => {
  const memory = new Remembered<string>(10);
  memory.put("a", "A", 4);
  memory.put("b", "B", 4);
  expect(memory.get("a")).toBe("A");
  memory.put("c", "C", 4);
  expect([memory.get("a"), memory.get("b"), memory.get("c")]).toEqual(["A", undefined, "C"]);
});

test("a value that is put again counts once, and a forgotten one does not count", () => {
  const memory = new Remembered<string>(10);
  for (let count = 0; count < 5; count++) memory.put("a", "A", 5);
  memory.put("b", "B", 5);
  expect(memory.get("a")).toBe("A");
  memory.forget("a");
  memory.forget("a");
  memory.put("c", "C", 5);
  expect([memory.get("b"), memory.get("c")]).toEqual(["B", "C"]);
});

test("a value that is too large is not remembered, and removes no other", () => {
  const memory = new Remembered<string>(10);
  memory.put("a", "A", 10);
  memory.put("b", "B", 11);
  expect([memory.get("a"), memory.get("b")]).toEqual(["A", undefined]);
});
