/** Task runs are found by the times at which they started and were expected to start, whatever their ids are. */
import { env } from "cloudflare:test";
import { sql } from "drizzle-orm";
import fc from "fast-check";
import { expect, test } from "vitest";
import { insertRows } from "#db/sql";
import { print } from "#db/print";
import { taskRuns } from "#db/rows/task-runs";
import { task_run } from "#db/tables/task-run";
import { DEFAULT_WORKSPACE } from "#env";
import { DAY, systemIds } from "#lib/clock";
import { api, unique } from "../support/world";
import { makeTextIds } from "../support/task-rows";

const NOW = Math.floor(Date.now() / 1000) * 1_000_000;
const HOUR = DAY / 24;
const ids = systemIds();

interface Times {
  /** The time in the id; null for an id without a time. */
  named: number | null;
  expected: number | null;
  start: number | null;
}

/** Times in hours before now. Most task runs start soon after they got their ids. Some ids are of the future. */
const hour = fc.integer({ min: 0, max: 100 });
const aTask: fc.Arbitrary<Times> = fc.oneof(
  { weight: 6, arbitrary: hour.map((at) => ({ named: at, expected: at, start: at })) },
  { weight: 1, arbitrary: hour.map((at) => ({ named: at, expected: at, start: null })) },
  { weight: 2, arbitrary: fc.record({ named: fc.integer({ min: -60, max: 100 }), expected: hour, start: hour }) },
  { weight: 1, arbitrary: fc.record({ named: fc.constant(null), expected: hour, start: hour }) },
  { weight: 1, arbitrary: fc.constant({ named: 3, expected: null, start: null }) },
);

const timeOf = (hours: number | null) => (hours === null ? null : NOW - hours * HOUR);
const timeText = (hours: number) => new Date((NOW - hours * HOUR) / 1000).toISOString();

async function write(name: string, tasks: readonly Times[]): Promise<(Times & { id: string })[]> {
  const made = tasks.map((times) => ({
    ...times,
    id: times.named === null ? ids.random() : ids.ordered(NOW - times.named * HOUR),
  }));
  const rows = made.map(({ id, expected, start }) =>
    taskRuns.blank({
      workspace_id: DEFAULT_WORKSPACE,
      id,
      created: NOW,
      updated: NOW,
      name,
      task_key: "t",
      dynamic_key: id,
      state_type: "COMPLETED",
      state_name: "Completed",
      expected_start_time: timeOf(expected),
      start_time: timeOf(start),
    }),
  );
  const { sql: text, params } = print(insertRows(task_run, rows));
  await env.DB.prepare(text)
    .bind(...params)
    .run();
  return made;
}

/** Expected last first, then by the id. Those without a time are last. */
const inOrder = (tasks: readonly (Times & { id: string })[]) =>
  tasks.toSorted((a, b) => (a.expected ?? 1e9) - (b.expected ?? 1e9) || (a.id < b.id ? 1 : -1)).map(({ id }) => id);

test("lists, counts and histories find the task runs that a plain comparison finds", async () => {
  const property = fc.asyncProperty(
    fc.array(aTask, { minLength: 1, maxLength: 25 }),
    hour,
    fc.integer({ min: 1, max: 10 }),
    fc.integer({ min: 0, max: 10 }),
    fc.boolean(),
    async (times, since, limit, offset, isOld) => {
      const name = unique("task");
      const tasks = await write(name, times);
      if (isOld) await makeTextIds(sql`name = ${name} and id > unhex('80')`);
      const ask = async (path: string, body: Record<string, unknown>) => (await api<never>("POST", path, body)).body;
      const find = async (body: Record<string, unknown>, criteria: Record<string, unknown> = {}) =>
        (
          (await ask("/task_runs/filter", { ...body, task_runs: { name: { any_: [name] }, ...criteria } })) as {
            id: string;
          }[]
        ).map(({ id }) => id);

      const sort = "EXPECTED_START_TIME_DESC";
      expect(await find({ sort, limit, offset })).toEqual(inOrder(tasks).slice(offset, offset + limit));
      const isSince = (at: number | null) => at !== null && at <= since;
      const expected = inOrder(tasks.filter((task) => isSince(task.expected)));
      const after = { after_: timeText(since) };
      expect(await find({ sort, limit, offset }, { expected_start_time: after })).toEqual(
        expected.slice(offset, offset + limit),
      );
      const started = inOrder(tasks.filter(({ start }) => isSince(start)));
      expect(await find({ sort }, { start_time: after })).toEqual(started);
      expect(new Set(await find({}, { start_time: after }))).toEqual(new Set(started));
      const task_runs = { name: { any_: [name] } };
      expect(await ask("/task_runs/count", { task_runs: { ...task_runs, start_time: after } })).toBe(started.length);
      const window = { history_start: timeText(since), history_end: timeText(-1), history_interval_seconds: 3_600 };
      const history = (await ask("/task_runs/history", { ...window, task_runs })) as {
        states: { count_runs: number }[];
      }[];
      const counted = history.flatMap(({ states }) => states).reduce((sum, { count_runs }) => sum + count_runs, 0);
      expect(counted).toBe(expected.length);
    },
  );
  await fc.assert(property, { numRuns: 40 });
});
