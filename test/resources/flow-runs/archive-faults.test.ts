/** Processes that die while runs move or come back, several at the same time, changes meanwhile, and damaged objects. */
import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { ArchiveUnreachable } from "#archive/bucket";
import { DAY } from "#lib/clock";
import { restoreRun } from "#resources/flow-runs/archived-restore";
import { findArchivedRuns } from "#resources/flow-runs/archived-run";
import { removeOldRuns } from "#services/retention-runs";
import { r2 } from "../../archive/world";
import { between, dying, watchedBucket, watchedStores } from "../../support/watched-stores";
import { objectsOf } from "../logs/archive-world";
import {
  A_RUN,
  beginWithoutRuns,
  countOf,
  emptyRuns,
  insert,
  moveRuns,
  NOW,
  runTools,
  storedRows,
  writeRun,
} from "./archive-world";

beginWithoutRuns();

/** A new workspace with two runs, one of them a subflow of the other, and the rows that they have in D1. */
async function aWorkspace() {
  await emptyRuns();
  const workspace = crypto.randomUUID();
  const { id, tasks } = await writeRun(workspace);
  const child = await writeRun(workspace, A_RUN, { parent: tasks[0] ?? null });
  return { workspace, runs: [id, child.id], before: await storedRows(workspace) };
}
type World = Awaited<ReturnType<typeof aWorkspace>>;

/** The rows in D1 after everything has come back from the archive: each row once, whatever was there or in the archive. */
async function expectWhole({ workspace, runs, before }: World) {
  const inD1 = await env.DB.prepare("select id from flow_run").all<{ id: string }>();
  const inArchive = await findArchivedRuns(runTools(workspace), runs);
  // Each run is in exactly one of the stores.
  expect([...inD1.results, ...inArchive].map(({ id }) => id).toSorted()).toEqual(runs.toSorted());
  for (const id of runs) expect((await restoreRun(runTools(workspace), id)).unreadable).toBe(0);
  expect(await storedRows(workspace)).toEqual(before);
  expect([await countOf("archived_run"), await countOf("run_archive")]).toEqual([0, 0]);
}

/** How many calls the work makes. */
async function callsOf(work: (watch: ReturnType<typeof between>) => Promise<unknown>): Promise<number> {
  const watch = between(-1, async () => {});
  await work(watch);
  return watch.calls();
}

/** Each object has a row, and each row has an object. */
async function expectNoLeftovers(workspace: string) {
  const { results } = await env.DB.prepare("select key from run_archive order by key").all<{ key: string }>();
  expect(await objectsOf(workspace)).toEqual(results.map(({ key }) => key));
}

describe.for(["before", "after"] as const)("a process that dies %s any call", (when) => {
  test("of a move loses nothing, and the next turn moves the rest", { timeout: 240_000 }, async () => {
    const first = await aWorkspace();
    const calls = await callsOf((watch) => removeOldRuns(runTools(first.workspace, watchedStores(watch))));
    expect(await countOf("archived_run")).toBe(2);
    expect(calls).toBeGreaterThan(15);
    for (let at = 0; at < calls; at++) {
      const world = await aWorkspace();
      await removeOldRuns(runTools(world.workspace, watchedStores(dying(at, when)))).catch(() => {});
      await expectWhole(world);
      await env.DB.exec("delete from log_restored_run");
      await moveRuns(runTools(world.workspace));
      expect(await countOf("flow_run")).toBe(0);
      await expectWhole(world);
      // At most the object of the process that died is left.
      expect((await objectsOf(world.workspace)).length).toBeLessThanOrEqual(1);
    }
  });

  test("of a restore loses nothing, and the next restore completes it", { timeout: 240_000 }, async () => {
    const moved = async () => {
      const world = await aWorkspace();
      await moveRuns(runTools(world.workspace));
      return world;
    };
    const first = await moved();
    const calls = await callsOf((watch) =>
      restoreRun(runTools(first.workspace, watchedStores(watch)), first.runs[0] ?? ""),
    );
    for (let at = 0; at < calls; at++) {
      const world = await moved();
      await restoreRun(runTools(world.workspace, watchedStores(dying(at, when))), world.runs[0] ?? "").catch(() => {});
      await expectWhole(world);
      expect((await objectsOf(world.workspace)).length).toBeLessThanOrEqual(1);
    }
  });
});

