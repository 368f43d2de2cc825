/** The retention of archived runs, of their logs, and the objects that are left over. */
import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { DAY } from "#lib/clock";
import { findArchivedRuns } from "#resources/flow-runs/archived-run";
import { restoreRun } from "#resources/flow-runs/archived-restore";
import type { MoveTools } from "#resources/logs/archived-move";
import { removeLeftoverObjects } from "#services/retention-archive";
import { removeArchivedLogs, removeArchivedRuns } from "#services/retention-archived";
import { removeOrphanedLogs } from "#services/retention-leftovers";
import { r2 } from "../archive/world";
import { bundlesIn, moveAll, objectsOf, segmentsIn } from "../resources/logs/archive-world";
import {
  A_RUN,
  beginWithoutRuns,
  countOf,
  emptyRuns,
  moveRuns,
  NOW,
  runTools,
  writeLogs,
  writeRun,
} from "../resources/flow-runs/archive-world";
import { dying, watchedStores } from "../support/watched-stores";

beginWithoutRuns();

const PERIOD = { SLUICE_ARCHIVE_RETENTION_PERIOD: String(200 * 86_400) };
const at = (workspace: string, later: number, vars: object = PERIOD) => runTools(workspace, { now: NOW + later, vars });

/** A new round of each sweep. */
async function sweep(tools: MoveTools): Promise<void> {
  await env.DB.exec("delete from sweep_mark where name like 'retention: %'");
  await removeArchivedRuns(tools);
  await removeArchivedLogs(tools);
  await removeOrphanedLogs(tools);
}

/** Two bundles: of runs that ended 100 and 150 days ago, and of a run that ended 120 days ago. */
async function aWorkspace() {
  const workspace = crypto.randomUUID();
  const days = [100, 150];
  const runs: string[] = [];
  for (const ended of days) runs.push((await writeRun(workspace, { ...A_RUN, ended: ended * DAY })).id);
  await moveRuns(runTools(workspace));
  runs.push((await writeRun(workspace, { ...A_RUN, ended: 120 * DAY })).id);
  await moveRuns(runTools(workspace));
  expect(await countOf("run_archive")).toBe(2);
  const there = async () => (await findArchivedRuns(runTools(workspace), runs)).map(({ id }) => runs.indexOf(id));
  return { workspace, runs, there };
}

test("a bundle is removed when the period of its last run has passed, with rows and object", async () => {
  const { workspace, there } = await aWorkspace();
  await sweep(at(workspace, 80 * DAY));
  expect(await there()).toEqual([0, 1, 2]);
  await sweep(at(workspace, 80 * DAY + 1));
  expect(await there()).toEqual([0, 1]);
  await sweep(at(workspace, 100 * DAY + 1));
  expect(await there()).toEqual([]);
  expect([await countOf("archived_run"), await countOf("run_archive"), await objectsOf(workspace)]).toEqual([0, 0, []]);
});

test("without a period, and of other workspaces, runs are kept", async () => {
  const { workspace, there } = await aWorkspace();
  await sweep(at(workspace, 9_000 * DAY, { SLUICE_ARCHIVE_RETENTION_PERIOD: "0" }));
  expect(await there()).toEqual([0, 1, 2]);
});

test("a run that was restored stays when the bundle is removed in which it was", async () => {
  const { workspace, runs } = await aWorkspace();
  await restoreRun(runTools(workspace), runs[0] ?? "");
  await sweep(at(workspace, 100 * DAY + 1));
  expect([await countOf("flow_run"), await countOf("archived_run")]).toEqual([1, 0]);
});

test("a removal that dies at any call loses no other bundle, and leaves at most objects, which a search removes", async () => {
  for (const when of ["before", "after"] as const) {
    for (let call = 0; call < 12; call++) {
      await emptyRuns();
      const { workspace, there } = await aWorkspace();
      const { around } = dying(call, when);
      const tools = runTools(workspace, {
        now: NOW + 80 * DAY + 1,
        vars: PERIOD,
        ...watchedStores({ around }),
      });
      await removeArchivedRuns(tools).catch(() => {});
      await sweep(at(workspace, 80 * DAY + 1));
      expect(await there()).toEqual([0, 1]);
      await env.DB.exec("delete from sweep_mark");
      const later = at(workspace, 3_000 * DAY);
      for (let turns = 0; turns < 20; turns++) await removeLeftoverObjects(later);
      expect(await objectsOf(workspace)).toHaveLength(1);
      expect(await there()).toEqual([0, 1]);
      await r2().delete(await objectsOf(workspace));
    }
  }
}, 240_000);

test("an object of runs that no row names is removed when it is a day old", async () => {
  const { workspace, there } = await aWorkspace();
  const [first = ""] = await objectsOf(workspace);
  await r2().put(first.replace(/[0-9a-f]{64}$/, "0".repeat(64)), "left over");
  const turns = async (tools: MoveTools) => {
    await env.DB.exec("delete from sweep_mark");
    for (let turn = 0; turn < 20; turn++) await removeLeftoverObjects(tools);
  };
  const day = Date.now() * 1000 - NOW;
  await turns(at(workspace, day));
  expect(await objectsOf(workspace)).toHaveLength(3);
  await turns(at(workspace, day + 2 * DAY));
  expect(await objectsOf(workspace)).toHaveLength(2);
  expect(await there()).toEqual([0, 1, 2]);
});

test("logs stay as long as their run is in the archive, also those in D1, and end with it", async () => {
  const workspace = crypto.randomUUID();
  const { id } = await writeRun(workspace);
  await writeLogs(workspace, [{ run: id, at: 100 * DAY }]);
  await moveAll(runTools(workspace));
  await writeLogs(workspace, [{ run: id, at: 99 * DAY }]);
  await moveRuns(runTools(workspace));
  await sweep(at(workspace, 100 * DAY));
  expect([await bundlesIn(workspace), await segmentsIn(workspace)]).toEqual([1, 1]);
  await sweep(at(workspace, 100 * DAY + 1));
  expect([await countOf("archived_run"), await bundlesIn(workspace), await segmentsIn(workspace)]).toEqual([0, 0, 0]);
  expect(await objectsOf(workspace)).toEqual([]);
});

test("bundles that stay do not hide the bundles after them, over several pages", async () => {
  const workspace = crypto.randomUUID();
  // Of 130 bundles whose first runs ended at the same time, only the last has no younger run.
  await env.DB.batch([
    env.DB.prepare(
      `with recursive n(i) as (select 1 union all select i + 1 from n where i < 130)
      insert into run_archive (workspace_id, first_end, id, last_end, key, bytes, index_at, index_digest, run_count, runs)
      select ?1, ?2, unhex(format('%032x', i)), iif(i < 130, ?3, ?2), ?1 || '/none/' || i, 1, 0, '', 1, x'' from n`,
    ).bind(workspace, NOW - 300 * DAY, NOW),
    env.DB.prepare(
      `with recursive n(i) as (select 1 union all select i + 1 from n where i < 130)
      insert into log_archive (workspace_id, first_start, id, last_start, last_end, key, bytes, index_at, index_digest,
        first_timestamp, last_timestamp, log_count, runs)
      select ?1, ?2, format('%032x', i), ?2, iif(i < 130, ?3, ?2), ?1 || '/none/' || i, 1, 0, '', 1, 1, 1, x'' from n`,
    ).bind(workspace, NOW - 300 * DAY, NOW),
  ]);
  await sweep(at(workspace, 0));
  expect([await countOf("run_archive"), await countOf("log_archive")]).toEqual([129, 129]);
});
