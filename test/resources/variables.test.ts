import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { api, unique } from "../support/world";

interface Variable {
  id: string;
  created: string;
  updated: string;
  name: string;
  value: unknown;
  tags: string[];
}

async function aVariable(fields: Partial<Variable> = {}): Promise<Variable> {
  const { status, body } = await api<Variable>("POST", "/variables/", { name: unique("v"), value: 1, ...fields });
  expect(status).toBe(201);
  return body;
}

const MISSING = { detail: "Variable not found." };

describe("a variable", () => {
  test.for([
    ["text"],
    [12.5],
    [-3],
    [true],
    [false],
    [null],
    [[1, "a", null]],
    [{ a: { b: [] } }],
    ["ü".repeat(2499)],
    [""],
  ])("can have the value %j, and is read by id and by name", async ([value]) => {
    const made = await aVariable({ value, tags: ["b", "a"] });
    expect(made).toMatchObject({ value, tags: ["b", "a"] });
    expect((await api("GET", `/variables/${made.id}`)).body).toEqual(made);
    expect((await api("GET", `/variables/name/${made.name}`)).body).toEqual(made);
  });

  test("has a name that no other variable has", async () => {
    const { name } = await aVariable();
    const again = await api("POST", "/variables/", { name, value: 2 });
    expect([again.status, again.body]).toEqual([409, { detail: `A variable with the name '${name}' already exists.` }]);
    expect((await api("GET", `/variables/name/${name}`)).body["value"]).toBe(1);
  });

  test("is created by one of many concurrent requests", async () => {
    const name = unique("race");
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, value) => api("POST", "/variables/", { name, value })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(15);
  });

  test.for<[string, Record<string, unknown>, string, string]>([
    ["no name", { value: 1 }, "name", "missing"],
    ["no value", { name: "x" }, "value", "missing"],
    ["a name in capital letters", { name: "Up", value: 1 }, "name", "value_error"],
    ["a name with a space", { name: "a b", value: 1 }, "name", "value_error"],
    ["a name of 256 characters", { name: "a".repeat(256), value: 1 }, "name", "too_long"],
    ["a number for a name", { name: 5, value: 1 }, "name", "string_type"],
    ["a value over 5000 bytes", { name: "x", value: "ü".repeat(2500) }, "value", "value_error"],
    ["tags that are no list", { name: "x", value: 1, tags: "a" }, "tags", "list_type"],
    ["tags that are no texts", { name: "x", value: 1, tags: [1] }, "tags", "string_type"],
    ["an unknown field", { name: "x", value: 1, colour: 1 }, "colour", "extra_forbidden"],
  ])("with %s is refused and not stored", async ([, body, field, type]) => {
    const before = await env.DB.prepare("select count(*) as n from variable").first("n");
    const answer = await api<{ exception_detail: { loc: string[]; type: string }[] }>("POST", "/variables/", body);
    expect(answer.status).toBe(422);
    expect(answer.body.exception_detail).toHaveLength(1);
    expect(answer.body.exception_detail[0]).toMatchObject({ type });
    expect(answer.body.exception_detail[0]?.loc.slice(0, 2)).toEqual(["body", field]);
    expect(await env.DB.prepare("select count(*) as n from variable").first("n")).toBe(before);
  });
});

describe.for(["id", "name"] as const)("by its %s, a variable", (key) => {
  const pathOf = (variable: Variable) =>
    key === "id" ? `/variables/${variable.id}` : `/variables/name/${variable.name}`;

  test.for<[string, Record<string, unknown>, Partial<Variable>]>([
    ["its value", { value: [2] }, { value: [2], tags: ["t"] }],
    ["its value to null", { value: null }, { value: null }],
    ["its tags to none", { tags: [] }, { tags: [], value: 1 }],
    ["nothing for null", { tags: null, name: null }, { tags: ["t"], value: 1 }],
    ["nothing at all", {}, { tags: ["t"], value: 1 }],
  ])("changes %s", async ([, change, expected]) => {
    const made = await aVariable({ tags: ["t"] });
    const { status } = await api("PATCH", pathOf(made), change);
    expect(status).toBe(204);
    const { body } = await api<Variable>("GET", `/variables/${made.id}`);
    expect(body).toMatchObject({ id: made.id, name: made.name, created: made.created, ...expected });
    expect(body.updated > made.updated).toBe(true);
  });

  test("can be renamed, but not to a used name", async () => {
    const [made, other] = [await aVariable(), await aVariable()];
    expect((await api("PATCH", pathOf(made), { name: other.name })).status).toBe(409);
    const name = unique("new");
    expect((await api("PATCH", pathOf(made), { name })).status).toBe(204);
    expect((await api("GET", `/variables/name/${name}`)).body["id"]).toBe(made.id);
    expect((await api("GET", `/variables/name/${made.name}`)).status).toBe(404);
  });

  test("is deleted once", async () => {
    const made = await aVariable();
    expect((await api("DELETE", pathOf(made))).status).toBe(204);
    for (const [method, body] of [["GET"], ["DELETE"], ["PATCH", { value: 1 }]] as const) {
      const answer = await api(method, pathOf(made), body);
      expect([answer.status, answer.body]).toEqual([404, MISSING]);
    }
  });
});

