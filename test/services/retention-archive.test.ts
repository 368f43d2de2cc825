/** The retention of events where they move to the archive, and the objects that are left over. */
import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { EventFilter } from "#events/filter";
import { removeArchivedEvents, removeLeftoverObjects } from "#services/retention-archive";
import { removeOldEvents } from "#services/retention-events";
import type { MoveTools } from "#events/archived-move";
import { r2 } from "../archive/world";
import { api } from "../support/world";
import { dying, watchedStores } from "../support/watched-stores";
import {
  archiveTools,
  beginEmpty,
  bundlesIn,
  DAY,
  emptyEvents,
  HOUR,
  indexRowsIn,
  moveAll,
  NOW,
  objectsOf,
  readerOf,
  segmentsIn,
  write,
} from "../events/archive-world";
import { printTime } from "#wire/dates";

beginEmpty();

const WINDOW = { since: 0, until: NOW + 1_000 * DAY };
const RUN = "prefect.flow-run.a";

/** How many events are shown and counted, and found by a resource. */
async function shown(tools: MoveTools): Promise<number[]> {
  const filter = EventFilter.parse({});
  const { found, total } = await readerOf(tools).firstPage({ filter, window: WINDOW, limit: 50 });
  const ofRun = EventFilter.parse({ any_resource: { id: [RUN] } });
  return [found.length, total, (await readerOf(tools).firstPage({ filter: ofRun, window: WINDOW, limit: 50 })).total];
}

const vars = {
  SLUICE_ARCHIVE_RETENTION_PERIOD: String(100 * 86_400),
  PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES: JSON.stringify({ short: 3 * 86_400 }),
};

test("archived events are shown until the archive's period, and names with a shorter period until theirs", async () => {
  const workspace = crypto.randomUUID();
  for (const age of [2, 2 + 1 / 48, 50]) {
    const events = [
      { age: age * DAY, name: "short", about: RUN },
      { age: age * DAY, name: "long", related: [RUN] },
    ];
    await write(workspace, events, { ago: age * DAY });
  }
  const at = (later: number) => archiveTools(workspace, { now: NOW + later, vars });
  expect(await shown(at(0))).toEqual([5, 5, 5]);
  await moveAll(at(0));
  expect(await segmentsIn(workspace)).toBe(0);
  expect(await shown(at(0))).toEqual([5, 5, 5]);
  // The retention of the short name ends within the hour of two events.
  expect(await shown(at(DAY - HOUR / 4))).toEqual([4, 4, 4]);
  expect(await shown(at(DAY))).toEqual([4, 4, 4]);
  expect(await shown(at(DAY + 1))).toEqual([3, 3, 3]);
  expect(await shown(at(50 * DAY))).toEqual([3, 3, 3]);
  expect(await shown(at(50 * DAY + 1))).toEqual([2, 2, 2]);
});

test("without an end, archived events are kept and shown for ever", async () => {
  const workspace = crypto.randomUUID();
  await write(workspace, [{ age: 900 * DAY }], { ago: 900 * DAY });
  const tools = archiveTools(workspace, { vars: { ...vars, SLUICE_ARCHIVE_RETENTION_PERIOD: "0" } });
  await moveAll(tools);
  await removeOldEvents(tools);
  await removeArchivedEvents(tools);
  expect([await bundlesIn(workspace), ...(await shown(tools))]).toEqual([1, 1, 1, 0]);
});

test("events wait in D1 for their move, and end there if the moves are switched off", async () => {
  const workspace = crypto.randomUUID();
  await write(workspace, [{ age: 8 * DAY }], { ago: 8 * DAY, isWork: true });
  await env.DB.prepare("update event_segment set consumed = 1").run();
  await removeOldEvents(archiveTools(workspace));
  expect(await segmentsIn(workspace)).toBe(1);
  await removeOldEvents(archiveTools(workspace, { now: NOW + HOUR, vars: { SLUICE_ARCHIVE_ENABLED: "false" } }));
  expect(await segmentsIn(workspace)).toBe(0);
});

/** A workspace with archived events of 200 days ago and of two days ago. */
async function aged(): Promise<string> {
  const workspace = crypto.randomUUID();
  for (const age of [200, 2]) await write(workspace, [{ age: age * DAY, about: RUN }], { ago: age * DAY });
  await moveAll(archiveTools(workspace));
  return workspace;
}