test(
  "two movers at once, of which one begins at any call of the other, move each run once",
  { timeout: 240_000 },
  async () => {
    const one = await aWorkspace();
    const calls = await callsOf((watch) => removeOldRuns(runTools(one.workspace, watchedStores(watch))));
    for (let at = 0; at < calls; at++) {
      const world = await aWorkspace();
      const other = between(at, () => moveRuns(runTools(world.workspace)));
      await removeOldRuns(runTools(world.workspace, watchedStores(other)));
      expect([await countOf("flow_run"), await countOf("archived_run")]).toEqual([0, 2]);
      await expectNoLeftovers(world.workspace);
      await expectWhole(world);
    }
  },
);

test(
  "a restore or a move at any call of a reader: the run is in the archive or in D1",
  { timeout: 240_000 },
  async () => {
    for (let at = 0, calls = 1; at < calls; at++) {
      const { workspace, runs } = await aWorkspace();
      await moveRuns(runTools(workspace));
      const [id = ""] = runs;
      const watch = between(at, () => restoreRun(runTools(workspace), id));
      const found = await findArchivedRuns(runTools(workspace, watchedStores(watch)), [id]);
      expect(found.length + (await countOf("flow_run"))).toBeGreaterThanOrEqual(1);
      calls = watch.calls();
    }
  },
);

test(
  "two restores at once, of which one begins at any call of the other, write the rows once",
  { timeout: 240_000 },
  async () => {
    for (let at = 0, calls = 1; at < calls; at++) {
      const world = await aWorkspace();
      await moveRuns(runTools(world.workspace));
      const [id = ""] = world.runs;
      const other = between(at, () => restoreRun(runTools(world.workspace), id));
      expect((await restoreRun(runTools(world.workspace, watchedStores(other)), id)).unreadable).toBe(0);
      calls = other.calls();
      await expectWhole(world);
      expect(await objectsOf(world.workspace)).toEqual([]);
    }
  },
);

describe("a run that changes while its bundle is written stays, and the others move:", () => {
  const CHANGES: Record<string, (workspace: string, id: string) => Promise<unknown>> = {
    "a new name": (_, id) =>
      env.DB.prepare("update flow_run set name = 'other', updated = updated + 1 where id = ?").bind(id).run(),
    "a state": async (workspace, id) => {
      const state = crypto.randomUUID();
      const row = { type: "COMPLETED", name: "s", timestamp: 1, state_details: "{}" };
      await insert("flow_run_state", { workspace_id: workspace, id: state, flow_run_id: id, ...row });
      await env.DB.prepare("update flow_run set state_ids = json_insert(state_ids, '$[#]', ?) where id = ?")
        .bind(state, id)
        .run();
    },
    "an input": (workspace, id) =>
      insert("flow_run_input", {
        workspace_id: workspace,
        flow_run_id: id,
        key: "new",
        id: "i",
        created: 1,
        updated: 1,
        value: "v",
      }),
    "a changed input": (_, id) =>
      env.DB.prepare("update flow_run_input set value = 'w', updated = updated + 1 where flow_run_id = ?")
        .bind(id)
        .run(),
    "a task run": (_, id) =>
      env.DB.prepare("update task_run set name = 'u', updated = updated + 1 where flow_run_id = unhex(?, '-')")
        .bind(id)
        .run(),
    "a deleted task run": (_, id) => env.DB.prepare("delete from task_run where flow_run_id = ?").bind(id).run(),
    "a new start": (_, id) =>
      env.DB.prepare("update flow_run set state_type = 'RUNNING', end_time = null where id = ?").bind(id).run(),
  };

  test.for(Object.keys(CHANGES))("%s", async (kind) => {
    const workspace = crypto.randomUUID();
    const changed = await writeRun(workspace);
    const other = await writeRun(workspace, { ...A_RUN, ended: 120 * DAY });
    let puts = 0;
    let rows: unknown;
    const bucket = watchedBucket(r2(), async (name, call) => {
      if (name === "put" && puts++ === 0) {
        await CHANGES[kind]?.(workspace, changed.id);
        rows = (await storedRows(workspace)).flow_run_state.length;
      }
      return call();
    });
    await removeOldRuns(runTools(workspace, { bucket }));
    expect((await findArchivedRuns(runTools(workspace), [changed.id, other.id])).map(({ id }) => id)).toContain(
      other.id,
    );
    if (kind === "a new start") {
      expect((await env.DB.prepare("select id from flow_run").all()).results).toEqual([{ id: changed.id }]);
      return;
    }
    // The same round reads the runs again and moves the run as it is now.
    expect(rows).toBeDefined();
    await moveRuns(runTools(workspace));
    expect(await countOf("flow_run")).toBe(0);
    await restoreRun(runTools(workspace), changed.id);
    const now = (await storedRows(workspace)).flow_run_state.length;
    expect(now).toBe(kind === "a state" ? 4 : 3);
    const name = await env.DB.prepare("select name from flow_run").first("name");
    expect(name).toBe(kind === "a new name" ? "other" : "a run");
  });

  test("a run that is deleted does not come back, and an object without runs is dropped", async () => {
    const workspace = crypto.randomUUID();
    const { id } = await writeRun(workspace);
    const bucket = watchedBucket(r2(), async (name, call) => {
      if (name === "put") await env.DB.prepare("delete from flow_run where id = ?").bind(id).run();
      return call();
    });
    await removeOldRuns(runTools(workspace, { bucket }));
    expect([await countOf("archived_run"), await countOf("run_archive")]).toEqual([0, 0]);
    expect(await objectsOf(workspace)).toEqual([]);
  });
});

