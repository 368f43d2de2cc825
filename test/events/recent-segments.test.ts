import { env } from "cloudflare:test";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Database } from "#db/database";
import { EventFilter } from "#events/filter";
import { EventReader } from "#events/read-events";
import { RecentSegments } from "#events/recent-segments";
import { buildSegments, type Segment, writeSegments } from "#events/segments";
import { type Micros, SECOND, systemIds } from "#lib/clock";
import { noCost } from "#lib/cost";
import { printTime } from "#wire/dates";
import { anEvent } from "./world.ts";

const ids = systemIds();
const START: Micros = 1_800_000_000 * SECOND;

/** With three such names in a segment, the cache keeps no names of the segment. */
const LONG = `a.${"x".repeat(1_000)}`;

const anOffset = fc.integer({ min: -100, max: 400 });
const aBatch = fc.record({
  /** The time of the write, in seconds after the batch before. */
  after: fc.integer({ min: 0, max: 40 }),
  events: fc.array(
    fc.record({ offset: anOffset, name: fc.constantFrom("a.one", "a.two", "b.one", LONG, `${LONG}2`, `${LONG}3`) }),
    {
      minLength: 1,
      maxLength: 5,
    },
  ),
});
const aFilter = fc.record({
  order: fc.constantFrom("ASC", "DESC"),
  event: fc.constantFrom({}, { name: ["a.one"] }, { prefix: ["a."] }, { name: ["none"] }),
});

async function write(db: Database, workspace: string, events: { offset: number; name: string }[], now: Micros) {
  const made = events.map(({ offset, name }) => {
    const occurred = now + offset * SECOND;
    const event = { ...anEvent({ event: name, occurred: printTime(occurred) }), received: printTime(now) };
    return { event, occurred, json: JSON.stringify(event) };
  });
  const segments: Segment[] = buildSegments(made, now, ids);
  await writeSegments(db, workspace, segments, () => false);
  return segments;
}

test("the cache of the newest segments gives the same events as D1, for any window in the cache", async () => {
  const property = fc.asyncProperty(
    fc.array(aBatch, { maxLength: 3 }),
    fc.array(aBatch, { minLength: 1, maxLength: 8 }),
    aFilter,
    fc.integer({ min: 0, max: 90 }),
    async (older, newer, given, back) => {
      const db = new Database(env.DB, noCost());
      const workspace = crypto.randomUUID();
      const filter = EventFilter.parse(given);
      let now = START;
      for (const { after, events } of older) await write(db, workspace, events, (now += after * SECOND));
      const began = (now += SECOND);
      const recent = new RecentSegments(began);
      for (const { after, events } of newer)
        recent.add(await write(db, workspace, events, (now += after * SECOND)), now);
      const window = { since: now - back * SECOND, until: now + 1_000 * SECOND };
      const known = await recent.inWindow(db, workspace, { filter, window });
      const isKnown = window.since >= Math.max(began, now - 120 * SECOND);
      expect(known !== undefined).toBe(isKnown);
      if (!isKnown) return;
      const reader = new EventReader(db, workspace);
      const query = { filter, window, limit: 50, after: null };
      expect(await reader.page({ ...query, known })).toEqual(await reader.page(query));
    },
  );
  await fc.assert(property, { numRuns: 60 });
});

test("after a write with an unknown outcome D1 is read, until only later events are wanted", async () => {
  const db = new Database(env.DB, noCost());
  const workspace = crypto.randomUUID();
  const recent = new RecentSegments(START);
  recent.add(await write(db, workspace, [{ offset: 0, name: "a.one" }], START + SECOND), START + SECOND);
  recent.restart(START + 2 * SECOND);
  const filter = EventFilter.parse({});
  const from = (since: Micros) =>
    recent.inWindow(db, workspace, { filter, window: { since, until: START + 60 * SECOND } });
  expect(await from(START)).toBeUndefined();
  expect(await from(START + 2 * SECOND)).toEqual([]);
});

test("a segment with names that are too long together is always read, and the cache keeps none of its names", async () => {
  const db = new Database(env.DB, noCost());
  const workspace = crypto.randomUUID();
  const names = ["", "2", "3"].map((end) => ({ offset: 0, name: LONG + end }));
  const older = await write(db, workspace, names, START + SECOND);
  const filter = EventFilter.parse({ event: { name: ["none"] } });
  const window = { since: START, until: START + 60 * SECOND };
  const fits = async (recent: RecentSegments) =>
    (await recent.inWindow(db, workspace, { filter, window }))?.map((header) => header.fits);
  const recent = new RecentSegments(START);
  // First the segment is read from D1. Then the object writes it.
  expect(await fits(recent)).toEqual([1]);
  recent.add(older, START + SECOND);
  expect(await fits(recent)).toEqual([1]);
});
