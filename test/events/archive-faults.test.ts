/** Processes that die while events move, movers and readers at the same time, and damaged objects. */
import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { ArchiveUnreachable } from "#archive/bucket";
import { EventFilter } from "#events/filter";
import type { EventReader } from "#events/read-events";
import { archiveEvents } from "#services/archive-events";
import { restoreHour } from "#events/archived-restore";
import { r2 } from "../archive/world";
import { between, dying, watchedBucket, watchedStores } from "../support/watched-stores";
import { filtersFor, NAMES, pagesOf, RUNS } from "./archive-queries";
import {
  archiveTools,
  beginEmpty,
  bundlesIn,
  DAY,
  emptyEvents,
  HOUR,
  moveAll,
  NOW,
  objectsOf,
  readerOf,
  segmentsIn,
  segmentsOf,
  write,
  writeAll,
} from "./archive-world";

const WINDOW = { since: NOW - 20 * DAY, until: NOW };
const HOURS = [30, 31, 33];

beginEmpty();

/** A new workspace with two overlapping segments in each of three hours. */
async function aWorkspace(): Promise<{ workspace: string; ids: string[] }> {
  const workspace = crypto.randomUUID();
  const ids: string[] = [];
  for (const hour of HOURS) {
    for (const half of [0, 1]) {
      const events = [0, 1, 2].map((index) => ({
        age: hour * HOUR + index * 1_000_000 + half * 500_000,
        name: NAMES[(index + half) % NAMES.length] ?? "",
        about: index === 0 ? "thing.1" : (RUNS[index] ?? ""),
        related: [RUNS[half] ?? ""],
        payload: index === 2 ? { text: "needle" } : {},
      }));
      ids.push(...(await write(workspace, events, { ago: hour * HOUR - half * 1_000_000 })).map(({ id }) => id));
    }
  }
  return { workspace, ids };
}

/** The answers to some questions, in each of the ways in which segments are found. */
async function glance(reader: () => EventReader): Promise<unknown> {
  const questions = [{}, { order: "ASC" }, { any_resource: { id: [RUNS[1]] } }, { text: { query: "needle" } }];
  const answers: unknown[] = [];
  for (const question of questions) {
    const filter = EventFilter.parse(question);
    answers.push(await pagesOf(reader, filter, WINDOW));
    answers.push(Object.fromEntries((await reader().countByHour({ filter, window: WINDOW })) ?? []));
  }
  return answers;
}

const freshly = (workspace: string) => () => readerOf(archiveTools(workspace));

/** Each object has a row, and each row has an object. */
async function expectNoLeftovers(workspace: string) {
  const { results } = await env.DB.prepare("select key from event_archive where workspace_id = ? order by key")
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
      const calls = await callsOf((watch) => archiveEvents(archiveTools(first.workspace, watchedStores(watch))));
      expect([await segmentsIn(first.workspace), await bundlesIn(first.workspace)]).toEqual([0, HOURS.length]);
      for (let at = 0; at < calls; at++) {
        await emptyEvents();
        const { workspace } = await aWorkspace();
        const before = await glance(freshly(workspace));
        await expect(archiveEvents(archiveTools(workspace, watchedStores(dying(at, when))))).rejects.toThrow();
        expect(await glance(freshly(workspace))).toEqual(before);
        await moveAll(archiveTools(workspace));
        expect([await segmentsIn(workspace), await bundlesIn(workspace)]).toEqual([0, HOURS.length]);
        expect(await glance(freshly(workspace))).toEqual(before);
        // At most the object of the process that died is left.
        expect((await objectsOf(workspace)).length).toBeLessThanOrEqual(HOURS.length + 1);
      }
    },
  );

  test("leaves the mark, so that the next turn of the same round goes on", async () => {
    const { workspace } = await aWorkspace();
    const before = await glance(freshly(workspace));
    for (let at = 0; at < 60; at += 4)
      await archiveEvents(archiveTools(workspace, watchedStores(dying(at, "after")))).catch(() => {});
    for (let turns = 0; turns < 5; turns++) await archiveEvents(archiveTools(workspace));
    expect(await segmentsIn(workspace)).toBe(0);
    expect(await glance(freshly(workspace))).toEqual(before);
  });
});

test("two movers at once, of which one begins at any call of the other, move each segment once", async () => {
  const one = await aWorkspace();
  const calls = await callsOf((watch) => archiveEvents(archiveTools(one.workspace, watchedStores(watch))));
  for (let at = 0; at < calls; at++) {
    await emptyEvents();
    const { workspace } = await aWorkspace();
    const before = await glance(freshly(workspace));
    const other = between(at, () => moveAll(archiveTools(workspace)));
    await archiveEvents(archiveTools(workspace, watchedStores(other)));
    expect([await segmentsIn(workspace), await bundlesIn(workspace)]).toEqual([0, HOURS.length]);
    expect(await glance(freshly(workspace))).toEqual(before);
    await expectNoLeftovers(workspace);
  }
});

