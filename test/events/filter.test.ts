import { expect, test } from "vitest";
import { EventFilter, matchesEvent, windowOf } from "#events/filter";
import { receiveEvent } from "#events/event";
import { parseTextQuery } from "#lib/text-query";
import { anEvent } from "./world.ts";

const ID = "0195f000-0000-7000-8000-000000000001";
const event = receiveEvent(
  anEvent({
    id: ID,
    event: "acme.order.placed",
    resource: { "prefect.resource.id": "acme.order.7", kind: "large", note: "a b" },
    related: [
      { "prefect.resource.id": "acme.customer.1", "prefect.resource.role": "buyer", colour: "red" },
      { "prefect.resource.id": "acme.shop.2", "prefect.resource.role": "seller", colour: "blue" },
    ],
    payload: { text: "A Needle in a haystack" },
  }),
  0,
);

test.for([
  [{}, true],
  [{ event: { name: ["acme.order.placed", "x"] } }, true],
  [{ event: { name: ["acme.order"] } }, false],
  [{ event: { name: [] } }, true],
  [{ event: { prefix: ["x", "acme.order."] } }, true],
  [{ event: { prefix: ["x"] } }, false],
  [{ event: { exclude_prefix: ["acme."] } }, false],
  [{ event: { prefix: ["acme."], exclude_name: ["acme.order.placed"] } }, false],
  [{ event: { exclude_name: ["acme.order"] } }, true],
  [{ resource: { id: ["acme.order.7"] } }, true],
  [{ resource: { id: ["acme.customer.1"] } }, false],
  [{ resource: { id_prefix: ["acme.order."] } }, true],
  [{ resource: { id_prefix: ["acme.customer."] } }, false],
  [{ resource: { labels: { kind: "large" } } }, true],
  [{ resource: { labels: { kind: ["small", "lar*"] } } }, true],
  [{ resource: { labels: { kind: "l?rge", note: "* b" } } }, true],
  [{ resource: { labels: { kind: "!large" } } }, false],
  [{ resource: { labels: { kind: "!small" } } }, true],
  [{ resource: { labels: { kind: ["!large", "!small"] } } }, true],
  [{ resource: { labels: { absent: "*" } } }, false],
  [{ resource: { labels: { absent: "!x" } } }, false],
  [{ resource: { labels: { kind: [] } } }, false],
  [{ resource: { labels: {} } }, true],
  [{ resource: { labels: { kind: "l[a]rge" } } }, false],
  [{ related: { id: ["acme.customer.1"] } }, true],
  [{ related: { id: ["acme.order.7"] } }, false],
  [{ related: { role: ["seller"] } }, true],
  [{ related: { id: ["acme.customer.1"], role: ["seller"] } }, false],
  [{ related: [{ id: ["acme.customer.1"] }, { role: ["seller"] }] }, true],
  [{ related: [{ id: ["acme.customer.1"] }, { role: ["owner"] }] }, false],
  [{ related: [] }, true],
  [{ related: {} }, true],
  [{ related: { resources_in_roles: [["acme.customer.1", "buyer"]] } }, true],
  [{ related: { resources_in_roles: [["acme.customer.1", "seller"]] } }, false],
  [{ related: { labels: { "prefect.resource.role": "seller", colour: "red" } } }, false],
  [{ related: { labels: { "prefect.resource.role": "seller", colour: "blue" } } }, true],
  [{ any_resource: { id: ["acme.order.7"] } }, true],
  [{ any_resource: { id: ["acme.shop.2"] } }, true],
  [{ any_resource: { id_prefix: ["acme.shop", "y"], labels: { colour: "red" } } }, false],
  [{ any_resource: [{ labels: { colour: "red" } }, { labels: { kind: "large" } }] }, true],
  [{ id: { id: [ID] } }, true],
  [{ id: { id: ["0195f000-0000-7000-8000-000000000002"] } }, false],
  [{ text: { query: "needle" } }, true],
  [{ text: { query: "nothing needle" } }, true],
  [{ text: { query: "-needle" } }, false],
  [{ text: { query: '"needle in" -absent' } }, true],
  [{ text: { query: "+needle +absent" } }, false],
  [{ text: { query: "  " } }, true],
] as const)("%j: %s", ([filter, expected]) => {
  expect(matchesEvent(EventFilter.parse(filter), event)).toBe(expected);
});

test.for([
  { colour: 1 },
  { order: "SIDEWAYS" },
  { text: { query: 3 } },
  { id: { id: ["a"] } },
  { occurred: { since: "x" } },
])("%j is not a valid filter", (filter) => {
  expect(EventFilter.safeParse(filter).success).toBe(false);
});

test("by default the window is the last 180 days until now", () => {
  const now = Date.UTC(2026, 6, 1, 12) * 1000;
  expect(windowOf(EventFilter.parse({}), now)).toEqual({ since: Date.UTC(2026, 0, 2) * 1000, until: now });
});

test.for([
  ["", [], [], []],
  ["a b", ["a", "b"], [], []],
  ["a -b !c +d", ["a"], ["b", "c"], ["d"]],
  ['"a b" -"c d"', ["a b"], ["c d"], []],
  ['"open phrase', ["open phrase"], [], []],
  [String.raw`"say \"x\" \\ \n"`, [String.raw`say "x" \ \n`], [], []],
  ["- a", ["a"], [], []],
  ['a"b"', ["a", "b"], [], []],
  ["a-b", ["a-b"], [], []],
  ['""', [], [], []],
  ["--a", [], ["-a"], []],
] as const)("the search %s", ([query, include, exclude, required]) => {
  expect(parseTextQuery(query)).toEqual({ include, exclude, required });
});
