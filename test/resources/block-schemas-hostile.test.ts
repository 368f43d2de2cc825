/** Block schemas that would take minutes, or much memory, in a careless server. */
import { describe, expect, test } from "vitest";
import { api, unique } from "../support/world";

type Fields = Record<string, unknown>;

interface Shown {
  id: string;
  checksum: string;
  fields: Fields;
  detail?: string;
}

/** A new type, and a function that creates schemas of it. */
async function world() {
  const slug = unique("pump");
  const { body: type } = await api<{ id: string }>("POST", "/block_types/", { name: slug, slug });
  const create = (fields: Fields, more: Fields = {}) =>
    api<Shown>("POST", "/block_schemas/", {
      block_type_id: type.id,
      fields: { title: unique("t"), type: "object", ...fields },
      ...more,
    });
  const refer = (checksum: string) => ({ block_type_slug: slug, block_schema_checksum: checksum });
  return { slug, type: type.id, create, refer };
}

/** The definitions of `count` blocks, all of which refer to `x`. */
const blocks = (count: number, slug: string) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, at) => [
      `B${at}`,
      { title: `B${at}`, block_type_slug: slug, p: { $ref: "#/definitions/x" } },
    ]),
  );

describe("a block schema", () => {
  test("with a hundred definitions of blocks prints what they have in common once", async () => {
    const { slug, create } = await world();
    const common = Object.fromEntries(Array.from({ length: 25_000 }, (_, at) => [`${"k".repeat(9)}${at}`, 1]));
    const { status } = await create({ definitions: { ...blocks(100, slug), x: common } });
    expect(status).toBe(201);
  });

  test("with a thousand references from one field reads the field once", async () => {
    const { slug, create, refer } = await world();
    const a = [{ $ref: "#/definitions/B" }, ...Array.from({ length: 130_000 }, () => [])];
    const { status } = await create({
      properties: { a },
      block_schema_references: { a: Array.from({ length: 1_000 }, (_, at) => refer(`unknown-${at}`)) },
      definitions: { B: { title: "B", block_type_slug: slug } },
    });
    expect(status).toBe(201);
  });

  test("that is too large with the schemas it refers to is refused, and nothing is written", async () => {
    const { type, create, refer } = await world();
    const large = await Promise.all(Array.from({ length: 9 }, () => create({ pad: "x".repeat(500_000) })));
    const references = Object.fromEntries(large.map(({ body }, at) => [`a${at}`, refer(body.checksum)]));
    const refused = await create({ block_schema_references: references });
    expect([refused.status, refused.body.detail]).toEqual([
      422,
      "A block schema may have 4000000 bytes together with all schemas that it refers to.",
    ]);
    const filter = { block_schemas: { block_type_id: { any_: [type] } } };
    const listed = await api<Shown[]>("POST", "/block_schemas/filter", filter);
    expect(listed.body).toHaveLength(large.length);
  });

  test("that is too large with the definitions of new blocks in it is refused", async () => {
    const { slug, create, refer } = await world();
    const definitions = { ...blocks(20, slug), x: { pad: "x".repeat(400_000) } };
    const names = Array.from({ length: 20 }, (_, at) => `B${at}`);
    const refused = await create({
      properties: Object.fromEntries(names.map((name) => [name, { $ref: `#/definitions/${name}` }])),
      block_schema_references: Object.fromEntries(names.map((name) => [name, refer(name)])),
      definitions,
    });
    expect(refused.status).toBe(422);
  });

  test("has capabilities of at most 200 characters", async () => {
    const { create } = await world();
    expect((await create({}, { capabilities: ["x".repeat(201)] })).status).toBe(422);
    const capability = unique("can").padEnd(200, "x");
    expect((await create({}, { capabilities: [capability] })).status).toBe(201);
    expect((await api<string[]>("GET", "/block_capabilities/")).body).toContain(capability);
  });
});
