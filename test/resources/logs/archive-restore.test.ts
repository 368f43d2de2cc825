/** Archived logs are written back to D1. */
import { env } from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ArchiveUnreachable } from "#archive/bucket";
import { DAY } from "#lib/clock";
import { restoreLogs } from "#resources/logs/archived-restore";
import { r2 } from "../../archive/world";
import { between, dying, watchedBucket, watchedStores } from "../../support/watched-stores";
import {
  archiveTools,
  aRun,
  bundlesIn,
  emptyLogs,
  moveAll,
  NOW,
  objectsOf,
  pagesOf,
  segmentsIn,
  silence,
  storeOf,
  write,
} from "./archive-world";

beforeEach(async () => {
  await emptyLogs();
  silence();
});
afterEach(() => void vi.restoreAllMocks());

/** Two archived runs of one bundle; the first has another bundle with late logs. */
async function aWorkspace() {
  const workspace = crypto.randomUUID();
  const runs = [
    await aRun(workspace, { started: 10 * DAY, ended: 8 * DAY }),
    await aRun(workspace, { started: 10 * DAY, ended: 8 * DAY }),
  ] as const;
  for (const [place, run] of runs.entries())
    for (const at of [9, 9.5])
      await write(workspace, [
        { run, at: at * DAY, message: `"quoted" ü ${place}` },
        { run, at: at * DAY - 7, level: 40, message: "z".repeat(100_000) },
      ]);
  const rows = await stored(workspace);
  await moveAll(archiveTools(workspace));
  await write(workspace, [{ run: runs[0], at: 9 * DAY, message: "late" }]);
  const late = await stored(workspace);
  await moveAll(archiveTools(workspace));
  expect([await segmentsIn(workspace), await bundlesIn(workspace)]).toEqual([0, 2]);
  return { workspace, runs, rows: [...rows, ...late] };
}

/** The rows of the workspace's segments. */
async function stored(workspace: string) {
  const { results } = await env.DB.prepare(
    "select *, hex(records) as records from log_segment where workspace_id = ? order by run_id, first_timestamp, digest",
  )
    .bind(workspace)
    .all();
  return results;
}

const logsOf = (workspace: string, run: string) =>
  pagesOf(
    () => storeOf(archiveTools(workspace)),
    { operator: "and_", flow_run_id: { any_: [run] } },
    "TIMESTAMP_ASC",
    200,
  );
const byKey = (rows: Record<string, unknown>[]) => rows.map((row) => JSON.stringify(row)).toSorted();

test("a restored run has the rows that it had, and the other runs of its bundle stay in the archive", async () => {
  const { workspace, runs, rows } = await aWorkspace();
  const before = [await logsOf(workspace, runs[0]), await logsOf(workspace, runs[1])];
  expect(await restoreLogs(archiveTools(workspace), runs[0])).toEqual({ logs: 5, unreadable: 0 });
  expect(byKey(await stored(workspace))).toEqual(byKey(rows.filter((row) => row["run_id"] === runs[0])));
  expect([await logsOf(workspace, runs[0]), await logsOf(workspace, runs[1])]).toEqual(before);
  // The bundle with late logs has no other run, and is gone.
  expect([await bundlesIn(workspace), (await objectsOf(workspace)).length]).toEqual([1, 1]);
  expect(await restoreLogs(archiveTools(workspace), runs[0])).toEqual({ logs: 0, unreadable: 0 });
  expect(await restoreLogs(archiveTools(workspace), runs[1])).toEqual({ logs: 4, unreadable: 0 });
  expect(byKey(await stored(workspace))).toEqual(byKey(rows));
  expect([await logsOf(workspace, runs[0]), await logsOf(workspace, runs[1])]).toEqual(before);
  expect([await bundlesIn(workspace), (await objectsOf(workspace)).length]).toEqual([0, 0]);
});

test("restored logs stay for a day, and then move again", async () => {
  const { workspace, runs } = await aWorkspace();
  const before = await logsOf(workspace, runs[0]);
  await restoreLogs(archiveTools(workspace), runs[0]);
  const there = await segmentsIn(workspace);
  await moveAll(archiveTools(workspace, { now: NOW + DAY / 2 }));
  expect(await segmentsIn(workspace)).toBe(there);
  await moveAll(archiveTools(workspace, { now: NOW + 1.1 * DAY }));
  expect(await segmentsIn(workspace)).toBe(0);
  expect(await logsOf(workspace, runs[0])).toEqual(before);
  expect(await env.DB.prepare("select * from log_restored_run").first()).toBeNull();
});

test.for(["before", "after"] as const)("a process that dies %s any call of a restore loses nothing", async (when) => {
  for (let at = 0, calls = 1; at < calls; at++) {
    await emptyLogs();
    const { workspace, runs, rows } = await aWorkspace();
    const before = await logsOf(workspace, runs[0]);
    const { around, calls: made } = dying(at, when);
    const tools = archiveTools(workspace, watchedStores({ around }));
    await restoreLogs(tools, runs[0]).catch(() => {});
    calls = made() > at ? at + 2 : at;
    expect(await logsOf(workspace, runs[0])).toEqual(before);
    await restoreLogs(archiveTools(workspace), runs[0]);
    expect(byKey(await stored(workspace))).toEqual(byKey(rows.filter((row) => row["run_id"] === runs[0])));
    expect(await logsOf(workspace, runs[0])).toEqual(before);
  }
});

test("two runs of one bundle are restored at the same time, at any call", async () => {
  for (let at = 0, calls = 1; at < calls; at++) {
    await emptyLogs();
    const { workspace, runs, rows } = await aWorkspace();
    const watch = between(at, () => restoreLogs(archiveTools(workspace), runs[1]));
    const { around } = watch;
    await restoreLogs(archiveTools(workspace, watchedStores({ around })), runs[0]);
    calls = watch.calls();
    expect(byKey(await stored(workspace))).toEqual(byKey(rows));
    expect([await bundlesIn(workspace), (await objectsOf(workspace)).length]).toEqual([0, 0]);
  }
});

test("while R2 cannot be reached, a restore fails and changes nothing", async () => {
  const { workspace, runs } = await aWorkspace();
  const bucket = watchedBucket(r2(), async (name, call) => {
    if (name === "get") throw new Error("Service is temporarily unavailable. (10043)");
    return call();
  });
  await expect(restoreLogs(archiveTools(workspace, { bucket }), runs[0])).rejects.toThrow(ArchiveUnreachable);
  expect([await segmentsIn(workspace), await bundlesIn(workspace)]).toEqual([0, 2]);
});
