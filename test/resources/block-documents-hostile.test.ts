/** Requests about blocks that would take minutes, or much memory, in a careless server. */
import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { MAX_NESTED } from "#db/block-trees";
import { hideSecrets, MASK, revealSecrets, secretFields } from "#resources/block-documents/secrets";
import { unmask } from "#resources/block-documents/unmask";
import { DocumentReader } from "#resources/block-documents/read-documents";
import { withTools } from "../support/tools";
import { api, unique, WORKSPACE } from "../support/world";
import { type Data, dataOf, pathsOf, refer, type Shown } from "./blocks-world";

const MANY = 30_000;

/** A type with these texts, a schema of it with more fields, and functions that create documents. */
async function world(texts: Data = {}, more: Data = {}) {
  const slug = unique("pump");
  const { body: type } = await api<{ id: string }>("POST", "/block_types/", { name: slug, slug, ...texts });
  const fields = { title: slug, type: "object", ...more };
  const { body: schema } = await api<{ id: string }>("POST", "/block_schemas/", { fields, block_type_id: type.id });
  const ids = { block_type_id: type.id, block_schema_id: schema.id };
  const attempt = (data: Data) =>
    api<Shown & { detail?: string }>("POST", "/block_documents/", { name: unique("doc"), data, ...ids });
  const make = async (data: Data): Promise<Shown> => (await attempt(data)).body;
  return { type: type.id, attempt, make };
}

describe("a block with tens of thousands of secret fields", () => {
  const names = Array.from({ length: MANY }, (_, index) => `field-${index}`);
  const fields = { secret_fields: names };
  const data = Object.fromEntries(names.map((name) => [name, 1]));

  test("is masked, revealed and changed in time that grows with its size", () => {
    const { shown, secrets } = hideSecrets(data, fields);
    expect(new Set(Object.values(shown))).toEqual(new Set([MASK]));
    expect(revealSecrets(shown, secrets)).toEqual(data);
    expect(unmask(shown, data, fields)).toEqual(data);
  });

  test("is refused before so many secrets are encrypted", async () => {
    const { attempt } = await world({}, { secret_fields: names });
    expect((await attempt(data)).status).toBe(413);
  });

  test("has the paths of its secrets, without those below others", () => {
    const nested = names.map((name) => `${name}.inner`);
    expect(pathsOf(secretFields({ secret_fields: [...nested, ...names] }))).toHaveLength(MANY);
  });
});

describe("a block document", () => {
  test("may have a thousand documents inside it", async () => {
    const { make, attempt } = await world();
    const inner = await make({});
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, refer(inner)]));
    const outer = await attempt(many(MAX_NESTED));
    expect(outer.status).toBe(201);
    expect(Object.keys((await api<Shown>("GET", `/block_documents/${outer.body.id}`)).body.data)).toHaveLength(
      MAX_NESTED,
    );
    expect((await attempt(many(MAX_NESTED + 1))).status).toBe(400);
    expect((await attempt(many(50_000))).status).toBe(400);
    expect((await attempt({ ["k".repeat(2_001)]: refer(inner) })).status).toBe(400);
  });

  test("is refused if it could not be shown: its answer repeats the texts of the types of all documents inside it", async () => {
    const text = "x".repeat(100_000);
    const { make, attempt } = await world({ description: text, code_example: text, logo_url: text });
    const inner = await make({});
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`k${at}`, refer(inner)]));
    const refused = await attempt(many);
    expect(refused.status).toBe(413);
    const filter = { block_documents: { id: { any_: [refused.body.detail?.split(" ")[3]] } } };
    expect((await api("POST", "/block_documents/count", filter)).body).toBe(0);
    const outer = await make({});
    expect((await api("PATCH", `/block_documents/${outer.id}`, { data: many })).status).toBe(413);
    expect((await api<Shown>("GET", `/block_documents/${outer.id}`)).body.data).toEqual({});
  });

  test("can still be changed and deleted when the documents inside it have grown beyond what can be shown", async () => {
    const { make } = await world();
    const inner = await make({});
    const tens = Object.fromEntries(Array.from({ length: 10 }, (_, at) => [`k${at}`, refer(inner)]));
    const outer = await make(tens);
    await api("PATCH", `/block_documents/${inner.id}`, { data: { text: "x".repeat(1_800_000) } });
    expect((await api("GET", `/block_documents/${outer.id}`)).status).toBe(413);
    expect((await api("PATCH", `/block_documents/${outer.id}`, { data: { a: 1 } })).status).toBe(204);
    expect(await dataOf(outer.id)).toEqual({ a: 1 });
    const again = await api("PATCH", `/block_documents/${outer.id}`, { data: tens });
    expect(again.status).toBe(413);
    expect((await api("DELETE", `/block_documents/${outer.id}`)).status).toBe(204);
  });

  test("with documents inside that have got many references is a 413 when it is read, and a list has it", async () => {
    const { make } = await world();
    const leaf = await make({});
    const middle = await Promise.all(Array.from({ length: 20 }, () => make({})));
    const root = await make(Object.fromEntries(middle.map((one, at) => [`m${at}`, refer(one)])));
    // As many changes would make them: 12,000 references.
    await env.DB.prepare(
      `insert into block_document_reference (workspace_id, parent_block_document_id, name, reference_block_document_id)
        select ?, parents.value, 'k' || names.value, ? from json_each(?) parents cross join json_each(?) names`,
    )
      .bind(
        WORKSPACE,
        leaf.id,
        JSON.stringify(middle.map(({ id }) => id)),
        JSON.stringify(Array.from({ length: 600 }, (_, at) => at)),
      )
      .run();
    expect((await api("GET", `/block_documents/${root.id}`)).status).toBe(413);
    const listed = await api<Shown[]>("POST", "/block_documents/filter", {
      block_documents: { id: { any_: [root.id, leaf.id] } },
    });
    expect(new Set(listed.body.map(({ id }) => id))).toEqual(new Set([root.id, leaf.id]));
  });
});

test("a page of documents is read in portions by all that an answer repeats: types and schemas", async () => {
  const text = "x".repeat(100_000);
  const { make, type } = await world({ description: text, code_example: text });
  for (let count = 0; count < 30; count += 1) await make({});
  const portions = await withTools((tools) => new DocumentReader(tools, { include_secrets: false }).ofType(type));
  expect(portions.length).toBeGreaterThan(2);
  const sizes = await Promise.all(portions.map(async (portion) => (await portion()).length));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(30);
});
