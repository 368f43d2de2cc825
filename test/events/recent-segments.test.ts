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
    fc.integer({ min: 0, max: 150 }),
    fc.integer({ min: 0, max: 60 }),
    async (older, newer, given, back, idle) => {
      const db = new Database(env.DB, noCost());
      const workspace = crypto.randomUUID();
      const filter = EventFilter.parse(given);
      let now = START;
      for (const { after, events } of older) await write(db, workspace, events, (now += after * SECOND));
      const began = (now += SECOND);
      const recent = new RecentSegments(began);
      for (const { after, events } of newer)
        recent.add(await write(db, workspace, events, (now += after * SECOND)), now);
      const lastWrite = now;
      now += idle * SECOND;
      const window = { since: now - back * SECOND, until: now + 1_000 * SECOND };
      const known = await recent.inWindow(db, workspace, { filter, window }, now);
      const isKept = window.since >= Math.max(began, lastWrite) - 120 * SECOND;
      const isKnown = isKept && (window.since >= began || now >= began + 30 * SECOND);
      expect(known !== undefined).toBe(isKnown);
      if (!isKnown) return;
      const reader = new EventReader(db, workspace);
      const query = { filter, window, limit: 50, after: null };
      expect(await reader.page({ ...query, known })).toEqual(await reader.page(query));
    },
  );
  await fc.assert(property, { numRuns: 60 });
});

test("after a write with an unknown outcome D1 is read, until only later events are wanted or the write cannot arrive any more", async () => {
  const db = new Database(env.DB, noCost());
  const workspace = crypto.randomUUID();
  const recent = new RecentSegments(START);
  recent.add(await write(db, workspace, [{ offset: 0, name: "a.one" }], START + SECOND), START + SECOND);
  recent.restart(START + 2 * SECOND);
  const filter = EventFilter.parse({});
  const from = (since: Micros, now: Micros) =>
    recent.inWindow(db, workspace, { filter, window: { since, until: START + 60 * SECOND } }, now);
  expect(await from(START, START + 31 * SECOND)).toBeUndefined();
  // The write arrives late.
  await write(db, workspace, [{ offset: 0, name: "a.two" }], START + 2 * SECOND);
  const whole = await from(START, START + 32 * SECOND);
  expect(whole?.map(({ first_occurred }) => first_occurred)).toEqual([START + 2 * SECOND, START + SECOND]);
});

test("an object that has just begun reads D1 for earlier events, and later reads the earlier segments only once", async () => {
  const cost = noCost();
  const db = new Database(env.DB, cost);
  const workspace = crypto.randomUUID();
  await write(db, workspace, [{ offset: 0, name: "a.one" }], START - 20 * SECOND);
  const recent = new RecentSegments(START);
  const filter = EventFilter.parse({});
  const window = { since: START - 60 * SECOND, until: START + 60 * SECOND };
  expect(await recent.inWindow(db, workspace, { filter, window }, START + SECOND)).toBeUndefined();
  expect(await recent.inWindow(db, workspace, { filter, window }, START + 30 * SECOND)).toHaveLength(1);
  const { d1_queries } = cost;
  expect(await recent.inWindow(db, workspace, { filter, window }, START + 40 * SECOND)).toHaveLength(1);
  expect(cost.d1_queries).toBe(d1_queries);
});

test("a segment with names that are too long together is always read, and the cache keeps none of its names", async () => {
  const db = new Database(env.DB, noCost());
  const workspace = crypto.randomUUID();
  const names = ["", "2", "3"].map((end) => ({ offset: 0, name: LONG + end }));
  const older = await write(db, workspace, names, START + SECOND);
  const filter = EventFilter.parse({ event: { name: ["none"] } });
  const window = { since: START, until: START + 60 * SECOND };
  const fits = async (recent: RecentSegments) =>
    (await recent.inWindow(db, workspace, { filter, window }, START + 40 * SECOND))?.map((header) => header.fits);
  const recent = new RecentSegments(START);
  // First the segment is read from D1. Then the object writes it.
  expect(await fits(recent)).toEqual([1]);
  recent.add(older, START + SECOND);
  expect(await fits(recent)).toEqual([1]);
});
