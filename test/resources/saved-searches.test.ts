import { expect, test } from "vitest";
import { api, sendText, unique } from "../support/world";

interface SavedSearch {
  id: string;
  created: string;
  updated: string;
  name: string;
  filters: unknown[];
}

const FILTER = { object: "flow_run", property: "name", type: "string", operation: "equals", value: "x" };

test("a search is saved under its name, and a second one replaces its filters", async () => {
  const name = unique("search");
  const made = await api<SavedSearch>("PUT", "/saved_searches/", { name, filters: [FILTER] });
  expect([made.status, made.body]).toMatchObject([201, { name, filters: [FILTER] }]);
  const again = await api<SavedSearch>("PUT", "/saved_searches/", { name });
  expect([again.status, again.body]).toEqual([200, { ...made.body, filters: [] }]);
  expect((await api("GET", `/saved_searches/${made.body.id}`)).body).toEqual(again.body);
});

test("searches are listed by name, in pages", async () => {
  const prefix = unique("listed");
  for (const name of ["b", "c", "a"]) await api("PUT", "/saved_searches/", { name: `${prefix}-${name}` });
  const { body: all } = await api<SavedSearch[]>("POST", "/saved_searches/filter", {});
  const names = all.map(({ name }) => name);
  expect(names).toEqual(names.toSorted());
  expect(names.filter((name) => name.startsWith(prefix))).toEqual(["a", "b", "c"].map((name) => `${prefix}-${name}`));
  const { body: page } = await api<SavedSearch[]>("POST", "/saved_searches/filter", { limit: 2, offset: 1 });
  expect(page).toEqual(all.slice(1, 3));
});

test("a deleted search is gone", async () => {
  const { body } = await api<SavedSearch>("PUT", "/saved_searches/", { name: unique("search") });
  expect((await api("DELETE", `/saved_searches/${body.id}`)).status).toBe(204);
  for (const method of ["GET", "DELETE"]) {
    const answer = await api(method, `/saved_searches/${body.id}`);
    expect([answer.status, answer.body]).toEqual([404, { detail: "Saved search not found" }]);
  }
});

test("a filter has any JSON as its value, and all its fields", async () => {
  const text = JSON.stringify({ name: unique("search"), filters: [FILTER] }).replace(
    '"x"',
    "[1.0,1152921504606846977]",
  );
  expect((await sendText("PUT", "/saved_searches/", text)).text).toContain('"value":[1.0,1152921504606846977]');
  for (const field of Object.keys(FILTER)) {
    const { [field as "object"]: _, ...rest } = FILTER;
    const { status, body } = await api<{ exception_detail: { loc: unknown[]; type: string }[] }>(
      "PUT",
      "/saved_searches/",
      { name: "n", filters: [rest] },
    );
    expect([status, body.exception_detail]).toMatchObject([
      422,
      [{ loc: ["body", "filters", 0, field], type: "missing" }],
    ]);
  }
});

test("an unknown field of a filter is left out, one of the search is refused", async () => {
  const fields = { name: unique("search"), filters: [{ ...FILTER, color: "red" }] };
  const made = await api<SavedSearch>("PUT", "/saved_searches/", fields);
  expect([made.status, made.body.filters]).toEqual([201, [FILTER]]);
  expect((await api("PUT", "/saved_searches/", { ...fields, color: "red" })).status).toBe(422);
});
