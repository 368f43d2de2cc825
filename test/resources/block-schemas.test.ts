import { describe, expect, test } from "vitest";
import { parseJson } from "#lib/json";
import { isObject } from "#lib/json-value";
import { checksumOf } from "#resources/block-schemas/checksum";
import { api, sendText, unique } from "../support/world";
import systemText from "./system-blocks.json?raw";
import recordedText from "./block-schemas.json?raw";
import { blockWorld, type Data } from "./blocks-world";

interface Recorded {
  name: string;
  slug: string;
  checksum: string;
  version: string;
  capabilities: string[];
  fields: Data;
}

interface Schema extends Recorded {
  id: string;
  created: string;
  block_type_id: string;
  block_type: Data;
}

const recorded = parseJson(recordedText) as Recorded[];
const systemBlocks = parseJson(systemText) as Omit<Recorded, "name" | "slug">[];
const titled = recorded.map((one) => [one.slug, one] as const);
const create = (body: Data) => api<Schema>("POST", "/block_schemas/", body);

async function typeId(slug: string, name = slug): Promise<string> {
  await api("POST", "/block_types/", { name, slug });
  return (await api<{ id: string }>("GET", `/block_types/slug/${slug}`)).body.id;
}

describe("the checksum of a schema", () => {
  test.for(titled)("%s is the client's", async ([, { fields, checksum }]) => {
    expect(await checksumOf(fields)).toBe(checksum);
  });

  test("does not depend on the order of keys, nor on the names of secret fields", async () => {
    const one = { title: "x", b: { "\u{1f6b0}": 1, "\uffff": 2 }, secret_fields: ["a"] };
    const other = { secret_fields: [], b: { "\uffff": 2, "\u{1f6b0}": 1 }, title: "x" };
    expect(await checksumOf(one)).toBe(await checksumOf(other));
    expect(await checksumOf({ ...one, title: "y" })).not.toBe(await checksumOf(one));
  });

  test("of definitions that refer to themselves and to one another ends", async () => {
    const definitions = {
      A: { properties: { b: { $ref: "#/definitions/B" } } },
      B: { properties: { a: { $ref: "#/definitions/A" }, b: { $ref: "#/definitions/B" } } },
    };
    const fields = { properties: { a: { $ref: "#/definitions/A" } }, definitions };
    expect(await checksumOf(fields)).toMatch(/^sha256:[0-9a-f]{64}$/);
  });
});

const one = (slug: string): Recorded => {
  const found = recorded.find((schema) => schema.slug === slug);
  if (!found) throw new Error(`${slug} was not recorded`);
  return found;
};

/** Sends a recorded schema as the client does, and gives the status and the schema of the answer. */
async function register({ slug, fields, capabilities, version }: Recorded): Promise<[number, Schema]> {
  const body = { fields, capabilities, version, block_type_id: await typeId(slug) };
  const { status, text } = await sendText("POST", "/block_schemas/", JSON.stringify(body));
  return [status, parseJson(text) as Schema];
}

async function byChecksum(checksum: string): Promise<Schema> {
  return parseJson((await sendText("GET", `/block_schemas/checksum/${checksum}`)).text) as Schema;
}

test("the schema of a block inside another block is created with the outer one", async () => {
  for (const { slug, name } of recorded) await typeId(slug, name);
  const [status, made] = await register(one("own-pump"));
  expect([status, made.checksum, made.fields]).toEqual([201, one("own-pump").checksum, one("own-pump").fields]);
  const inner = await byChecksum(one("own-pipe").checksum);
  expect([inner.fields, inner.version]).toEqual([one("own-pipe").fields, "non-versioned"]);
  expect((await byChecksum(made.checksum)).fields).toEqual(made.fields);
});

/** Prefect: the schemas of one field are in the order of their creation, not in the order of the class. */
function settled(fields: Data): Data {
  const references = Object.entries(fields["block_schema_references"] as Data).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.map((item) => JSON.stringify(item)).toSorted() : value,
  ]);
  return { ...fields, block_schema_references: Object.fromEntries(references) as unknown };
}

