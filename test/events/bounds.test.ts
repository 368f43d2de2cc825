import { env } from "cloudflare:test";
import { beforeAll, expect, test, vi } from "vitest";
import { Database } from "#db/database";
import { DEFAULT_WORKSPACE } from "#env";
import { type Event, receiveEvent } from "#events/event";
import { EventFilter } from "#events/filter";
import { EventReader } from "#events/read-events";
import { buildSegments, indexedResources, writeSegments } from "#events/segments";
import { noCost } from "#lib/cost";
import { systemClock, systemIds } from "#lib/clock";
import { parseTime, printTime } from "#wire/dates";
import { api } from "../support/world.ts";
import { aResource, anEvent } from "./world.ts";
import { replaceEvents, segmentsWith } from "../support/segments";

interface Page {
  events: Event[];
  total: number;
  next_page: string | null;
}

const clock = systemClock();
const ids = systemIds();
const NOW = clock();
const HOUR = 3_600_000_000;

/** Writes the events in one segment. */
async function write(events: readonly Event[], { at = NOW, workspace = DEFAULT_WORKSPACE } = {}): Promise<void> {
  const gathered = events.map((event) => {
    const received = receiveEvent(event, at);
    return { event: received, occurred: parseTime(event.occurred) ?? 0, json: JSON.stringify(received) };
  });
  await writeSegments(new Database(env.DB, noCost()), workspace, buildSegments(gathered, at, ids), () => false);
}

/** The database, and the number of bytes of events that were read. */
function counted(): { db: Database; read: () => number } {
  let bytes = 0;
  const db = new Database(env.DB, noCost());
  const rows = db.rows.bind(db);
  db.rows = async <T>(statement: Parameters<typeof rows>[0]): Promise<T[]> => {
    const found = await rows<T>(statement);
    for (const row of found as { events?: string }[]) bytes += row.events?.length ?? 0;
    return found;
  };
  return { db, read: () => bytes };
}

const filterEvents = (filter: unknown, limit = 50) => api<Page>("POST", "/events/filter", { filter, limit });

test("events are found by thousands of ids of any version, also if the events arrived late", async () => {
  const about = aResource();
  const sent = Array.from({ length: 60 }, (_, index) =>
    anEvent({ about, id: index % 2 ? ids.ordered(NOW - 50 * HOUR) : ids.random(), occurred: printTime(NOW - index) }),
  );
  await write(sent);
  const others = Array.from({ length: 3_000 }, () => ids.ordered(NOW - 10 * HOUR));
  const wanted = [...others, ...sent.map(({ id }) => id)];
  const { status, body } = await filterEvents({ id: { id: wanted } });
  expect([status, body.total, body.events.length]).toEqual([200, 60, 50]);
  const rest = (await api<Page>("GET", (body.next_page ?? "").replace(/^.*\/api/, ""))).body;
  expect([...body.events, ...rest.events].map(({ id }) => id)).toEqual(sent.map(({ id }) => id));
});

test("a search by ids reads other events only packed", async () => {
  const workspace = crypto.randomUUID();
  const text = "x".repeat(50_000);
  for (let hour = 1; hour <= 20; hour++) {
    const at = NOW - hour * HOUR;
    const occurred = printTime(at);
    await write([anEvent({ id: ids.ordered(at), occurred, payload: { text } })], { at, workspace });
  }
  const at = NOW - 7 * HOUR - 1_000_000;
  const wanted = anEvent({ id: ids.ordered(at), occurred: printTime(at) });
  await write([wanted], { at, workspace });
  const { db, read } = counted();
  const filter = EventFilter.parse({ id: { id: [wanted.id, ...Array.from({ length: 40 }, () => ids.ordered(at))] } });
  const reader = new EventReader(db, workspace);
  const { found } = await reader.page({ filter, window: { since: 0, until: 4e15 }, limit: 50, after: null });
  expect(found.map(({ event }) => event.id)).toEqual([wanted.id]);
  // All segments are searched for the 40 ids that no event has. Unpacked they have more than 1,000,000 bytes.
  expect(read()).toBeLessThan(20_000);
});

test("events are found by 20,001 resources", async () => {
  const about = aResource();
  await write([anEvent({ about })]);
  const many = [
    ...Array.from({ length: 20_000 }, (_, index) => `prefect.thing.${crypto.randomUUID()}.${"x".repeat(60)}.${index}`),
    about,
  ];
  for (const filter of [{ resource: { id: many } }, { any_resource: { id: many } }]) {
    const { status, body } = await filterEvents(filter);
    expect([status, body.total, body.events.length]).toEqual([200, 1, 1]);
  }
  const counts = await api("POST", "/events/count-by/event", { filter: { resource: { id: many } } });
  expect([counts.status, counts.body]).toEqual([200, [expect.objectContaining({ count: 1 })]]);
});