test("past hours leave the archive with their index rows and objects; a round between costs one row", async () => {
  const workspace = await aged();
  expect([await bundlesIn(workspace), await indexRowsIn(workspace)]).toEqual([2, 2]);
  await removeArchivedEvents(archiveTools(workspace, { vars }));
  expect([await bundlesIn(workspace), await indexRowsIn(workspace)]).toEqual([1, 1]);
  expect(await objectsOf(workspace)).toHaveLength(1);
  const idle = archiveTools(workspace, { now: NOW + HOUR - 1, vars });
  await removeArchivedEvents(idle);
  expect([idle.db.cost.d1_rows_read, idle.db.cost.d1_rows_written]).toEqual([1, 0]);
});

test("after a removal that dies at any call, the rows and at last the objects are gone", async () => {
  for (let at = 0; at < 10; at++) {
    for (const when of ["before", "after"] as const) {
      await emptyEvents();
      const workspace = await aged();
      const { around } = dying(at, when);
      const stores = watchedStores({ around });
      await removeArchivedEvents(archiveTools(workspace, { vars, ...stores })).catch(() => {});
      for (let hours = 1; hours < 4; hours++)
        await removeArchivedEvents(archiveTools(workspace, { vars, now: NOW + hours * HOUR }));
      for (let days = 1; days < 3; days++)
        for (let turns = 0; turns < 4; turns++)
          await removeLeftoverObjects(archiveTools(workspace, { now: NOW + days * DAY }));
      expect([await bundlesIn(workspace), (await objectsOf(workspace)).length]).toEqual([1, 1]);
      expect(await shown(archiveTools(workspace, { vars }))).toEqual([1, 1, 1]);
    }
  }
});

test("an object that no row names is removed when it is a day old, and all others stay", async () => {
  const workspace = await aged();
  const named = await objectsOf(workspace);
  const others = [`${workspace}/runs/x/0`, `${workspace}/logs/x/0`, `${workspace}/events/what`];
  const leftover = `${named[0]?.replace(/\/[^/]*$/, "")}/${"0".repeat(64)}`;
  const foreign = ["a key", "a key/events/2026", "/b", "z"];
  for (const key of [...others, leftover, ...foreign]) await r2().put(key, "x");
  const search = async (now: number) => {
    await env.DB.prepare("delete from sweep_mark where name like 'leftover objects%'").run();
    for (let turns = 0; turns < 10; turns++) await removeLeftoverObjects(archiveTools(workspace, { now }));
  };
  const now = Date.now() * 1000;
  await search(now);
  expect(await objectsOf(workspace)).toContain(leftover);
  await search(now + 2 * DAY);
  expect(await objectsOf(workspace)).toEqual([...named, ...others].toSorted());
  for (const key of foreign) expect(await r2().head(key)).not.toBeNull();
  const idle = archiveTools(workspace, { now: now + 2 * DAY + HOUR });
  await removeLeftoverObjects(idle);
  expect(idle.db.cost.d1_rows_read).toBe(1);
});

test("over the wire, an answer that does not read the whole archive says so", async () => {
  const workspace = "00000000-0000-4000-8000-000000000001";
  for (let hour = 30; hour < 75; hour++) {
    await write(workspace, [{ age: hour * HOUR, about: "thing.1", payload: { text: "needle" } }], { ago: hour * HOUR });
  }
  await moveAll(archiveTools(workspace));
  expect(await bundlesIn(workspace)).toBe(45);
  const occurred = { since: printTime(NOW - 10 * DAY), until: printTime(NOW) };
  const filter = { occurred, text: { query: "needle" } };
  const page = await api<{ total: number; events: unknown[]; next_page: string }>("POST", "/events/filter", { filter });
  const since = printTime(NOW - 70 * HOUR);
  expect([page.status, page.body.total, page.headers.get("x-sluice-archive")]).toEqual([
    200,
    40,
    `partial; since=${since}`,
  ]);
  const rest = await api<{ events: unknown[] }>("GET", page.body.next_page.replace(/^.*\/api/, ""));
  expect([page.body.events.length + rest.body.events.length, rest.headers.get("x-sluice-archive")]).toEqual([45, null]);
  const counts = await api<{ count: number }[]>("POST", "/events/count-by/resource", { filter });
  expect([counts.status, counts.body.map(({ count }) => count)]).toEqual([200, [40]]);
  expect(counts.headers.get("x-sluice-archive")).toBe(`partial; since=${since}`);
  // Names and times are counted without the indexes.
  const plain = await api<{ total: number }>("POST", "/events/filter", { filter: { occurred }, limit: 5 });
  expect([plain.body.total, plain.headers.get("x-sluice-archive")]).toEqual([45, null]);
});
