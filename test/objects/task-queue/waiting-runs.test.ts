import * as fc from "fast-check";
import { expect, test } from "vitest";
import { goesBefore, WaitingRuns } from "#objects/task-queue/waiting-runs";
import type { QueuedRun } from "#objects/task-queue/messages";

const aRun = (id: string, fields: Partial<QueuedRun> = {}): QueuedRun => ({
  id,
  task_key: "a",
  state_id: id,
  is_retry: false,
  due: 0,
  at: 1,
  is_again: false,
  ...fields,
});

function takeAll(queue: WaitingRuns, keys: readonly string[], now = 100): string[] {
  const ids: string[] = [];
  for (let run = queue.take(keys, now); run; run = queue.take(keys, now)) ids.push(run.id);
  return ids;
}

test.for<[string, QueuedRun[], string[], string[]]>([
  ["the oldest goes first", [aRun("new", { at: 2 }), aRun("old", { at: 1 })], ["a"], ["old", "new"]],
  ["a retry goes before older ones", [aRun("old"), aRun("retry", { at: 9, is_retry: true })], ["a"], ["retry", "old"]],
  [
    "no task comes before another by its name",
    [aRun("1", { task_key: "b" }), aRun("2", { at: 2 }), aRun("3", { task_key: "b", at: 3 })],
    ["a", "b"],
    ["1", "2", "3"],
  ],
  [
    "a retry of one task goes before the other's",
    [aRun("1"), aRun("2", { task_key: "b", is_retry: true, at: 5 })],
    ["a", "b"],
    ["2", "1"],
  ],
  ["runs of other tasks are not taken", [aRun("other", { task_key: "b" }), aRun("own")], ["a"], ["own"]],
  ["a run that is not due is not taken", [aRun("later", { due: 101 }), aRun("due", { due: 100 })], ["a"], ["due"]],
  [
    "the last that is known of a run counts",
    [aRun("1"), aRun("2", { at: 2 }), aRun("1", { at: 3 })],
    ["a"],
    ["2", "1"],
  ],
  ["a run that becomes due later is not sent before", [aRun("1"), aRun("1", { due: 101 })], ["a"], []],
])("%s", ([, runs, keys, expected]) => {
  const queue = new WaitingRuns();
  for (const run of runs) queue.add(run, 50);
  expect(takeAll(queue, keys)).toEqual(expected);
});

test("a removed run is not taken, wherever it waited", () => {
  const queue = new WaitingRuns();
  queue.add(aRun("now"), 50);
  queue.add(aRun("later", { due: 70 }), 50);
  queue.remove("now");
  queue.remove("later");
  expect(queue.nextDue()).toBeNull();
  expect(takeAll(queue, ["a"])).toEqual([]);
  expect(queue.size).toBe(0);
});

const KEYS = ["a", "b", "c"];
const someRun = fc.record({
  id: fc.constantFrom("1", "2", "3", "4", "5", "6"),
  task_key: fc.constantFrom(...KEYS),
  state_id: fc.constant("s"),
  is_retry: fc.boolean(),
  due: fc.integer({ min: 0, max: 20 }),
  at: fc.integer({ min: 0, max: 5 }),
  is_again: fc.constant(false),
});
const step = fc.oneof(
  { weight: 4, arbitrary: someRun.map((run) => ({ kind: "add" as const, run })) },
  { weight: 1, arbitrary: someRun.map(({ id }) => ({ kind: "remove" as const, id })) },
  { weight: 4, arbitrary: fc.subarray(KEYS).map((keys) => ({ kind: "take" as const, keys })) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 6 }).map((by) => ({ kind: "pass" as const, by })) },
);

test("after any steps, the taken runs are the runs that a sorted list of all waiting runs gives", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new WaitingRuns();
      const model = new Map<string, QueuedRun>();
      let now = 0;
      for (const one of steps) {
        if (one.kind === "pass") now += one.by;
        if (one.kind === "add") {
          queue.add(one.run, now);
          model.set(one.run.id, one.run);
        }
        if (one.kind === "remove") {
          queue.remove(one.id);
          model.delete(one.id);
        }
        if (one.kind === "take") {
          const due = [...model.values()].filter((run) => run.due <= now && one.keys.includes(run.task_key));
          const [expected] = due.toSorted((a, b) => (goesBefore(a, b) ? -1 : 1));
          expect(queue.take(one.keys, now)).toEqual(expected);
          if (expected) model.delete(expected.id);
        }
        expect(queue.size).toBe(model.size);
      }
    }),
    { numRuns: 400 },
  );
});
