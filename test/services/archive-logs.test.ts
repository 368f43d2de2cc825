/** The sweep that moves logs: what it costs, how it goes on, and the removal of old bundles and leftover objects. */
import { env } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Archive } from "#archive/store";
import { DAY } from "#lib/clock";
import { noCost } from "#lib/cost";
import { archiveLogs } from "#services/archive-logs";
import { removeLeftoverObjects } from "#services/retention-archive";
import { removeArchivedLogs } from "#services/retention-archived";
import { r2 } from "../archive/world";
import { dying, watchedBucket, watchedStores } from "../support/watched-stores";
import {
  archiveTools,
  aRun,
  bundlesIn,
  emptyLogs,
  HOUR,
  minutesIn,
  moveAll,
  NOW,
  objectsOf,
  pagesOf,
  segmentsIn,
  SECOND,
  silence,
  storeOf,
  write,
} from "../resources/logs/archive-world";

beforeEach(async () => {
  await emptyLogs();
  silence();
});
afterEach(() => void vi.restoreAllMocks());

const logsOf = (workspace: string, run: string) =>
  pagesOf(
    () => storeOf(archiveTools(workspace)),
    { operator: "and_", flow_run_id: { any_: [run] } },
    "TIMESTAMP_ASC",
    200,
  );

/** Runs that are due, `minutes` apart, each with three batches of logs. */
async function dueRuns(workspace: string, count: number, minutes = 1): Promise<string[]> {
  const runs: string[] = [];
  for (let n = 0; n < count; n++) {
    const started = 9 * DAY - n * minutes * 60 * SECOND;
    const run = await aRun(workspace, { started, ended: 8 * DAY });
    for (const batch of [1, 2, 3])
      await write(workspace, [
        { run, at: started - batch * SECOND, message: `${batch}a` },
        { run, at: started - batch * SECOND - 5, message: `${batch}b` },
      ]);
    runs.push(run);
  }
  return runs;
}

describe("a turn", () => {
  test("between two rounds reads its mark", async () => {
    const workspace = crypto.randomUUID();
    await dueRuns(workspace, 2);
    await moveAll(archiveTools(workspace));
    const cost = noCost();
    await archiveLogs(archiveTools(workspace, { cost, now: NOW + DAY / 2 }));
    expect(cost).toMatchObject({ d1_round_trips: 1, d1_rows_written: 0, r2_class_a: 0, r2_class_b: 0 });
    expect(cost.d1_rows_read).toBeLessThanOrEqual(2);
  });

  test("writes the deleted rows and one row more for all runs of a bundle, and one object", async () => {
    const workspace = crypto.randomUUID();
    await dueRuns(workspace, 40);
    const rows = (await segmentsIn(workspace)) + (await minutesIn(workspace));
    const cost = noCost();
    await archiveLogs(archiveTools(workspace, { cost }));
    expect([await segmentsIn(workspace), await minutesIn(workspace), await bundlesIn(workspace)]).toEqual([0, 0, 1]);
    expect(cost).toMatchObject({ r2_class_a: 1, r2_class_b: 1 });
    // The others are the marks of the sweep.
    expect(cost.d1_rows_written).toBeLessThanOrEqual(rows + 1 + 6);
  });

  test("does nothing if the moves are switched off, and archived logs are read", async () => {
    const workspace = crypto.randomUUID();
    const [run = ""] = await dueRuns(workspace, 1);
    const off = { SLUICE_ARCHIVE_ENABLED: "false" };
    await archiveLogs(archiveTools(workspace, { vars: off }));
    expect(await bundlesIn(workspace)).toBe(0);
    await moveAll(archiveTools(workspace));
    const store = () => storeOf(archiveTools(workspace, { vars: off }));
    expect(await pagesOf(store, { operator: "and_", flow_run_id: { any_: [run] } }, "TIMESTAMP_ASC", 200)).toHaveLength(
      6,
    );
  });

  test("begins after a shorter time if logs move after a shorter time", async () => {
    const workspace = crypto.randomUUID();
    const vars = { SLUICE_ARCHIVE_LOGS_AFTER_SECONDS: "3600" };
    await moveAll(archiveTools(workspace, { vars }));
    const run = await aRun(workspace, { started: 3 * HOUR, ended: 2 * HOUR });
    await write(workspace, [{ run, at: 2.5 * HOUR }]);
    await archiveLogs(archiveTools(workspace, { vars, now: NOW + 0.9 * HOUR }));
    expect(await segmentsIn(workspace)).toBe(1);
    await archiveLogs(archiveTools(workspace, { vars, now: NOW + 1.1 * HOUR }));
    expect(await segmentsIn(workspace)).toBe(0);
  });
});

