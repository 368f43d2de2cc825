import { expect, test } from "vitest";
import type { Event } from "#events/event";
import { aResource, anEvent, connectAuthenticated } from "../events/world.ts";
import { api } from "../support/world.ts";
import { storedEvents } from "../support/segments";

interface Page {
  events: Event[];
  total: number;
  next_page: string | null;
}

const LOADED = Date.now();
/** The date `1` to `4` days ago. All events of these days are kept. */
const day = (n: number) => new Date(LOADED + (n - 5) * 86_400_000).toISOString().slice(0, 10);

const filterEvents = async (filter: unknown, limit = 50) =>
  (await api<Page>("POST", "/events/filter", { filter, limit })).body;

test("a posted event is found at once, unchanged, and with the time of its receipt", async () => {
  const event = anEvent({
    payload: { deep: [1, { x: null }] },
    related: [{ "prefect.resource.id": "r", "prefect.resource.role": "owner" }],
  });
  expect((await api("POST", "/events", [event])).status).toBe(204);
  const page = await filterEvents({ resource: { id: [event.resource["prefect.resource.id"]] } });
  expect(page).toEqual({ events: [{ ...event, received: expect.stringMatching(/Z$/) }], total: 1, next_page: null });
});

test("an event that is sent again is stored once", async () => {
  const event = anEvent();
  await api("POST", "/events", [event, event]);
  await api("POST", "/events", [event]);
  expect(await storedEvents(event.id)).toHaveLength(1);
  expect((await filterEvents({ id: { id: [event.id] } })).total).toBe(1);
});

test("pages follow one another without a gap or a repeat, and the total does not change", async () => {
  const about = aResource();
  const sent = [1, 2, 3, 4, 5].map((n) => anEvent({ about, occurred: `${day(2)}T0${n}:00:00Z`, event: `n.${n}` }));
  await api("POST", "/events", sent);
  for (const order of ["ASC", "DESC"]) {
    const names: string[] = [];
    let page = await filterEvents({ resource: { id: [about] }, order, occurred: { since: `${day(1)}T00:00:00Z` } }, 2);
    for (;;) {
      names.push(...page.events.map((event) => event.event));
      expect(page.total).toBe(5);
      if (!page.next_page) break;
      page = (await api<Page>("GET", page.next_page.replace(/^.*\/api/, ""))).body;
    }
    const expected = sent.map((event) => event.event);
    expect(names).toEqual(order === "ASC" ? expected : expected.toReversed());
  }
});

test.for([
  ["no list", { id: "x" }, "list_type", ["body"]],
  ["a resource without id", [{ ...anEvent(), resource: { a: "b" } }], "value_error", ["body", 0, "resource"]],
  [
    "a related resource without role",
    [{ ...anEvent(), related: [{ "prefect.resource.id": "x" }] }],
    "value_error",
    ["body", 0, "related", 0],
  ],
  [
    "a label that is a number",
    [{ ...anEvent(), resource: { "prefect.resource.id": "x", n: 5 } }],
    "string_type",
    ["body", 0, "resource", "n"],
  ],
  ["a name of 1,025 characters", [anEvent({ event: "x".repeat(1025) })], "value_error", ["body", 0, "event"]],
  [
    "101 related resources",
    [
      anEvent({
        related: Array.from({ length: 101 }, () => ({ "prefect.resource.id": "x", "prefect.resource.role": "y" })),
      }),
    ],
    "value_error",
    ["body", 0, "related"],
  ],
] as const)("%s is refused, and the refusal names the place", async ([, body, type, loc]) => {
  const { status, body: answer } = await api<{ exception_detail: unknown[] }>("POST", "/events", body);
  expect(status).toBe(422);
  expect(answer.exception_detail).toEqual([expect.objectContaining({ type, loc })]);
});

test("a page token that the server did not make is refused", async () => {
  expect(await api("GET", "/events/filter/next?page-token=nonsense")).toMatchObject({
    status: 403,
    body: { detail: "Forbidden" },
  });
  expect((await api("GET", "/events/filter/next")).status).toBe(422);
  expect((await api("POST", "/events/filter", { limit: 51 })).status).toBe(422);
  expect((await api("POST", "/events/filter", { filter: { colour: 1 } })).status).toBe(422);
});

test("an event that is sent over a socket is stored", async () => {
  const event = anEvent();
  const socket = await connectAuthenticated("/events/in");
  socket.send(event);
  socket.close();
  await expect
    .poll(async () => (await filterEvents({ resource: { id: [event.resource["prefect.resource.id"]] } })).total, {
      timeout: 3000,
    })
    .toBe(1);
});