const LISTS = [
  [{ id: { id: Array.from({ length: 50_001 }, () => "00000000-0000-4000-8000-000000000001") } }, ["id", "id"]],
  [{ id: { id: Array.from({ length: 50_001 }, () => "no id") } }, ["id", "id"]],
  [{ resource: { id: Array.from({ length: 50_001 }, String) } }, ["resource", "id"]],
  [{ resource: { id_prefix: Array.from({ length: 1_001 }, String) } }, ["resource", "id_prefix"]],
  [{ event: { exclude_prefix: Array.from({ length: 1_001 }, String) } }, ["event", "exclude_prefix"]],
] as const;

test.for(LISTS)("a list that is too long is refused, and the error names its place", async ([filter, place]) => {
  const { status, body } = await api<{ exception_detail: unknown[] }>("POST", "/events/filter", { filter });
  expect(status).toBe(422);
  expect(body.exception_detail).toEqual([
    expect.objectContaining({ type: "too_long", loc: ["body", "filter", ...place] }),
  ]);
});

test("events are found by the greatest number of filters", async () => {
  const about = aResource();
  const role = { "prefect.resource.role": "x" };
  await write([anEvent({ about, related: [{ "prefect.resource.id": "r", ...role }] })]);
  const filter = {
    related: Array.from({ length: 100 }, () => ({ id: ["r"] })),
    any_resource: Array.from({ length: 100 }, () => ({ id: [about], id_prefix: [about] })),
  };
  const { status, body } = await filterEvents(filter);
  expect([status, body.total]).toEqual([200, 1]);
});

test.for([
  { related: Array.from({ length: 101 }, () => ({ id: ["x"] })) },
  { any_resource: Array.from({ length: 101 }, () => ({ id: ["x"] })) },
  { resource: { labels: { a: Array.from({ length: 1_001 }, String) } } },
  { resource: { labels: Object.fromEntries(Array.from({ length: 501 }, (_, index) => [`l${index}`, "x"])) } },
  { resource: { labels: { a: "*".repeat(2_001) } } },
])("a filter with too many parts is refused", async (filter) => {
  expect((await filterEvents(filter)).status).toBe(422);
});

const tokenOf = (fields: object): string => {
  const token = {
    filter: { order: "DESC" },
    window: { since: 0, until: 4e15 },
    total: 10,
    is_whole: true,
    limit: 50,
    read: 0,
    after: null,
    ...fields,
  };
  return encodeURIComponent(btoa(JSON.stringify(token)));
};

test.for([
  { limit: 1_000_000 },
  { limit: -1 },
  { window: { since: -1e300, until: 4e15 } },
  { window: { since: 0, until: 1e300 } },
  { after: { occurred: 1e300, id: "x" } },
  { after: { occurred: 0, id: "x".repeat(1_000) } },
  { total: "many" },
  { filter: { resource: { id: Array.from({ length: 50_001 }, String) } } },
  { more: true },
])("a page token with %j that the server did not create is refused", async (fields) => {
  expect(await api("GET", `/events/filter/next?page-token=${tokenOf(fields)}`)).toMatchObject({
    status: 403,
    body: { detail: "Forbidden" },
  });
});

test("a page token with times in distant years is accepted", async () => {
  const about = aResource();
  await write([anEvent({ about }), anEvent({ about })]);
  const occurred = { since: "2020-01-01T00:00:00Z", until: "9999-12-31T23:59:59.999999Z" };
  const { body } = await filterEvents({ resource: { id: [about] }, occurred }, 1);
  const next = await api<Page>("GET", (body.next_page ?? "").replace(/^.*\/api/, ""));
  expect([next.status, next.body.events.length, next.body.next_page]).toEqual([200, 1, null]);
});

test("a page of large events is cut, and the next page continues", async () => {
  const about = aResource();
  const sent = Array.from({ length: 12 }, (_, index) =>
    anEvent({ about, payload: { text: "x".repeat(900_000) }, occurred: printTime(NOW - index * 1_000) }),
  );
  for (const event of sent) await write([event]);
  const first = (await filterEvents({ resource: { id: [about] } })).body;
  expect([first.total, first.events.length]).toEqual([12, 4]);
  const shown = [...first.events];
  for (let next = first.next_page; next !== null;) {
    const { body } = await api<Page>("GET", next.replace(/^.*\/api/, ""));
    expect(body.events).toHaveLength(4);
    shown.push(...body.events);
    next = body.next_page;
  }
  expect(shown.map(({ id }) => id)).toEqual(sent.map(({ id }) => id));
});