test("schemas that a client registers, the inner ones first, are read as they were sent", async () => {
  for (const schema of recorded.toReversed()) {
    await typeId(schema.slug, schema.name);
    const [, made] = await register(schema);
    expect([made.checksum, made.version]).toEqual([schema.checksum, schema.version]);
    expect((await register(schema))[0]).toBe(200);
    const read = await byChecksum(schema.checksum);
    expect([read.id, read.block_type["slug"]]).toEqual([made.id, schema.slug]);
    expect(settled(read.fields)).toEqual(settled(schema.fields));
  }
  const { body: capabilities } = await api<string[]>("GET", "/block_capabilities/");
  expect(capabilities).toEqual(expect.arrayContaining(["fill", "store", "write-path"]));
  expect(capabilities).toEqual([...capabilities].toSorted());
});

describe("a schema", () => {
  test("is created once by concurrent requests", async () => {
    const { type } = await blockWorld();
    const body = { fields: { title: unique("t") }, block_type_id: type };
    const answers = await Promise.all(Array.from({ length: 6 }, () => create(body)));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(answers.every(({ status }) => status === 200 || status === 201)).toBe(true);
  });

  test("has versions, of which the newest is read by the checksum alone", async () => {
    const { type } = await blockWorld();
    const fields = { title: unique("t") };
    const [one, two] = [
      await create({ fields, block_type_id: type, version: "1" }),
      await create({ fields, block_type_id: type, version: "2" }),
    ];
    const path = `/block_schemas/checksum/${one.body.checksum}`;
    expect((await api<Schema>("GET", path)).body.id).toBe(two.body.id);
    expect((await api<Schema>("GET", `${path}?version=1`)).body.id).toBe(one.body.id);
    expect((await api("GET", `${path}?version=3`)).status).toBe(404);
    const filter = { block_schemas: { block_type_id: { any_: [type] } }, limit: 2 };
    const { body } = await api<Schema[]>("POST", "/block_schemas/filter", filter);
    expect(body.map(({ id }) => id)).toEqual([two.body.id, one.body.id]);
  });

  test("is deleted with its documents", async () => {
    const { make, schema } = await blockWorld();
    const { id } = await make({});
    expect((await api("DELETE", `/block_schemas/${schema}`)).status).toBe(204);
    expect((await api("DELETE", `/block_schemas/${schema}`)).status).toBe(404);
    expect((await api("GET", `/block_documents/${id}`)).status).toBe(404);
  });

  const reference = { block_type_slug: "secret", block_schema_checksum: "sha256:none" };
  test.for<[string, Data, number, string]>([
    [
      "a reference to an unknown type",
      { block_schema_references: { x: { ...reference, block_type_slug: "none" } } },
      409,
      "Cannot create block schema because block type 'none' was not found.",
    ],
    [
      "a reference without a definition",
      { block_schema_references: { x: reference } },
      422,
      "The block schema of type",
    ],
    ["a reference without a type", { block_schema_references: { x: {} } }, 422, "The reference of the field 'x'"],
    [
      "too many references",
      { block_schema_references: Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [`x${n}`, reference])) },
      422,
      "A block schema may have 1000",
    ],
  ])("with %s is refused", async ([, fields, status, detail]) => {
    const { type } = await blockWorld();
    const answer = await create({ fields, block_type_id: type });
    expect([answer.status, String((answer.body as unknown as Data)["detail"]).slice(0, detail.length)]).toEqual([
      status,
      detail,
    ]);
  });

  test("that is a definition of itself can be created and read", async () => {
    const slug = unique("loop");
    const block_type_id = await typeId(slug);
    const self = {
      title: "Loop",
      block_type_slug: slug,
      properties: { x: { $ref: "#/definitions/Loop" } },
      block_schema_references: { x: { block_type_slug: slug, block_schema_checksum: "sha256:loop" } },
    };
    const made = await create({ fields: { ...self, definitions: { Loop: self } }, block_type_id });
    expect(made.status).toBe(201);
    const read = await api<Schema>("GET", `/block_schemas/${made.body.id}`);
    expect(read.body.fields["block_schema_references"]).toHaveProperty("x");
  });
});

