/** Logs move to the archive, and no answer changes. */
import { env } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { print } from "#db/print";
import { DAY } from "#lib/clock";
import { selectBundlesOf } from "#resources/logs/archived-bundles";
import {
  answersOf,
  archiveTools,
  aRun,
  aTaskRun,
  bundlesIn,
  emptyLogs,
  HOUR,
  minutesIn,
  moveAll,
  NOW,
  pagesOf,
  segmentsIn,
  SECOND,
  silence,
  storeOf,
  write,
} from "./archive-world";

beforeEach(async () => {
  await emptyLogs();
  silence();
});
afterEach(() => void vi.restoreAllMocks());

const storeNow = (workspace: string) => () => storeOf(archiveTools(workspace));

/** Runs that are due, that ended lately, and that have not ended; logs of a few minutes with many equal times. */
const aRunWithLogs = fc.record({
  started: fc.constantFrom(9 * DAY, 9 * DAY + HOUR, 9.5 * DAY, 12 * DAY, 15 * DAY, 15 * DAY + 1),
  ended: fc.constantFrom(8 * DAY, 8 * DAY, 8 * DAY, 7.5 * DAY, 2 * DAY, null),
});
const aLog = fc.record({
  run: fc.nat(3),
  task: fc.constantFrom(null, 0, 1),
  at: fc.nat(40).map((tens) => 9 * DAY - tens * 10 * SECOND),
  level: fc.constantFrom(10, 20, 30),
  message: fc.constantFrom("hello", "a needle", 'é "quoted" \\ \u2028', "", "x".repeat(9_000)),
});
const aBatch = fc.array(aLog, { minLength: 1, maxLength: 8 });

test(
  "for random runs and logs: every question has the same answer before and after the moves",
  { timeout: 240_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(aRunWithLogs, { minLength: 4, maxLength: 4 }),
        fc.array(aBatch, { minLength: 1, maxLength: 8 }),
        fc.array(aBatch, { maxLength: 3 }),
        async (times, batches, late) => {
          await emptyLogs();
          const workspace = crypto.randomUUID();
          const runs: string[] = [];
          for (const one of times) runs.push(await aRun(workspace, one));
          const tasks = [await aTaskRun(workspace, runs[0] ?? null), await aTaskRun(workspace, null)];
          const writeAll = async (some: typeof batches) => {
            for (const batch of some)
              await write(
                workspace,
                batch.map(({ run, task, ...log }) => ({
                  ...log,
                  run: task === 1 ? null : (runs[task === null ? run : 0] ?? null),
                  task: task === null ? null : (tasks[task] ?? null),
                })),
              );
          };
          await writeAll(batches);
          const before = await answersOf(storeNow(workspace), runs, tasks);
          await moveAll(archiveTools(workspace));
          expect(await answersOf(storeNow(workspace), runs, tasks)).toEqual(before);
          // Logs that arrive late get a bundle of their own.
          await writeAll(late);
          const withLate = await answersOf(storeNow(workspace), runs, tasks);
          await moveAll(archiveTools(workspace));
          expect(await answersOf(storeNow(workspace), runs, tasks)).toEqual(withLate);
        },
      ),
      { numRuns: 5 },
    );
  },
);

test("only logs of runs that ended long ago move", async () => {
  const workspace = crypto.randomUUID();
  const due = await aRun(workspace, { started: 9 * DAY, ended: 8 * DAY });
  const late = await aRun(workspace, { started: 9 * DAY, ended: 6 * DAY });
  const live = await aRun(workspace, { started: 9 * DAY, ended: null });
  const task = await aTaskRun(workspace, null);
  const at = 8.5 * DAY;
  for (const run of [due, late, live, crypto.randomUUID(), null]) await write(workspace, [{ run, at }]);
  await write(workspace, [{ task, at }]);
  // A log of these days stays, even of a run that ended long ago.
  await write(workspace, [{ run: due, at: 2 * DAY }]);
  await moveAll(archiveTools(workspace));
  expect([await segmentsIn(workspace), await minutesIn(workspace), await bundlesIn(workspace)]).toEqual([6, 6, 1]);
  await moveAll(archiveTools(workspace, { now: NOW + 10 * DAY }));
  expect([await segmentsIn(workspace), await bundlesIn(workspace)]).toEqual([4, 2]);
});