test("events are found by their ids although the database cannot read one segment", async () => {
  const warning = vi.spyOn(console, "warn").mockImplementation(() => {});
  const about = aResource();
  const [good, deep] = [anEvent({ about }), anEvent({ about })];
  const nested = JSON.stringify({ ...receiveEvent(deep, NOW), payload: 0 }).replace(
    '"payload":0',
    `"payload":{"a":${"[".repeat(1_100)}${"]".repeat(1_100)}}`,
  );
  await write([good, deep]);
  const [segment] = await segmentsWith(deep.id);
  await replaceEvents(segment?.id ?? "", `[${JSON.stringify(receiveEvent(good, NOW))},${nested}]`);
  const { status, body } = await filterEvents({ id: { id: [good.id, deep.id] } });
  expect([status, body.total, new Set(body.events.map(({ id }) => id))]).toEqual([200, 2, new Set([good.id, deep.id])]);
  expect(body.events.find(({ id }) => id === deep.id)?.payload).toEqual({});
  const all = await filterEvents({ resource: { id_prefix: [about] } });
  expect([all.status, all.body.total]).toEqual([200, 2]);
  expect(warning).toHaveBeenCalled();
  await env.DB.prepare("delete from event_segment where id = ?").bind(segment?.id).run();
  warning.mockRestore();
});

/**
 * A workspace with more segments than one request reads. The segments have few bytes, and the event is in the last one.
 */
const CROWDED = crypto.randomUUID();
const FAR = anEvent({ event: "far", occurred: printTime(NOW - 1_000 * HOUR) });
const ALL = { since: 0, until: 4e15 };

beforeAll(async () => {
  await env.DB.prepare(
    `insert into event_segment (workspace_id, hour, id, first_occurred, last_occurred, event_count, counts, consumed, resources, run_event_ids, events)
     with recursive n (i) as (select 1 union all select i + 1 from n where i < 60000)
     select ?, h, printf('%08x-0000-7000-8000-000000000000', i), h, h + i, 1, '{"near":1}', 1, '[]', '[]', '[]'
     from (select i, (? / 3600000000 - i / 1000) * 3600000000 as h from n)`,
  )
    .bind(CROWDED, NOW)
    .run();
  await write([FAR], { at: NOW - 1_000 * HOUR, workspace: CROWDED });
}, 60_000);

test("a page that would read too many segments ends early, and the next page continues", async () => {
  const reader = new EventReader(new Database(env.DB, noCost()), CROWDED);
  const filter = EventFilter.parse({ event: { name: ["far"] } });
  const first = await reader.page({ filter, window: ALL, limit: 50, after: null });
  expect(first.found).toEqual([]);
  expect(first.next).not.toBeNull();
  const second = await reader.page({ filter, window: ALL, limit: 50, after: first.next });
  expect(second.found.map(({ event }) => event.id)).toEqual([FAR.id]);
  expect(second.next).toBeNull();
});

test("if not all segments can be read, a total is a lower bound, and counts are refused", async () => {
  const reader = new EventReader(new Database(env.DB, noCost()), CROWDED);
  const filter = EventFilter.parse({ event: { name: ["far"] }, text: { query: "far" } });
  const first = await reader.firstPage({ filter, window: ALL, limit: 50 });
  expect(first).toMatchObject({ found: [], total: 0, isWhole: false, next: expect.anything() });
  await expect(reader.each(filter, ALL, () => {})).rejects.toMatchObject({ status: 422 });
  const distinct = EventFilter.parse({ event: { name: ["far"] }, resource: { distinct: true } });
  await expect(reader.page({ filter: distinct, window: ALL, limit: 5, after: null })).rejects.toMatchObject({
    status: 422,
  });
});

test("a segment has no more bytes than a row of D1 may have, whatever letters its events have", () => {
  const id = (n: number) => `prefect.flow-run.${n}.${"漢".repeat(600)}`;
  const related = Array.from({ length: 100 }, (_, n) => ({
    "prefect.resource.id": id(n),
    "prefect.resource.role": "x",
  }));
  const events = Array.from({ length: 12 }, (_, n) =>
    anEvent({ payload: { text: "漢".repeat(300_000) }, related: n % 2 ? related : [] }),
  );
  const gathered = events.map((event) => {
    const received = receiveEvent(event, NOW);
    return { event: received, occurred: NOW, json: JSON.stringify(received) };
  });
  for (const segment of buildSegments(gathered, NOW, ids)) {
    const rows = segment.events.map(({ event, json }) => json + JSON.stringify(indexedResources(event)));
    expect(new TextEncoder().encode(rows.join("")).length).toBeLessThan(1_950_000);
  }
});

test("only the event that is too large for a row of D1 is left out", async () => {
  const warning = vi.spyOn(console, "warn").mockImplementation(() => {});
  const about = aResource();
  const related = Array.from({ length: 100 }, (_, n) => ({
    "prefect.resource.id": `prefect.flow-run.${n}.${"漢".repeat(1_900)}`,
    "prefect.resource.role": "x",
  }));
  const huge = anEvent({ about, related, payload: { text: "x".repeat(800_000) } });
  expect((await api("POST", "/events", [huge, anEvent({ about })])).status).toBe(204);
  expect((await filterEvents({ resource: { id: [about] } })).body.total).toBe(1);
  expect(warning).toHaveBeenCalledOnce();
  warning.mockRestore();
});