test("the creation, changes and deletion of a variable emit events, each with the variable at that time", async () => {
  const { id, name } = await aVariable({ tags: ["a"] });
  await api("PATCH", `/variables/${id}`, { value: 2 });
  await api("PATCH", `/variables/${id}`, { value: 3 });
  expect((await api("DELETE", `/variables/${id}`)).status).toBe(204);
  expect((await api("DELETE", `/variables/${id}`)).status).toBe(404);
  const told = async () => {
    const filter = { resource: { id: [`prefect.variable.${id}`] }, order: "ASC" };
    const { body } = await api<{ events: Record<string, unknown>[] }>("POST", "/events/filter", { filter });
    return body.events;
  };
  await expect.poll(told).toMatchObject([
    { event: "prefect.variable.created", payload: { name, tags: ["a"], value: 1 }, related: [] },
    { event: "prefect.variable.updated", payload: { name, tags: ["a"], value: 2 } },
    { event: "prefect.variable.updated", payload: { name, tags: ["a"], value: 3 } },
    { event: "prefect.variable.deleted", payload: { name, tags: ["a"], value: 3 } },
  ]);
});

describe("variables", () => {
  const world = (async () => {
    const suffix = crypto.randomUUID().slice(0, 8);
    const names = [`a-${suffix}`, `b_${suffix}`, `c-${suffix}`];
    const [a, b, c] = names;
    await aVariable({ name: b, tags: ["x", "y"] });
    await aVariable({ name: c });
    await aVariable({ name: a, tags: ["x"] });
    await api("PATCH", `/variables/name/${b}`, { value: 2 });
    return { suffix, names };
  })();

  const find = async (filter: Record<string, unknown>, rest: Record<string, unknown> = {}) => {
    const { suffix } = await world;
    const variables = {
      ...filter,
      name: { like_: suffix, ...(filter["name"] as Record<string, unknown> | undefined) },
    };
    const { body } = await api<Variable[]>("POST", "/variables/filter", { variables, ...rest });
    const { body: count } = await api<number>("POST", "/variables/count", { variables });
    return { letters: body.map(({ name }) => name[0]).join(""), count };
  };

  test.for<[string, Record<string, unknown>, string]>([
    ["all of them", {}, "abc"],
    ["with a tag", { tags: { all_: ["x"] } }, "ab"],
    ["with two tags", { tags: { all_: ["x", "y"] } }, "b"],
    ["without tags", { tags: { is_null_: true } }, "c"],
    ["of no id", { id: { any_: [] } }, ""],
  ])("are found and counted: %s", async ([, filter, letters]) => {
    expect(await find(filter)).toEqual({ letters, count: letters.length });
  });

  test.for([
    ["NAME_ASC", "abc"],
    ["NAME_DESC", "cba"],
    ["CREATED_DESC", "acb"],
    ["UPDATED_DESC", "bac"],
  ] as const)("are sorted by %s", async ([sort, letters]) => {
    expect((await find({}, { sort })).letters).toBe(letters);
  });

  test("are listed in pages", async () => {
    expect((await find({}, { limit: 2 })).letters).toBe("ab");
    expect((await find({}, { limit: 2, offset: 2 })).letters).toBe("c");
    expect((await find({}, { limit: 0 })).letters).toBe("");
  });

  test("are listed and counted also without a body", async () => {
    await world;
    const { body } = await api<Variable[]>("POST", "/variables/filter");
    const count = await api<number>("POST", "/variables/count");
    expect(body.length).toBe(Math.min(200, count.body));
    expect(count.body).toBeGreaterThanOrEqual(3);
  });
});