test("a run with more segments than a page moves is moved by several pages, and read as a whole", async () => {
  const workspace = crypto.randomUUID();
  const first = await aRun(workspace, { started: 9 * DAY, ended: 8 * DAY });
  const run = await aRun(workspace, { started: 9 * DAY, ended: 8 * DAY });
  const start = NOW - 8.5 * DAY;
  const fill = async (id: string, count: number) => {
    await env.DB.prepare(
      `with n(n) as (select 0 union all select n + 1 from n where n < ?)
       insert into log_segment select ?, ?, ? + n, printf('%05d', n), ? + n, 20, 20, 1,
         json_array(json_object('id', ?, 'name', 'n', 'level', 20, 'timestamp', ? + n, 'message', 'line ' || n)) from n`,
    )
      .bind(count - 1, workspace, id, start, start, crypto.randomUUID(), start)
      .run();
    await env.DB.prepare("insert into log_minute values (?, ? - ? % 60000000, ?)")
      .bind(workspace, start, start, id)
      .run();
  };
  await fill(first, 3);
  await fill(run, 12_000);
  const before = [await logsOf(workspace, first), await logsOf(workspace, run)];
  expect(before.map(({ length }) => length)).toEqual([3, 12_000]);
  await moveAll(archiveTools(workspace));
  expect([await segmentsIn(workspace), await minutesIn(workspace), await bundlesIn(workspace)]).toEqual([0, 0, 3]);
  expect([await logsOf(workspace, first), await logsOf(workspace, run)]).toEqual(before);
});

test("segments that cannot be read do not hold up the round", async () => {
  const workspace = crypto.randomUUID();
  const [broken = "", other = ""] = await dueRuns(workspace, 2);
  await env.DB.prepare("update log_segment set records = 'no json' where run_id = ?").bind(broken).run();
  await moveAll(archiveTools(workspace));
  expect([await segmentsIn(workspace), await bundlesIn(workspace)]).toEqual([3, 1]);
  expect(await logsOf(workspace, other)).toHaveLength(6);
});

test("a run is in at most fifty bundles; later logs stay in D1", { timeout: 240_000 }, async () => {
  const workspace = crypto.randomUUID();
  const run = await aRun(workspace, { started: 15 * DAY, ended: 12 * DAY });
  for (let n = 0; n < 52; n++) {
    await write(workspace, [{ run, at: 13 * DAY - n }]);
    await moveAll(archiveTools(workspace));
  }
  expect([await segmentsIn(workspace), await bundlesIn(workspace)]).toEqual([2, 50]);
  expect(await logsOf(workspace, run)).toHaveLength(52);
});

