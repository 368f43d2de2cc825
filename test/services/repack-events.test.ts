import fc from "fast-check";
import { env } from "cloudflare:test";
import { beforeEach, expect, test, vi } from "vitest";
import { unpack } from "#db/packed";
import { readForRewrite, rewriteSegment } from "#events/rewrite-segments";
import { buildSegments, hourOf, writeSegments } from "#events/segments";
import { systemIds } from "#lib/clock";
import { repackEvents } from "#services/repack-events";
import { removeOldEvents } from "#services/retention-events";
import { replaceEvents } from "../support/segments";
import { receiveEvent } from "#events/event";
import { aResource, anEvent } from "../events/world";
import { printTime } from "#wire/dates";
import { api, WORKSPACE } from "../support/world";
import { DAY, empty, failingD1, type Fate, NOW, rowsOf, toolsAt, untilDone } from "./retention-world";

const ids = systemIds();
const ROUND = "retention: pack events";

beforeEach(async () => {
  await empty("event_segment", "event_resource");
  await env.DB.prepare("delete from sweep_mark where name = ?").bind(ROUND).run();
});

/** Writes a segment, and returns its id. */
async function aSegment(events = [anEvent()], at = NOW): Promise<string> {
  const gathered = events.map((event) => {
    const received = receiveEvent({ ...event, occurred: printTime(at) }, at);
    return { event: received, occurred: at, json: JSON.stringify(received) };
  });
  const segments = buildSegments(gathered, at, ids);
  await writeSegments(toolsAt(at).db, WORKSPACE, segments, () => false);
  return segments[0]?.id ?? "";
}

/** The form of a segment's events in its row, and their text. */
async function stored(id: string): Promise<{ form: string; text: string; resources: string[] }> {
  const row = await env.DB.prepare(
    "select typeof(events) as form, iif(typeof(events) = 'blob', hex(events), events) as value, resources from event_segment where id = ?",
  )
    .bind(id)
    .first<{ form: string; value: string; resources: string }>();
  if (!row) throw new Error("there is no segment");
  const text = row.form === "blob" ? unpack(row.value) : row.value;
  return { form: row.form, text, resources: JSON.parse(row.resources) };
}

/** Makes a segment as older versions wrote it: without a size, and not packed. */
async function makeOld(id: string, events?: string): Promise<{ id: string; events: string }> {
  const text = events ?? (await stored(id)).text;
  await replaceEvents(id, text);
  await env.DB.prepare("update event_segment set resources = json_remove(resources, '$[0]') where id = ?")
    .bind(id)
    .run();
  return { id, events: text };
}

const anOldSegment = async (events?: string) => makeOld(await aSegment(), events);

const fates = fc.array(fc.constantFrom<Fate>("made", "lost", "made, but the answer is lost"), { maxLength: 12 });

test("whatever fails, all segments are packed in the end, and their JSON is the same byte for byte", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const contents = fc.array(fc.constantFrom(undefined, `[{"a":12345678901234567890,"b":1.10}]`, "[]", "garbage", "7"), {
    minLength: 1,
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(contents, fates, async (texts, some) => {
      await empty("event_segment", "event_resource");
      await env.DB.prepare("delete from sweep_mark where name = ?").bind(ROUND).run();
      const old = [];
      for (const text of texts) old.push(await anOldSegment(text));
      const index = await rowsOf("event_resource");
      await repackEvents(toolsAt(NOW, {}, failingD1(some))).catch(() => {});
      await untilDone(() => repackEvents(toolsAt(NOW)));
      for (const { id, events } of old) {
        const { form, text, resources } = await stored(id);
        expect(text).toBe(events);
        const isPacked = events.startsWith("[") && events.length > 2;
        expect(form).toBe(isPacked ? "blob" : "text");
        if (isPacked) expect(resources[0]).toBe(`${events.length} bytes`);
      }
      expect(await rowsOf("event_resource")).toEqual(index);
    }),
    { numRuns: 40 },
  );
});

test("a segment that changes while it is packed keeps the change", async () => {
  const { id } = await anOldSegment();
  const tools = toolsAt(NOW);
  const [row] = await readForRewrite(tools, [{ id, hour: hourOf(NOW) }]);
  if (!row) throw new Error("there is no segment");
  const other = `[{"other":"${"x".repeat(500)}"}]`;
  await replaceEvents(id, other);
  await tools.db.run(rewriteSegment(WORKSPACE, row, { json: row.events }));
  expect((await stored(id)).text).toBe(other);
});

test("events are found, and taken out by their retention, before and after packing", async () => {
  const about = aResource();
  const now = Date.now() * 1000;
  const vars = {
    PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES: JSON.stringify({ "short.lived": 3_600 }),
  };
  const id = await aSegment([anEvent({ about, event: "kept" }), anEvent({ about, event: "short.lived" })], now - DAY);
  const { events: text } = await makeOld(id);
  const find = async () => {
    const filter = { resource: { id: [about] } };
    return (await api<{ events: { event: string }[] }>("POST", "/events/filter", { filter })).body.events;
  };
  const before = await find();
  expect(before.map(({ event }) => event).toSorted()).toEqual(["kept", "short.lived"]);
  await untilDone(() => repackEvents(toolsAt(now)));
  expect(await stored(id)).toMatchObject({ form: "blob", text });
  expect(await find()).toEqual(before);
  await untilDone(() => removeOldEvents(toolsAt(now, vars)));
  expect(await find()).toEqual(before.filter(({ event }) => event === "kept"));
});

test("after its round a turn costs one row", async () => {
  await anOldSegment();
  await untilDone(() => repackEvents(toolsAt(NOW)));
  const tools = toolsAt(NOW + 400 * DAY);
  await repackEvents(tools);
  expect(tools.db.cost).toMatchObject({ d1_round_trips: 1, d1_rows_read: 1, d1_rows_written: 0 });
});
