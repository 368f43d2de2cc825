import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { freePriority, reorderQueues } from "#resources/work-pools/queues";

test.for([
  { taken: [], free: 1 },
  { taken: [1], free: 2 },
  { taken: [2], free: 1 },
  { taken: [1, 2, 4], free: 3 },
  { taken: [4, 2, 1], free: 3 },
  { taken: [1, 1, 2], free: 2 },
])("with the priorities $taken the first free priority is $free", ({ taken, free }) => {
  expect(freePriority(taken)).toBe(free);
});

describe("when a queue gets a priority", () => {
  const queues = [
    { id: "a", priority: 1 },
    { id: "b", priority: 2 },
    { id: "c", priority: 5 },
  ];
  test.for([
    { wish: { id: "new", priority: 1 }, moved: { new: 1, a: 2, b: 3 } },
    { wish: { id: "new", priority: 2 }, moved: { new: 2, b: 3 } },
    { wish: { id: "new", priority: 3 }, moved: { new: 3 } },
    { wish: { id: "new", priority: 9 }, moved: { new: 9 } },
    { wish: { id: "c", priority: 1 }, moved: { c: 1, a: 2, b: 3 } },
    { wish: { id: "a", priority: 5 }, moved: { a: 5, c: 6 } },
    { wish: { id: "b", priority: 2 }, moved: {} },
  ])("$wish.id at $wish.priority moves as few queues as possible", ({ wish, moved }) => {
    expect(Object.fromEntries(reorderQueues(queues, wish).map(({ id, priority }) => [id, priority]))).toEqual(moved);
  });

  test("all priorities then differ, the queue has its priority, and the others keep their order", () => {
    const someQueues = fc
      .uniqueArray(fc.integer({ min: 0, max: 20 }), { maxLength: 8 })
      .chain((ids) =>
        fc.tuple(
          ...ids.map((id) => fc.record({ id: fc.constant(String(id)), priority: fc.integer({ min: 1, max: 9 }) })),
        ),
      );
    const unique = someQueues.filter((all) => new Set(all.map(({ priority }) => priority)).size === all.length);
    fc.assert(
      fc.property(unique, fc.integer({ min: 1, max: 10 }), (all, priority) => {
        const moved = new Map(reorderQueues(all, { id: "mine", priority }).map((rank) => [rank.id, rank.priority]));
        const after = [...all, { id: "mine", priority }].map((queue) => ({
          ...queue,
          priority: moved.get(queue.id) ?? queue.priority,
        }));
        expect(new Set(after.map((queue) => queue.priority)).size).toBe(after.length);
        expect(moved.get("mine")).toBe(priority);
        const order = (queues: typeof all) => queues.toSorted((a, b) => a.priority - b.priority).map(({ id }) => id);
        expect(order(after.filter(({ id }) => id !== "mine"))).toEqual(order(all));
      }),
    );
  });
});