describe("the retention", () => {
  const vars = { SLUICE_ARCHIVE_RETENTION_PERIOD: String(100 * 86_400) };
  const later = (days: number) => ({ now: NOW + days * DAY, vars });
  const removeAll = async (workspace: string, days: number) => {
    await env.DB.prepare("delete from sweep_mark where name like 'retention: archived logs%'").run();
    await removeArchivedLogs(archiveTools(workspace, later(days)));
  };

  test("removes a bundle when its last run ended long ago and none of its runs exists", async () => {
    const workspace = crypto.randomUUID();
    const runs = await dueRuns(workspace, 2);
    await moveAll(archiveTools(workspace));
    await removeAll(workspace, 200);
    // The logs of a run that exists stay as long as the run.
    expect([await bundlesIn(workspace), (await logsOf(workspace, runs[0] ?? "")).length]).toEqual([1, 6]);
    await env.DB.prepare("delete from flow_run where id = ?").bind(runs[0]).run();
    await removeAll(workspace, 200);
    expect([await bundlesIn(workspace), (await logsOf(workspace, runs[1] ?? "")).length]).toEqual([1, 6]);
    await env.DB.prepare("delete from flow_run where id = ?").bind(runs[1]).run();
    await removeAll(workspace, 91);
    expect([await bundlesIn(workspace), (await objectsOf(workspace)).length]).toEqual([1, 1]);
    await removeAll(workspace, 93);
    expect([await bundlesIn(workspace), (await objectsOf(workspace)).length]).toEqual([0, 0]);
  });

  test("of 0 keeps bundles for ever", async () => {
    const workspace = crypto.randomUUID();
    await dueRuns(workspace, 1);
    await moveAll(archiveTools(workspace));
    await env.DB.prepare("delete from flow_run").run();
    const tools = archiveTools(workspace, { now: NOW + 9_000 * DAY, vars: { SLUICE_ARCHIVE_RETENTION_PERIOD: "0" } });
    await removeArchivedLogs(tools);
    expect(await bundlesIn(workspace)).toBe(1);
  });

  test.for(["before", "after"] as const)(
    "by a process that dies %s a call leaves no row without an object, and the leftover object is removed",
    async (when) => {
      for (let at = 0, calls = 1; at < calls; at++) {
        await emptyLogs();
        const workspace = crypto.randomUUID();
        await dueRuns(workspace, 1);
        await moveAll(archiveTools(workspace));
        await env.DB.prepare("delete from flow_run").run();
        const { around, calls: made } = dying(at, when);
        const stores = watchedStores({ around });
        await removeArchivedLogs(archiveTools(workspace, { ...later(200), ...stores })).catch(() => {});
        calls = made() > at ? at + 2 : at;
        expect((await objectsOf(workspace)).length).toBeGreaterThanOrEqual(await bundlesIn(workspace));
        await removeAll(workspace, 200);
        await env.DB.prepare("delete from sweep_mark where name like 'leftover objects%'").run();
        // The objects of other tests' workspaces may be looked at first.
        for (let turns = 0; turns < 200 && (await objectsOf(workspace)).length > 0; turns++)
          await removeLeftoverObjects(archiveTools(workspace, later(200)));
        expect([await bundlesIn(workspace), await objectsOf(workspace)]).toEqual([0, []]);
      }
    },
  );
});

test("objects without a row are removed once a day, if they are old, and the others stay", async () => {
  const workspace = crypto.randomUUID();
  await dueRuns(workspace, 1);
  // The process dies after the write of the object.
  let puts = 0;
  const bucket = watchedBucket(r2(), async (name, call) => {
    if (name === "head" && puts++ === 0) throw new TypeError("the process has died");
    return call();
  });
  await archiveLogs(archiveTools(workspace, { bucket })).catch(() => {});
  await moveAll(archiveTools(workspace));
  expect([await bundlesIn(workspace), (await objectsOf(workspace)).length]).toEqual([1, 2]);
  const sweep = async (now: number) => {
    await env.DB.prepare("delete from sweep_mark where name like 'leftover objects%'").run();
    for (let turns = 0; turns < 60; turns++)
      await removeLeftoverObjects({
        ...archiveTools(workspace, { now }),
        archive: new Archive(r2(), noCost(), async () => {}),
      });
  };
  await sweep(Date.now() * 1000);
  expect(await objectsOf(workspace)).toHaveLength(2);
  await sweep((Date.now() + 2 * 86_400_000) * 1000);
  const { results } = await env.DB.prepare("select key from log_archive").all<{ key: string }>();
  expect(await objectsOf(workspace)).toEqual(results.map(({ key }) => key));
});