function withoutWords(value: unknown): unknown {
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([key]) => key !== "description");
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutWords(inner)]));
}

describe("the types of the system", () => {
  const read = async (slug: string) => (await api<Data>("GET", `/block_types/slug/${slug}`)).body;
  const schemasOf = async (id: unknown) =>
    (await api<Schema[]>("POST", "/block_schemas/filter", { block_schemas: { block_type_id: { any_: [id] } } })).body;

  test.for(["secret", "webhook", "local-file-system"])(
    "have %s with a schema, and nobody deletes them",
    async (slug) => {
      const type = await read(slug);
      expect(type["is_protected"]).toBe(true);
      const schemas = await schemasOf(type["id"]);
      expect(schemas.length).toBeGreaterThan(0);
      expect((await api("DELETE", `/block_types/${String(type["id"])}`)).status).toBe(403);
      expect((await api("DELETE", `/block_schemas/${schemas[0]?.id}`)).status).toBe(403);
      const taken = await api("POST", "/block_types/", { name: "x", slug });
      expect([taken.status, taken.body]).toEqual([409, { detail: 'Block type with name "x" already exists' }]);
    },
  );

  test.for(systemBlocks)("have the schema of the client, with other words: $fields.title", async (client) => {
    const type = await read(String(client.fields["block_type_slug"]));
    const { fields, ...schema } = await byChecksum(client.checksum);
    const { checksum, version, capabilities, block_type_id } = schema;
    expect({ checksum, version, capabilities: capabilities.toSorted() }).toEqual({ ...client, fields: undefined });
    expect(block_type_id).toBe(type["id"]);
    // Prefect: empty definitions are left out when a schema is read.
    const { definitions: _empty, ...wanted } = client.fields;
    expect(withoutWords(fields)).toEqual(wanted);
  });

  test("have the texts of a client after a change, and their own after an installation", async () => {
    const before = await read("secret");
    expect((await api("PATCH", `/block_types/${String(before["id"])}`, { description: "mine" })).status).toBe(204);
    expect((await read("secret"))["description"]).toBe("mine");
    expect((await api("POST", "/block_types/install_system_block_types")).status).toBe(200);
    expect(await read("secret")).toMatchObject({ id: before["id"], description: before["description"] });
  });
});

describe("a type", () => {
  test("has escaped texts at its creation, and changes only for new texts", async () => {
    const slug = unique("t");
    const texts = { description: "a <b> & c", code_example: "x > 1", logo_url: null, documentation_url: null };
    const { body: type } = await api<Data>("POST", "/block_types/", { name: slug, slug, ...texts });
    expect(type).toMatchObject({ description: "a &lt;b&gt; &amp; c", code_example: "x &gt; 1" });
    const path = `/block_types/${String(type["id"])}`;
    await api("PATCH", path, texts);
    expect((await api<Data>("GET", path)).body).toEqual(type);
    await api("PATCH", path, { ...texts, description: "d <" });
    const changed = (await api<Data>("GET", path)).body;
    expect(changed).toMatchObject({ description: "d <", code_example: "x > 1" });
    expect(String(changed["updated"]) > String(type["updated"])).toBe(true);
  });

  test("emits events of its creation, change and deletion", async () => {
    const slug = unique("t");
    const { body } = await api<{ id: string }>("POST", "/block_types/", { name: slug, slug });
    await api("PATCH", `/block_types/${body.id}`, { description: "d" });
    await api("DELETE", `/block_types/${body.id}`);
    const told = async () => {
      const filter = { resource: { id: [`prefect.block-type.${body.id}`] }, order: "ASC" };
      return (await api<{ events: Data[] }>("POST", "/events/filter", { filter })).body.events;
    };
    const payload = { name: slug, slug, is_protected: false };
    await expect.poll(told).toMatchObject([
      { event: "prefect.block-type.created", payload: { ...payload, description: null } },
      { event: "prefect.block-type.updated", payload: { ...payload, description: "d" } },
      { event: "prefect.block-type.deleted", payload: { ...payload, description: "d" } },
    ]);
  });
});