test("a segment that changes while it moves stays, and the object is dropped", async () => {
  const { workspace } = await aWorkspace();
  const before = await glance(freshly(workspace));
  let puts = 0;
  const { bucket } = watchedStores({
    around: async (name, call) => {
      if (name === "put" && puts++ === 0) await env.DB.prepare("update event_segment set consumed = 0").run();
      return call();
    },
  });
  await archiveEvents(archiveTools(workspace, { bucket }));
  expect(await segmentsIn(workspace)).toBe(6);
  await expectNoLeftovers(workspace);
  await env.DB.prepare("update event_segment set consumed = 1").run();
  await moveAll(archiveTools(workspace));
  expect(await segmentsIn(workspace)).toBe(0);
  expect(await glance(freshly(workspace))).toEqual(before);
});

/** What happens to the events while they are read. */
const MEANWHILE = {
  "a move": {
    prepare: async () => {},
    happen: (workspace: string) => moveAll(archiveTools(workspace)),
  },
  "a restore": {
    prepare: (workspace: string) => moveAll(archiveTools(workspace)),
    happen: async (workspace: string) => {
      for (const hour of HOURS) await restoreHour(archiveTools(workspace), NOW - hour * HOUR);
    },
  },
} as const;

const KINDS = filtersFor([crypto.randomUUID()]).map((_, index) => index);
test.for((["a move", "a restore"] as const).flatMap((what) => KINDS.map((kind) => [what, kind] as const)))(
  "during %s, at each call of a reader, question %d has the same answer",
  async ([what, kind]) => {
    const { prepare, happen } = MEANWHILE[what];
    for (let at = 0, calls = 1; at < calls; at++) {
      await emptyEvents();
      const { workspace, ids } = await aWorkspace();
      const [filter = EventFilter.parse({})] = filtersFor(ids.slice(0, 8)).slice(kind);
      const ask = async (reader: () => EventReader) => [
        await pagesOf(reader, filter, WINDOW),
        Object.fromEntries(
          (await reader().countByHour({ filter, window: { ...WINDOW, since: NOW - 31 * HOUR - 500_000 } })) ?? [],
        ),
      ];
      const expected = await ask(freshly(workspace));
      await prepare(workspace);
      const watch = between(at, () => happen(workspace));
      expect(await ask(() => readerOf(archiveTools(workspace, watchedStores(watch))))).toEqual(expected);
      calls = watch.calls();
    }
  },
);

test("a reader that is in the middle of an hour finds all its events, also if the hour moves in between", async () => {
  const workspace = crypto.randomUUID();
  const fill = async () => {
    const segments = Array.from({ length: 1_100 }, (_, index) => {
      const age = 30 * HOUR + 5 * index * 1_000_000;
      return segmentsOf([{ age, payload: { text: "needle" } }], age);
    });
    await writeAll(workspace, segments.flat());
  };
  for (const order of ["ASC", "DESC"] as const) {
    const filter = EventFilter.parse({ order, text: { query: "needle" } });
    for (let at = 0, calls = 1; at < calls; at++) {
      await emptyEvents();
      await fill();
      const watch = between(at, () => moveAll(archiveTools(workspace)));
      const reader = readerOf(archiveTools(workspace, watchedStores(watch)));
      expect(await reader.firstPage({ filter, window: WINDOW, limit: 5 })).toMatchObject({
        total: 1_100,
        isWhole: true,
      });
      calls = Math.min(watch.calls(), 8);
    }
  }
});

describe("an object that", () => {
  const damage = async (workspace: string) => {
    await moveAll(archiveTools(workspace));
    const [key = ""] = await objectsOf(workspace);
    return key;
  };
  const shown = async (workspace: string) => {
    const reader = freshly(workspace)();
    return (await reader.firstPage({ filter: EventFilter.parse({}), window: WINDOW, limit: 50 })).found.length;
  };

  test("is missing although D1 has its address counts as empty", async () => {
    const { workspace } = await aWorkspace();
    await r2().delete(await damage(workspace));
    expect(await shown(workspace)).toBe(12);
  });

  test("is damaged counts as empty, and the others are shown", async () => {
    const { workspace } = await aWorkspace();
    const key = await damage(workspace);
    const bytes = new Uint8Array((await (await r2().get(key))?.arrayBuffer()) ?? new ArrayBuffer(0));
    await r2().put(
      key,
      bytes.map((byte, index) => (index === 3 ? byte ^ 1 : byte)),
    );
    expect(await shown(workspace)).toBe(12);
    await r2().put(key, bytes.subarray(0, 10));
    expect(await shown(workspace)).toBe(12);
  });

  test("cannot be reached now is an error that asks the client to come again", async () => {
    const { workspace } = await aWorkspace();
    await moveAll(archiveTools(workspace));
    const bucket = watchedBucket(r2(), async (name, call) => {
      if (name === "get") throw new Error("Service is temporarily unavailable. (10043)");
      return call();
    });
    const reader = () => readerOf(archiveTools(workspace, { bucket }));
    const filter = EventFilter.parse({});
    await expect(reader().page({ filter, window: WINDOW, limit: 5, after: null })).rejects.toThrow(ArchiveUnreachable);
    await expect(reader().each(filter, WINDOW, () => {})).rejects.toThrow(ArchiveUnreachable);
    // Whole hours are counted without the archive.
    expect((await reader().countByHour({ filter, window: WINDOW }))?.size).toBe(HOURS.length);
  });
});
