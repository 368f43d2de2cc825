/** Processes that die while logs move, movers and readers at the same time, and damaged objects. */
import { env } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ArchiveUnreachable } from "#archive/bucket";
import type { LogSort } from "#filters/logs";
import { DAY } from "#lib/clock";
import { allOf } from "#lib/portions";
import { restoreLogs } from "#resources/logs/archived-restore";
import type { LogStore } from "#resources/logs/store";
import { archiveLogs } from "#services/archive-logs";
import { parseTime } from "#wire/dates";
import { r2 } from "../../archive/world";
import { between, dying, watchedBucket, watchedStores } from "../../support/watched-stores";
import {
  archiveTools,
  aRun,
  aTaskRun,
  bundlesIn,
  emptyLogs,
  HOUR,
  minutesIn,
  moveAll,
  objectsOf,
  pagesOf,
  questions,
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

const BUNDLES = 2;

/** A new workspace with three runs in two stretches, each with overlapping segments. */
async function aWorkspace() {
  const workspace = crypto.randomUUID();
  const runs: string[] = [];
  for (const hours of [0, 1, 12])
    runs.push(await aRun(workspace, { started: 10 * DAY + hours * HOUR, ended: 8 * DAY }));
  const task = await aTaskRun(workspace, runs[0] ?? null);
  for (const [place, run] of runs.entries()) {
    for (const half of [0, 1, 2]) {
      const logs = [0, 1, 2, 3].map((index) => ({
        run,
        task: index === 1 ? task : null,
        at: 9 * DAY - Math.floor((index + half) / 2) * SECOND,
        level: 10 + 10 * index,
        message: index === 2 ? `a needle ${place}.${half}` : index === 3 ? "x".repeat(9_000) + half : `hello ${half}`,
      }));
      await write(workspace, logs);
    }
  }
  return { workspace, runs, task };
}
type World = Awaited<ReturnType<typeof aWorkspace>>;

const SORTS: readonly LogSort[] = ["TIMESTAMP_ASC", "TIMESTAMP_DESC"];

/** The answers to some questions. */
async function glance(store: () => LogStore, { runs, task }: World): Promise<unknown> {
  const answers: unknown[] = [];
  for (const [index, filter] of questions(runs, [task]).entries())
    answers.push(await pagesOf(store, filter, SORTS[index % 2] ?? "TIMESTAMP_ASC", [5, 200][index % 2] ?? 5));
  return answers;
}

const freshly = (workspace: string) => () => storeOf(archiveTools(workspace));
const counts = async (workspace: string) => [
  await segmentsIn(workspace),
  await minutesIn(workspace),
  await bundlesIn(workspace),
];

/** Each object has a row, and each row has an object. */
async function expectNoLeftovers(workspace: string) {
  const { results } = await env.DB.prepare("select key from log_archive where workspace_id = ? order by key")
    .bind(workspace)
    .all<{ key: string }>();
  expect(await objectsOf(workspace)).toEqual(results.map(({ key }) => key));
}

/** How many calls the work makes. */
async function callsOf(work: (watch: ReturnType<typeof between>) => Promise<unknown>): Promise<number> {
  const watch = between(-1, async () => {});
  await work(watch);
  return watch.calls();
}

describe("a process that dies at any call of a move", () => {
  test.for(["before", "after"] as const)(
    "%s the call: loses nothing, shows nothing twice, and the next turn moves the rest",
    async (when) => {
      const first = await aWorkspace();
      const calls = await callsOf((watch) => archiveLogs(archiveTools(first.workspace, watchedStores(watch))));
      expect(await counts(first.workspace)).toEqual([0, 0, BUNDLES]);
      expect(calls).toBeGreaterThan(10);
      for (let at = 0; at < calls; at++) {
        await emptyLogs();
        const world = await aWorkspace();
        const { workspace } = world;
        const before = await glance(freshly(workspace), world);
        await expect(archiveLogs(archiveTools(workspace, watchedStores(dying(at, when))))).rejects.toThrow();
        expect(await glance(freshly(workspace), world)).toEqual(before);
        await moveAll(archiveTools(workspace));
        expect(await counts(workspace)).toEqual([0, 0, BUNDLES]);
        expect(await glance(freshly(workspace), world)).toEqual(before);
        // At most the object of the process that died is left.
        expect((await objectsOf(workspace)).length).toBeLessThanOrEqual(BUNDLES + 1);
      }
    },
  );

  test("leaves the mark, so that the next turn of the same round goes on", async () => {
    const world = await aWorkspace();
    const { workspace } = world;
    const before = await glance(freshly(workspace), world);
    for (let at = 0; at < 40; at += 3)
      await archiveLogs(archiveTools(workspace, watchedStores(dying(at, "after")))).catch(() => {});
    for (let turns = 0; turns < 5; turns++) await archiveLogs(archiveTools(workspace));
    expect(await segmentsIn(workspace)).toBe(0);
    expect(await glance(freshly(workspace), world)).toEqual(before);
  });
});

test("two movers at once, of which one begins at any call of the other, move each segment once", async () => {
  const one = await aWorkspace();
  const calls = await callsOf((watch) => archiveLogs(archiveTools(one.workspace, watchedStores(watch))));
  for (let at = 0; at < calls; at++) {
    await emptyLogs();
    const world = await aWorkspace();
    const { workspace } = world;
    const before = await glance(freshly(workspace), world);
    const other = between(at, () => moveAll(archiveTools(workspace)));
    await archiveLogs(archiveTools(workspace, watchedStores(other)));
    expect(await counts(workspace)).toEqual([0, 0, BUNDLES]);
    expect(await glance(freshly(workspace), world)).toEqual(before);
    await expectNoLeftovers(workspace);
  }
});

describe("what happens while a bundle is written", () => {
  const during = (work: () => Promise<unknown>) => {
    let puts = 0;
    return watchedBucket(r2(), async (name, call) => {
      if (name === "put" && puts++ === 0) await work();
      return call();
    });
  };

  test("a run that is deleted does not come back, and the others move", async () => {
    const world = await aWorkspace();
    const { workspace, runs } = world;
    const bucket = during(async () => {
      await env.DB.prepare("delete from flow_run where id = ?").bind(runs[0]).run();
      await env.DB.prepare("delete from log_segment where run_id = ?").bind(runs[0]).run();
      await env.DB.prepare("delete from log_minute where run_id = ?").bind(runs[0]).run();
    });
    await archiveLogs(archiveTools(workspace, { bucket }));
    expect(await counts(workspace)).toEqual([0, 0, BUNDLES]);
    await expectNoLeftovers(workspace);
    const all = { operator: "and_" as const, flow_run_id: { any_: runs } };
    expect(await pagesOf(freshly(workspace), all, "TIMESTAMP_ASC", 200)).toHaveLength(24);
    const { results } = await env.DB.prepare("select hex(runs) as runs from log_archive where workspace_id = ?")
      .bind(workspace)
      .all<{ runs: string }>();
    expect(results.map(({ runs: ids }) => ids.length)).toEqual([32, 32]);
  });

  test("logs that arrive in a minute that moves stay, and their minute stays", async () => {
    const world = await aWorkspace();
    const { workspace, runs } = world;
    const bucket = during(() => write(workspace, [{ run: runs[0] ?? "", at: 9 * DAY, message: "late" }]));
    await archiveLogs(archiveTools(workspace, { bucket }));
    expect(await counts(workspace)).toEqual([1, 1, BUNDLES]);
    const filter = { operator: "and_" as const, flow_run_id: { any_: [runs[0] ?? ""] } };
    expect(await pagesOf(freshly(workspace), filter, "TIMESTAMP_DESC", 5)).toHaveLength(13);
  });
});

/** What happens to the logs while they are read. */
const MEANWHILE = {
  "a move": {
    prepare: async () => {},
    happen: ({ workspace }: World) => moveAll(archiveTools(workspace)),
  },
  "a restore": {
    prepare: ({ workspace }: World) => moveAll(archiveTools(workspace)),
    happen: async ({ workspace, runs }: World) => {
      for (const run of runs) await restoreLogs(archiveTools(workspace), run);
    },
  },
} as const;

const KINDS = questions(["", "", ""], [""]).map((_, index) => index);
test.for((["a move", "a restore"] as const).flatMap((what) => KINDS.map((kind) => [what, kind] as const)))(
  "during %s, at each call of a reader, question %d has the same answer",
  async ([what, kind]) => {
    const { prepare, happen } = MEANWHILE[what];
    const sort = SORTS[kind % 2] ?? "TIMESTAMP_ASC";
    for (let at = 0, calls = 1; at < calls; at++) {
      await emptyLogs();
      const world = await aWorkspace();
      const [filter] = questions(world.runs, [world.task]).slice(kind);
      if (!filter) throw new Error("no question");
      const ask = (store: () => LogStore) => pagesOf(store, filter, sort, 9);
      const expected = await ask(freshly(world.workspace));
      await prepare(world);
      const watch = between(at, () => happen(world));
      // One store for all pages, as for a download.
      const store = storeOf(archiveTools(world.workspace, watchedStores(watch)));
      expect(await ask(() => store)).toEqual(expected);
      calls = watch.calls();
    }
  },
);

test.for(SORTS)(
  "during a move, an answer about all runs has each log or says that it may be missing: %s",
  async (sort) => {
    for (let at = 0, calls = 1; at < calls; at++) {
      await emptyLogs();
      const { workspace } = await aWorkspace();
      const query = { filter: { operator: "and_" as const }, sort, limit: 200, offset: 0 };
      const whole = await freshly(workspace)().page(query);
      expect(whole.readTo).toBeNull();
      const all = await allOf(whole.logs);
      const watch = between(at, () => moveAll(archiveTools(workspace)));
      const { logs, readTo } = await storeOf(archiveTools(workspace, watchedStores(watch))).page(query);
      const ids = new Set((await allOf(logs)).map(({ id }) => id));
      calls = watch.calls();
      const missing = all.filter(({ id }) => !ids.has(id)).map(({ timestamp }) => parseTime(timestamp) ?? 0);
      const isTold = (time: number) => readTo !== null && (sort === "TIMESTAMP_ASC" ? time >= readTo : time <= readTo);
      expect(missing.filter((time) => !isTold(time))).toEqual([]);
    }
  },
);

test("long records are found although they move between the page and its answer, and back", async () => {
  const workspace = crypto.randomUUID();
  const run = await aRun(workspace, { started: 10 * DAY, ended: 8 * DAY });
  const random = () => Array.from({ length: 2_500 }, () => crypto.randomUUID()).join("");
  for (const second of [0, 1, 2, 3])
    await write(workspace, [{ run, at: 9 * DAY - second * SECOND, message: random() }]);
  const query = {
    filter: { operator: "and_" as const, flow_run_id: { any_: [run] } },
    sort: "TIMESTAMP_ASC" as const,
    limit: 200,
    offset: 0,
  };
  const expected = await allOf(await freshly(workspace)().list(query));
  expect(expected).toHaveLength(4);
  const fromD1 = await freshly(workspace)().list(query);
  await moveAll(archiveTools(workspace));
  expect(await segmentsIn(workspace)).toBe(0);
  const fromArchive = await freshly(workspace)().list(query);
  expect(await allOf(fromD1)).toEqual(expected);
  await restoreLogs(archiveTools(workspace), run);
  expect(await objectsOf(workspace)).toEqual([]);
  expect(await allOf(fromArchive)).toEqual(expected);
});

describe("an object that", () => {
  const RUN_LOGS = 12;
  const shown = async ({ workspace, runs }: World) => {
    const filter = { operator: "and_" as const, flow_run_id: { any_: runs } };
    return (await pagesOf(freshly(workspace), filter, "TIMESTAMP_ASC", 200)).length;
  };
  const moved = async () => {
    const world = await aWorkspace();
    await moveAll(archiveTools(world.workspace));
    expect(await shown(world)).toBe(3 * RUN_LOGS);
    // The bundle with the run that started first.
    const [key = ""] = await objectsOf(world.workspace);
    return { world, key };
  };

  test("is missing although D1 has its address counts as empty", async () => {
    const { world, key } = await moved();
    await archiveTools(world.workspace).archive.delete([key]);
    expect(await shown(world)).toBe(2 * RUN_LOGS);
  });

  test("is damaged counts as empty, and the others are shown", async () => {
    const { world, key } = await moved();
    const bytes = new Uint8Array((await (await r2().get(key))?.arrayBuffer()) ?? new ArrayBuffer(0));
    const damaged = bytes.map((byte, index) => (index === 3 ? byte ^ 1 : byte));
    await r2().put(key, damaged);
    expect(await shown(world)).toBe(2 * RUN_LOGS);
    await r2().put(key, bytes.subarray(0, 10));
    expect(await shown(world)).toBe(2 * RUN_LOGS);
    expect(await restoreLogs(archiveTools(world.workspace), world.runs[2] ?? "")).toEqual({ logs: 0, unreadable: 1 });
    await r2().put(key, bytes);
    expect(await shown(world)).toBe(3 * RUN_LOGS);
  });

  test("cannot be reached now is an error that asks the client to come again", async () => {
    const { world } = await moved();
    const { workspace, runs } = world;
    const bucket = watchedBucket(r2(), async (name, call) => {
      if (name === "get") throw new Error("Service is temporarily unavailable. (10043)");
      return call();
    });
    const list = (run = "") =>
      storeOf(archiveTools(workspace, { bucket })).list({
        filter: { operator: "and_", flow_run_id: { any_: [run] } },
        sort: "TIMESTAMP_ASC",
        limit: 5,
        offset: 0,
      });
    await expect(list(runs[0])).rejects.toThrow(ArchiveUnreachable);
    // The logs of other runs are read.
    const other = await aRun(workspace, { started: 2 * DAY, ended: DAY });
    await write(workspace, [{ run: other, at: DAY }]);
    expect(await allOf(await list(other))).toHaveLength(1);
  });
});

test("a segment that cannot be read exactly stays, and the others move", async () => {
  const world = await aWorkspace();
  const { workspace, runs } = world;
  await env.DB.prepare(
    `update log_segment set records = 'no json' where run_id = ?
       and digest = (select min(digest) from log_segment where run_id = ?)`,
  )
    .bind(runs[0], runs[0])
    .run();
  const before = await glance(freshly(workspace), world);
  await moveAll(archiveTools(workspace));
  expect(await counts(workspace)).toEqual([1, 1, BUNDLES]);
  expect(await glance(freshly(workspace), world)).toEqual(before);
});