describe("an object that", () => {
  const moved = async () => {
    const workspace = crypto.randomUUID();
    const { id } = await writeRun(workspace);
    const other = await writeRun(workspace, A_RUN);
    await moveRuns(runTools(workspace));
    const [key = ""] = await objectsOf(workspace);
    return { workspace, runs: [id, other.id], key };
  };

  test("is missing or damaged: the runs are not found, nothing is lost, and a restore says so", async () => {
    const { workspace, runs, key } = await moved();
    const bytes = new Uint8Array((await (await r2().get(key))?.arrayBuffer()) ?? new ArrayBuffer(0));
    const found = () => findArchivedRuns(runTools(workspace), runs);
    for (const damaged of [null, bytes.map((byte, place) => (place < 3 ? byte ^ 1 : byte)), bytes.subarray(0, 10)]) {
      await (damaged ? r2().put(key, damaged) : r2().delete(key));
      expect((await found()).length).toBeLessThan(2);
      const results = [];
      for (const id of runs)
        if ((await found()).every((run) => run.id !== id)) results.push(await restoreRun(runTools(workspace), id));
      expect(results).toContainEqual({ runs: 0, logs: 0, unreadable: 1 });
      await r2().put(key, bytes);
      expect(await found()).toHaveLength(2);
    }
  });

  test("cannot be reached now is an error that asks the client to come again", async () => {
    const { workspace, runs } = await moved();
    const bucket = watchedBucket(r2(), async (name, call) => {
      if (name === "get") throw new Error("Service is temporarily unavailable. (10043)");
      return call();
    });
    expect(await findArchivedRuns(runTools(workspace, { bucket }), [crypto.randomUUID()])).toEqual([]);
    await expect(findArchivedRuns(runTools(workspace, { bucket }), runs)).rejects.toThrow(ArchiveUnreachable);
    await expect(restoreRun(runTools(workspace, { bucket }), runs[0] ?? "")).rejects.toThrow(ArchiveUnreachable);
    expect(await countOf("archived_run")).toBe(2);
  });
});

test("while R2 cannot be reached, nothing moves, and the next turn goes on", async () => {
  const world = await aWorkspace();
  const bucket = watchedBucket(r2(), async () => {
    throw new Error("We encountered an internal error. Please try again. (10001)");
  });
  await expect(removeOldRuns(runTools(world.workspace, { bucket }))).rejects.toThrow(ArchiveUnreachable);
  expect(await storedRows(world.workspace)).toEqual(world.before);
  await moveRuns(runTools(world.workspace, { now: NOW + 1 }));
  expect(await countOf("archived_run")).toBe(2);
});
