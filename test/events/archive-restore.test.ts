/** An hour is written back from the archive to D1. */
import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { restoreHour } from "#events/archived-restore";
import { hourOf } from "#events/segments";
import { r2 } from "../archive/world";
import { rowsOf } from "../services/retention-world";
import { between, dying, watchedStores } from "../support/watched-stores";
import { answersOf, NAMES, RUNS } from "./archive-queries";
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
  write,
} from "./archive-world";

const TIME = NOW - 30 * HOUR;

beginEmpty();

/** A workspace whose hour is in two bundles. */
async function aWorkspace(): Promise<{ workspace: string; ids: string[] }> {
  const workspace = crypto.randomUUID();
  const ids: string[] = [];
  for (const part of [0, 1]) {
    for (const half of [0, 1]) {
      const events = NAMES.map((name, index) => ({
        age: 30 * HOUR + (index + half) * 60_000_000,
        name,
        about: RUNS[index] ?? "thing.1",
        related: [RUNS[half] ?? ""],
        payload: { text: half ? "needle" : 'a "quoted" \u2028 text, 1.50' },
      }));
      const written = await write(workspace, events, { ago: 30 * HOUR - half * 30_000_000 });
      ids.push(...written.slice(0, 2).map(({ id }) => id));
    }
    if (part === 0) await moveAll(archiveTools(workspace));
  }
  return { workspace, ids };
}

const texts = async () =>
  (await rowsOf("event_segment")).map((row) => [row["counts"], row["event_count"], row["consumed"]]);

test("a restored hour gives the same answers, stays for a day, and then moves again", async () => {
  const { workspace, ids } = await aWorkspace();
  const readerNow = () => readerOf(archiveTools(workspace));
  const before = await answersOf(readerNow, ids);
  await moveAll(archiveTools(workspace));
  expect([await segmentsIn(workspace), await bundlesIn(workspace)]).toEqual([0, 2]);
  expect(await restoreHour(archiveTools(workspace), TIME)).toEqual({ bundles: 2, events: 16, unreadable: 0 });
  expect([await segmentsIn(workspace), await bundlesIn(workspace), await objectsOf(workspace)]).toEqual([2, 0, []]);
  expect(await answersOf(readerNow, ids)).toEqual(before);
  expect(await restoreHour(archiveTools(workspace), TIME)).toEqual({ bundles: 0, events: 0, unreadable: 0 });
  await moveAll(archiveTools(workspace, { now: NOW + DAY - 1 }));
  expect(await bundlesIn(workspace)).toBe(0);
  await moveAll(archiveTools(workspace, { now: NOW + DAY + 1 }));
  expect([await segmentsIn(workspace), await bundlesIn(workspace)]).toEqual([0, 1]);
  expect(await rowsOf("event_restored_hour")).toEqual([]);
  expect(await answersOf(readerNow, ids)).toEqual(before);
});

test("a process that dies at any call of a restore, or a second restore, loses nothing and restores nothing twice", async () => {
  const first = await aWorkspace();
  await moveAll(archiveTools(first.workspace));
  const counting = between(-1, async () => {});
  await restoreHour(archiveTools(first.workspace, watchedStores(counting)), TIME);
  expect(counting.calls()).toBeGreaterThan(10);
  for (let at = 0; at < counting.calls(); at++) {
    for (const when of ["before", "after", "beside"] as const) {
      await emptyEvents();
      const { workspace } = await aWorkspace();
      await moveAll(archiveTools(workspace));
      const again = () => restoreHour(archiveTools(workspace), TIME);
      const watch = when === "beside" ? between(at, again) : dying(at, when);
      await restoreHour(archiveTools(workspace, watchedStores(watch)), TIME).catch((error: unknown) => {
        if (when === "beside") throw error;
      });
      await again();
      expect([await bundlesIn(workspace), (await texts()).length]).toEqual([0, 2]);
      const counts = await readerOf(archiveTools(workspace)).countByHour({
        filter: { order: "DESC" },
        window: { since: 0, until: NOW },
      });
      expect([...(counts ?? [])]).toEqual([[hourOf(TIME), 16]]);
    }
  }
});

test("a bundle that cannot be read whole stays in the archive", async () => {
  const { workspace } = await aWorkspace();
  await moveAll(archiveTools(workspace));
  const [first = ""] = await objectsOf(workspace);
  await r2().put(first, "damaged");
  expect(await restoreHour(archiveTools(workspace), TIME)).toMatchObject({ bundles: 1, unreadable: 1 });
  expect(await bundlesIn(workspace)).toBe(1);
  expect(await env.DB.prepare("select key from event_archive").first("key")).toBe(first);
});