test("a run that starts again keeps its start, and its new logs move to another bundle", async () => {
  const workspace = crypto.randomUUID();
  const run = await aRun(workspace, { started: 20 * DAY, ended: 19 * DAY });
  await write(workspace, [{ run, at: 19.5 * DAY, message: "first" }]);
  await moveAll(archiveTools(workspace));
  const change = (end: number | null) =>
    env.DB.prepare("update flow_run set end_time = ? where id = ?").bind(end, run).run();
  await change(null);
  await write(workspace, [{ run, at: 10 * DAY, message: "second" }]);
  await moveAll(archiveTools(workspace));
  expect(await bundlesIn(workspace)).toBe(1);
  await change(NOW - 9 * DAY);
  await moveAll(archiveTools(workspace));
  expect([await segmentsIn(workspace), await bundlesIn(workspace)]).toEqual([0, 2]);
  const filter = { operator: "and_" as const, flow_run_id: { any_: [run] } };
  expect(await pagesOf(storeNow(workspace), filter, "TIMESTAMP_ASC", 200)).toMatchObject([
    { message: "first" },
    { message: "second" },
  ]);
});

test("runs that start far apart are in different bundles, and all their logs are found", async () => {
  const workspace = crypto.randomUUID();
  const runs: string[] = [];
  for (const hours of [0, 1, 5.9, 6.1, 12, 30]) {
    const run = await aRun(workspace, { started: 20 * DAY + hours * HOUR, ended: 10 * DAY });
    await write(workspace, [{ run, at: 15 * DAY, message: `${hours}` }]);
    runs.push(run);
  }
  await moveAll(archiveTools(workspace));
  expect([await segmentsIn(workspace), await bundlesIn(workspace)]).toEqual([0, 3]);
  for (const run of runs) {
    const filter = { operator: "and_" as const, flow_run_id: { any_: [run] } };
    expect(await pagesOf(storeNow(workspace), filter, "TIMESTAMP_DESC", 200)).toHaveLength(1);
  }
});

test("a batch that is sent again after it has moved is shown once", async () => {
  const workspace = crypto.randomUUID();
  const run = await aRun(workspace, { started: 9 * DAY, ended: 8 * DAY });
  const batch = [1, 2, 3].map((n) => ({ run, at: 8.5 * DAY - n, message: `${n}` }));
  await write(workspace, batch);
  const filter = { operator: "and_" as const, flow_run_id: { any_: [run] } };
  const before = await pagesOf(storeNow(workspace), filter, "TIMESTAMP_ASC", 200);
  await moveAll(archiveTools(workspace));
  await write(workspace, batch);
  expect(await pagesOf(storeNow(workspace), filter, "TIMESTAMP_ASC", 200)).toEqual(before);
  expect(await pagesOf(storeNow(workspace), filter, "TIMESTAMP_DESC", 200)).toEqual(before.toReversed());
  await moveAll(archiveTools(workspace));
  expect(await segmentsIn(workspace)).toBe(0);
  expect(await pagesOf(storeNow(workspace), filter, "TIMESTAMP_ASC", 200)).toHaveLength(3);
});

test("the bundles of a run are found by the key, without a look at others", async () => {
  const { sql, params } = print(selectBundlesOf(crypto.randomUUID(), [crypto.randomUUID()], "TIMESTAMP_ASC", 10));
  const { results } = await env.DB.prepare(`explain query plan ${sql}`)
    .bind(...params)
    .all<{ detail: string }>();
  const plan = results.map(({ detail }) => detail).join("\n");
  expect(plan).toContain("SEARCH r USING PRIMARY KEY (workspace_id=? AND id=?)");
  expect(plan).toMatch(/SEARCH a USING PRIMARY KEY \(workspace_id=\? AND first_start>\? AND first_start<\?\)/);
});