test("a total by names is the sum of the segments' counts, without events outside the window", async () => {
  const name = `count.${crypto.randomUUID()}`;
  const sent = ["10:00:00", "10:00:30", "10:59:59", "11:00:00"].map((time) =>
    anEvent({ event: name, occurred: `${day(1)}T${time}Z` }),
  );
  await api("POST", "/events", [...sent, anEvent({ event: `${name}.other`, occurred: `${day(1)}T10:00:10Z` })]);
  const total = async (since: string, until: string, event: unknown = { name: [name] }) =>
    (await filterEvents({ event, occurred: { since: `${day(1)}T${since}Z`, until: `${day(1)}T${until}Z` } })).total;
  expect(await total("00:00:00", "23:00:00")).toBe(4);
  expect(await total("10:00:30", "10:59:59")).toBe(2);
  expect(await total("00:00:00", "10:59:59", { prefix: [name] })).toBe(4);
  expect(await total("12:00:00", "13:00:00")).toBe(0);
});

test.for([
  ["day", {}, [`0:${day(2)}T00:00:00+00:00:3`, `1:${day(3)}T00:00:00+00:00:1`]],
  [
    "time",
    { time_unit: "hour", time_interval: 12 },
    [
      `0:${day(2)}T00:00:00+00:00:0`,
      `1:${day(2)}T12:00:00+00:00:3`,
      `2:${day(3)}T00:00:00+00:00:0`,
      `3:${day(3)}T12:00:00+00:00:1`,
    ],
  ],
] as const)("events are counted by %s in whole intervals", async ([countable, unit, expected]) => {
  const about = aResource();
  const times = [`${day(2)}T12:00:00`, `${day(2)}T12:00:01`, `${day(2)}T23:59:59.999999`, `${day(3)}T12:00:00`];
  const sent = times.map((time) => anEvent({ about, event: about, occurred: `${time}Z` }));
  await api("POST", "/events", sent);
  const occurred = { since: `${day(2)}T00:00:00Z`, until: `${day(4)}T00:00:00Z` };
  for (const filter of [{ resource: { id: [about] } }, { event: { name: [about] } }]) {
    const { body } = await api<{ value: string; label: string; count: number }[]>(
      "POST",
      `/events/count-by/${countable}`,
      {
        filter: { ...filter, occurred },
        ...unit,
      },
    );
    expect(body.map(({ value, label, count }) => `${value}:${label}:${count}`)).toEqual(expected);
  }
});

test("a page has one event for each resource if the request says so", async () => {
  const kind = `kind.${crypto.randomUUID()}`;
  const sent = [1, 2, 1, 3, 2].map((n, index) =>
    anEvent({ about: `${kind}.${n}`, event: String(index), occurred: `${day(2)}T00:00:0${index}Z` }),
  );
  await api("POST", "/events", sent);
  const filter = { resource: { id_prefix: [kind], distinct: true }, occurred: { since: `${day(1)}T00:00:00Z` } };
  const names: string[] = [];
  let page = await filterEvents(filter, 2);
  for (;;) {
    names.push(...page.events.map((event) => event.event));
    expect(page.total).toBe(3);
    if (!page.next_page) break;
    page = (await api<Page>("GET", page.next_page.replace(/^.*\/api/, ""))).body;
  }
  expect(names).toEqual(["4", "3", "2"]);
});

test("large events with multi-byte letters are stored, together with small events", async () => {
  const about = aResource();
  const large = () => anEvent({ about, payload: { text: "漢".repeat(490_000) } });
  const sent = [large(), anEvent({ about }), large(), anEvent({ about })];
  expect((await api("POST", "/events", sent)).status).toBe(204);
  expect((await filterEvents({ resource: { id: [about] } })).total).toBe(4);
});

test("an event with the longest names and the most resources is stored, together with others", async () => {
  const about = aResource();
  const id = (n: number) => `prefect.flow-run.${n}.${"漢".repeat(600)}`;
  const wide = () =>
    anEvent({
      about,
      related: Array.from({ length: 100 }, (_, n) => ({ "prefect.resource.id": id(n), "prefect.resource.role": "x" })),
    });
  const sent = [wide(), anEvent({ about }), wide(), anEvent({ about })];
  expect((await api("POST", "/events", sent)).status).toBe(204);
  expect((await filterEvents({ resource: { id: [about] } })).total).toBe(4);
});

test("things with the same count and label are in the order of their values", async () => {
  const name = `test.tied.${crypto.randomUUID()}`;
  const values = ["c", "a", "b"].map((letter) => `${name}.${letter}`);
  for (const about of values) {
    await api("POST", "/events", [
      anEvent({ event: name, resource: { "prefect.resource.id": about, "prefect.resource.name": "same" } }),
    ]);
  }
  const { body } = await api<{ value: string; count: number }[]>("POST", "/events/count-by/resource", {
    filter: { event: { name: [name] } },
  });
  expect(body.map(({ value, count }) => [value, count])).toEqual(values.toSorted().map((value) => [value, 1]));
});
