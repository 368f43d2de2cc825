import fc from "fast-check";
import { env } from "cloudflare:test";
import { beforeEach, describe, expect, test } from "vitest";
import { ReceivedEvent } from "#events/event";
import { EventFilter } from "#events/filter";
import { EventReader } from "#events/read-events";
import { eventCutoff, isKept } from "#events/retention";
import { buildSegments, hourOf, writeSegments } from "#events/segments";
import { systemIds } from "#lib/clock";
import { removeOldEvents } from "#services/retention-events";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";
import { api, WORKSPACE } from "../support/world";
import {
  DAY,
  empty,
  failingD1,
  type Fate,
  HOUR,
  NOW,
  rowsOf,
  toolsAt as toolsWithArchive,
  untilDone,
} from "./retention-world";
import { replaceEvents, segmentsWith } from "../support/segments";

/** The tools of an account without R2. `retention-archive.test.ts` has the others. */
const toolsAt = (...given: Parameters<typeof toolsWithArchive>): Tools => ({
  ...toolsWithArchive(...given),
  archive: null,
});

const ids = systemIds();
const NAMES = ["prefect.flow-run.Completed", "prefect.flow-run.heartbeat", 'my "own" event.é', "short.lived"] as const;
const VARS = {
  PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES: JSON.stringify({
    "prefect.flow-run.heartbeat": 2 * 86_400,
    'my "own" event.é': 30 * 86_400,
    "short.lived": 3_600,
  }),
  PREFECT_SERVER_SERVICES_DB_VACUUM_BATCH_SIZE: "3",
};
const ALL = { since: -9e15, until: 9e15 };

beforeEach(() => empty("event_segment", "event_resource"));

interface Written {
  workspace: string;
  occurred: number;
  name: string;
  event: ReceivedEvent;
}

function anEvent(name: string, occurred: number, resource: string): ReceivedEvent {
  return ReceivedEvent.parse({
    occurred: printTime(occurred),
    event: name,
    resource: { "prefect.resource.id": resource },
    related: [],
    payload: { text: 'a "quoted" \u2028 line, 1.50 and \\', number: 1e21, nested: [{ event: "short.lived" }] },
    id: ids.ordered(occurred),
    follows: null,
    received: printTime(occurred),
  });
}

/** Writes events at a time, as one batch of the stream. */
async function write(
  workspace: string,
  events: readonly Omit<Written, "workspace" | "event">[],
  { at, isWork = false, resource = (index: number) => `thing.${index % 3}` }: Writing,
): Promise<Written[]> {
  const written = events.map(({ name, occurred }, index) => ({
    workspace,
    name,
    occurred,
    event: anEvent(name, occurred, resource(index)),
  }));
  const gathered = written.map(({ event, occurred }) => ({ event, occurred, json: JSON.stringify(event) }));
  await writeSegments(toolsAt(at).db, workspace, buildSegments(gathered, at, ids), () => isWork);
  return written;
}

interface Writing {
  at: number;
  isWork?: boolean;
  resource?: (index: number) => string;
}

const DESC = EventFilter.parse({});
const idsOf = (events: readonly { event: ReceivedEvent }[]) => events.map(({ event }) => event.id).toSorted();
const stored = async () =>
  (await segmentsWith()).flatMap((row) =>
    (JSON.parse(row.events) as ReceivedEvent[]).map((event) => ({ workspace: row["workspace_id"], event })),
  );

/** The visible events of a workspace. Pages, totals and counts must agree. */
async function shown(tools: Tools, workspace: string) {
  const reader = new EventReader(tools.db, workspace, eventCutoff(tools.settings.services.db_vacuum, tools.clock()));
  const { found: page } = await reader.page({ filter: DESC, window: ALL, limit: 10_000, after: null });
  const first = await reader.firstPage({ filter: DESC, window: ALL, limit: 1 });
  expect(first).toMatchObject({ total: page.length, isWhole: true });
  const hours = await reader.countByHour({ filter: DESC, window: ALL });
  for (const [hour, count] of hours ?? []) {
    expect(count).toBe(page.filter(({ occurred }) => hourOf(occurred) === hour).length);
  }
  return page;
}

const anAge = fc.oneof(
  fc.integer({ min: 0, max: 9 * 24 * 4 }).map((quarters) => (quarters * HOUR) / 4),
  fc.constantFrom(
    7 * DAY,
    7 * DAY - 1,
    7 * DAY + 1,
    2 * DAY,
    2 * DAY + 1,
    HOUR,
    HOUR + 1,
    7 * DAY + HOUR / 2,
    7 * DAY + HOUR,
  ),
);
const aBatch = fc.record({
  workspace: fc.nat(2),
  events: fc.array(fc.record({ name: fc.constantFrom(...NAMES), age: anAge }), { minLength: 1, maxLength: 8 }),
  /** The time of the write: now (the outbox may need the segment), or within two minutes of some hours ago. */
  ago: fc.constantFrom(0, 3 * HOUR, 3 * HOUR + 1_000_000, 3 * HOUR + 90_000_000),
  isWork: fc.boolean(),
});
const someFates = fc.array(fc.constantFrom<Fate>("made", "made", "made", "lost", "made, but the answer is lost"), {
  maxLength: 40,
});

test(
  "for random rows: events past their retention are never shown and are removed by whole hours; all else is unchanged",
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aBatch, { minLength: 1, maxLength: 8 }), someFates, async (batches, fates) => {
        await empty("event_segment", "event_resource");
        const workspaces = [0, 1, 2].map(() => crypto.randomUUID());
        const tools = toolsAt(NOW, VARS, failingD1(fates));
        const reading = toolsAt(NOW, VARS);
        const cutoff = eventCutoff(tools.settings.services.db_vacuum, NOW);
        const all: (Written & { isBound: boolean; isWork: boolean })[] = [];
        for (const { workspace, events, ago, isWork } of batches) {
          const aged = events.map(({ name, age }) => ({ name, occurred: NOW - age }));
          const written = await write(workspaces[workspace] ?? "", aged, { at: NOW - ago, isWork });
          all.push(...written.map((one) => ({ ...one, isBound: ago === 0, isWork })));
        }
        const before = await stored();
        const wanted = (workspace: string) =>
          idsOf(all.filter((one) => one.workspace === workspace && isKept(cutoff, one.name, one.occurred)));
        for (const workspace of workspaces) expect(idsOf(await shown(reading, workspace))).toEqual(wanted(workspace));

        await untilDone(() => removeOldEvents(tools));

        for (const workspace of workspaces) expect(idsOf(await shown(reading, workspace))).toEqual(wanted(workspace));
        const isPast = (time: number, occurred: number) => hourOf(occurred) < hourOf(time);
        const stay = all.filter(({ name, occurred, isBound, isWork }) => {
          if (isWork) return true;
          const own = cutoff.oldestByName.get(name);
          // In completely past hours, names with a shorter period are removed even from segments that the outbox may
          // need.
          if (own !== undefined && isPast(own, occurred)) return false;
          return isBound || !isPast(cutoff.oldest, occurred);
        });
        const after = await stored();
        expect(idsOf(after)).toEqual(idsOf(stay));
        // The remaining rows are unchanged.
        const texts = new Set(before.map((one) => JSON.stringify(one)));
        for (const one of after) expect(texts).toContain(JSON.stringify(one));
        await expectWholeIndex();
      }),
      { numRuns: 20 },
    );
  },
);

/** Each segment is found through each of its resources, and each index row has a segment. */
async function expectWholeIndex() {
  const segments = await segmentsWith();
  const index = await rowsOf("event_resource");
  const leads = (row: Record<string, unknown>, segment: Record<string, unknown>) =>
    row["workspace_id"] === segment["workspace_id"] &&
    row["hour"] === segment["hour"] &&
    String(row["first_id"]) <= String(segment["id"]) &&
    String(segment["id"]) <= String(row["last_id"]) &&
    (JSON.parse(String(segment["resources"])) as string[]).includes(String(row["resource_id"]));
  for (const row of index) expect(segments.some((segment) => leads(row, segment))).toBe(true);
  for (const segment of segments) {
    for (const { resource } of JSON.parse(segment.events) as ReceivedEvent[]) {
      expect(index.some((row) => row["resource_id"] === resource["prefect.resource.id"] && leads(row, segment))).toBe(
        true,
      );
    }
    const counts = Object.values(JSON.parse(String(segment["counts"])) as Record<string, number>);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(segment["event_count"]);
    expect((JSON.parse(segment.events) as unknown[]).length).toBe(segment["event_count"]);
  }
}

describe("a round", () => {
  const old = [{ name: "x", occurred: NOW - 8 * DAY }];

  test("starts once an hour, and costs one read in between", async () => {
    await untilDone(() => removeOldEvents(toolsAt(NOW)));
    const workspace = crypto.randomUUID();
    await write(workspace, old, { at: NOW - 8 * DAY });
    const tools = toolsAt(NOW + HOUR - 1);
    await removeOldEvents(tools);
    expect([await stored(), tools.db.cost.d1_rows_written]).toEqual([[expect.anything()], 0]);
    await removeOldEvents(toolsAt(NOW + HOUR));
    expect(await stored()).toEqual([]);
  });

  test("takes as many turns as it needs", async () => {
    const workspace = crypto.randomUUID();
    for (let index = 0; index < 50; index++) await write(workspace, old, { at: NOW - 8 * DAY + index });
    const vars = { PREFECT_SERVER_SERVICES_DB_VACUUM_BATCH_SIZE: "1" };
    await removeOldEvents(toolsAt(NOW, vars));
    expect(await stored()).toHaveLength(50 - 40);
    await removeOldEvents(toolsAt(NOW, vars));
    expect(await stored()).toHaveLength(0);
    expect(await rowsOf("event_resource")).toEqual([]);
  });

  test("reads some dozens of rows for each removed row, however close together the rows were written", async () => {
    const workspace = crypto.randomUUID();
    for (let index = 0; index < 250; index++) {
      await write(workspace, [...old, ...old], {
        at: NOW - 8 * DAY + index * 10_000,
        resource: (one) => `thing.${index % 50}.${one}`,
      });
    }
    const tools = toolsAt(NOW);
    await removeOldEvents(tools);
    const { d1_rows_read, d1_rows_written } = tools.db.cost;
    expect([await stored(), await rowsOf("event_resource")]).toEqual([[], []]);
    expect(d1_rows_written).toBeLessThan(250 + 100 + 10);
    expect(d1_rows_read).toBeLessThan(100 * 250);
  });

  test.for(["1", "200"])(
    "with pages of %s segments, index rows are kept as long as another segment needs them",
    async (batchSize) => {
      const workspace = crypto.randomUUID();
      const at = NOW - 8 * DAY;
      await write(workspace, old, { at });
      const [waiting] = await write(workspace, old, { at: at + 1000, isWork: true });
      await write(workspace, old, { at: at + 2000 });
      const vars = { PREFECT_SERVER_SERVICES_DB_VACUUM_BATCH_SIZE: batchSize };
      await untilDone(() => removeOldEvents(toolsAt(NOW, vars)));
      const filter = EventFilter.parse({ resource: { id: ["thing.0"] } });
      const page = () =>
        new EventReader(toolsAt(NOW).db, workspace).page({ filter, window: ALL, limit: 10, after: null });
      expect(idsOf((await page()).found)).toEqual([waiting?.event.id]);
      await expectWholeIndex();
      await env.DB.prepare("update event_segment set consumed = 1").run();
      await untilDone(() => removeOldEvents(toolsAt(NOW + HOUR, vars)));
      expect([await stored(), await rowsOf("event_resource")]).toEqual([[], []]);
    },
  );

  test("of two concurrent rounds changes no more than one round", async () => {
    const workspace = crypto.randomUUID();
    await write(workspace, [...old, { name: "y", occurred: NOW - 6 * DAY }], { at: NOW - 6 * DAY });
    await Promise.all([removeOldEvents(toolsAt(NOW)), removeOldEvents(toolsAt(NOW))]);
    expect((await stored()).map(({ event }) => event.event)).toEqual(["y"]);
  });

  test("reads the hours of a name with its own period only once", async () => {
    const vars = {
      PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES: JSON.stringify({ beat: 86_400 }),
    };
    const workspace = crypto.randomUUID();
    for (let hour = 30; hour < 130; hour++) {
      await write(workspace, [{ name: "stays", occurred: NOW - hour * HOUR }], { at: NOW - 30 * HOUR });
    }
    await untilDone(() => removeOldEvents(toolsAt(NOW, vars)));
    const next = toolsAt(NOW + HOUR, vars);
    await removeOldEvents(next);
    expect(next.db.cost.d1_rows_read).toBeLessThan(40);
    expect(await stored()).toHaveLength(100);
  });
});

test("events are kept for ever if their removal is not switched on", async () => {
  const workspace = crypto.randomUUID();
  await write(workspace, [{ name: "x", occurred: NOW - 800 * DAY }], { at: NOW - 800 * DAY });
  const tools = toolsAt(NOW, { PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: "orphans" });
  await removeOldEvents(tools);
  expect(await shown(tools, workspace)).toHaveLength(1);
});

test("over the wire too, events past their retention are neither shown nor counted", async () => {
  const now = Date.now() * 1000;
  const name = `aged.${crypto.randomUUID()}`;
  const post = (age: number) => ({
    id: crypto.randomUUID(),
    occurred: printTime(now - age),
    event: name,
    resource: { "prefect.resource.id": "thing" },
  });
  expect((await api("POST", "/events", [post(0), post(399 * DAY), post(401 * DAY)])).status).toBe(204);
  const filter = { event: { name: [name] }, occurred: { since: printTime(now - 500 * DAY), until: printTime(now) } };
  const { body } = await api<{ total: number; events: unknown[] }>("POST", "/events/filter", { filter });
  expect([body.total, body.events.length]).toEqual([2, 2]);
  const counts = await api<{ count: number }[]>("POST", "/events/count-by/event", { filter });
  expect(counts.body.map(({ count }) => count)).toEqual([2]);
  expect(Number(await env.DB.prepare("select sum(event_count) as n from event_segment").first("n"))).toBe(3);
});

test("a segment with events that nest too deep for the database is kept whole, and does not prevent the removal of others", async () => {
  const hour = hourOf(NOW - DAY);
  const deep = await write(WORKSPACE, [{ name: "short.lived", occurred: hour }], { at: NOW - 2 * DAY });
  const [segment] = await segmentsWith();
  const nested = `"deep":${"[".repeat(1_100)}${"]".repeat(1_100)},"text":`;
  await replaceEvents(segment?.id ?? "", segment?.events.replace('"text":', nested) ?? "");
  await write(
    WORKSPACE,
    [
      { name: "short.lived", occurred: hour },
      { name: "test.kept", occurred: hour },
    ],
    { at: NOW - DAY },
  );
  await untilDone(() => removeOldEvents(toolsAt(NOW, VARS)));
  const left = (await stored()).map(({ event }) => event.event).toSorted();
  expect(left).toEqual(["short.lived", "test.kept"]);
  expect((await stored()).some(({ event }) => event.id === deep[0]?.event.id)).toBe(true);
  await untilDone(() => removeOldEvents(toolsAt(NOW + 30 * DAY, VARS)));
  expect(await stored()).toEqual([]);
});
