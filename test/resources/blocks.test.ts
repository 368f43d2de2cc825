import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { MAX_NESTED } from "#db/block-trees";
import { MASK } from "#resources/block-documents/secrets";
import { aDeployment, aFlow, aFlowRun, api, sendText, unique } from "../support/world";
import { blockWorld, type Data, dataOf, refer, type Shown } from "./blocks-world";

const CONFLICT = {
  detail:
    "Data integrity conflict. This usually means a unique or foreign key constraint was violated. See server logs for details.",
};
const patch = (id: string, body: Data) => api<{ detail: string }>("PATCH", `/block_documents/${id}`, body);

describe("the data of a document", () => {
  test("have masks in place of secrets, unless a request asks for them", async () => {
    const { make, slug } = await blockWorld(["password", "headers.*", "login.pin", "list"]);
    const data = {
      password: "hush",
      headers: { a: 1, b: { c: null } },
      login: { pin: 7, user: "me" },
      list: ["x"],
      size: 1,
      none: {},
    };
    const made = await make(data);
    const masked = {
      ...data,
      password: MASK,
      headers: { a: MASK, b: { c: MASK } },
      login: { pin: MASK, user: "me" },
      list: MASK,
    };
    expect(made.data).toEqual(masked);
    expect(await dataOf(made.id, false)).toEqual(masked);
    expect(await dataOf(made.id)).toEqual(data);
    const byName = `/block_types/slug/${slug}/block_documents/name/${made.name}`;
    expect((await api<Shown>("GET", byName)).body.data).toEqual(masked);
    expect((await api<Shown>("GET", `${byName}?include_secrets=true`)).body.data).toEqual(data);
    const filter = { block_documents: { id: { any_: [made.id] } } };
    const listed = await api<Shown[]>("POST", "/block_documents/filter", { ...filter, include_secrets: true });
    expect(listed.body[0]?.data).toEqual(data);
  });

  test("of a secret structure are masked too", async () => {
    const { make } = await blockWorld(["value"]);
    const { id, data } = await make({ value: { user: "ada", pin: [1] } });
    expect(data).toEqual({ value: { user: MASK, pin: MASK } });
    await patch(id, { data });
    expect(await dataOf(id)).toEqual({ value: { user: "ada", pin: [1] } });
  });

  test("keep numbers as Python sent them", async () => {
    const { make } = await blockWorld(["b"]);
    const { id } = await make({ a: 1, b: 1 });
    const response = await sendText(
      "PATCH",
      `/block_documents/${id}`,
      '{"data": {"a": 1.0, "b": 123456789012345678901}}',
    );
    expect(response.status).toBe(204);
    const { text } = await sendText("GET", `/block_documents/${id}?include_secrets=true`);
    expect(text).toContain('"a":1.0,"b":123456789012345678901');
  });

  test.for<[string, Data, Data]>([
    ["a new field", { data: { b: 2 } }, { a: 1, s: "x", n: { k: 1 }, b: 2 }],
    ["nothing without data", {}, { a: 1, s: "x", n: { k: 1 } }],
    ["a whole object, not its keys", { data: { n: { l: 2 } } }, { a: 1, s: "x", n: { l: 2 } }],
    ["a secret", { data: { s: "y" } }, { a: 1, s: "y", n: { k: 1 } }],
    ["no secret for its mask", { data: { s: MASK, a: 2 } }, { a: 2, s: "x", n: { k: 1 } }],
    ["all data", { data: { a: 2 }, merge_existing_data: false }, { a: 2 }],
    ["all data to none", { merge_existing_data: false }, {}],
    ["all data, masks kept", { data: { s: MASK }, merge_existing_data: false }, { s: "x" }],
  ])("change: %s", async ([, change, expected]) => {
    const { make } = await blockWorld(["s"]);
    const made = await make({ a: 1, s: "x", n: { k: 1 } });
    expect((await patch(made.id, change)).status).toBe(204);
    expect(await dataOf(made.id)).toEqual(expected);
  });

  test("of two changes at the same time are both kept", async () => {
    const { make } = await blockWorld();
    const { id } = await make({});
    const answers = await Promise.all([1, 2, 3].map((n) => patch(id, { data: { [`k${n}`]: n } })));
    expect(answers.map(({ status }) => status)).toEqual([204, 204, 204]);
    expect(await dataOf(id)).toEqual({ k1: 1, k2: 2, k3: 3 });
  });

  test("that a row cannot have are a 413, and change nothing", async () => {
    const { make } = await blockWorld();
    const { id } = await make({ a: "x".repeat(1_800_000) });
    const answer = await patch(id, { data: { b: "x".repeat(200_000) } });
    expect(answer.status).toBe(413);
    expect(answer.body.detail).toContain("1900000");
    expect(Object.keys(await dataOf(id))).toEqual(["a"]);
  });

  test("move to another schema of the type with its secrets, not to one of another type", async () => {
    const [{ make, type }, other] = [await blockWorld(["s"]), await blockWorld()];
    const made = await make({ s: "x", t: "y" });
    const body = { fields: { title: "n", secret_fields: ["t"] }, block_type_id: type };
    const { body: next } = await api<{ id: string }>("POST", "/block_schemas/", body);
    expect((await patch(made.id, { data: {}, block_schema_id: next.id })).status).toBe(204);
    expect(await dataOf(made.id, false)).toEqual({ s: "x", t: MASK });
    const refused = await patch(made.id, { data: {}, block_schema_id: other.schema });
    expect([refused.status, refused.body.detail]).toEqual([
      400,
      "Must migrate block document to a block schema of the same block type.",
    ]);
    expect((await patch(made.id, { data: {}, block_schema_id: crypto.randomUUID() })).body).toEqual(CONFLICT);
  });
});

describe("documents inside documents", () => {
  test("are shown with their own data at any depth, and with their secrets masked", async () => {
    const { make } = await blockWorld(["s"]);
    const inner = await make({ s: "x", n: 1 });
    const middle = await make({ inner: refer(inner) });
    const outer = await make({ left: refer(middle), right: refer(inner), own: true });
    expect(outer.data).toEqual({
      own: true,
      left: { inner: { s: MASK, n: 1 } },
      right: { s: MASK, n: 1 },
    });
    expect(await dataOf(outer.id)).toEqual({ own: true, left: { inner: { s: "x", n: 1 } }, right: { s: "x", n: 1 } });
    const left = outer.block_document_references["left"] as { block_document: Data };
    expect(left.block_document).toMatchObject({ id: middle.id, name: middle.name, is_anonymous: false });
    expect(left.block_document["block_document_references"]).toMatchObject({
      inner: { block_document: { id: inner.id } },
    });
    await patch(inner.id, { data: { n: 2 } });
    expect(await dataOf(outer.id)).toMatchObject({ right: { n: 2 } });
  });

  test("are replaced and left out by a change", async () => {
    const { make } = await blockWorld();
    const [one, two] = [await make({ n: 1 }), await make({ n: 2 })];
    const { id } = await make({ a: refer(one), b: refer(one), c: 1 });
    await patch(id, { data: { a: refer(two), b: refer(one) } });
    expect(await dataOf(id)).toEqual({ a: { n: 2 }, b: { n: 1 }, c: 1 });
    // Prefect: a change of other fields loses the references.
    await patch(id, { data: { c: 2 } });
    expect(await dataOf(id)).toEqual({ c: 2 });
    await patch(id, { data: { c: refer(two) } });
    expect(await dataOf(id)).toEqual({ c: { n: 2 } });
  });

  test("lose the reference when they are deleted", async () => {
    const { make } = await blockWorld();
    const inner = await make({});
    const { id } = await make({ inner: refer(inner), n: 1 });
    expect((await api("DELETE", `/block_documents/${inner.id}`)).status).toBe(204);
    expect(await dataOf(id)).toEqual({ n: 1 });
  });

  test("do not have themselves inside, directly or through others", async () => {
    const { make } = await blockWorld();
    const inner = await make({});
    const outer = await make({ inner: refer(inner) });
    for (const one of [inner, outer]) {
      const answer = await patch(inner.id, { data: { loop: refer(one) } });
      expect(answer.status).toBe(400);
      expect(answer.body.detail).toContain(`would introduce a cycle`);
    }
    expect(await dataOf(outer.id)).toEqual({ inner: {} });
  });

  test("that refer to each other at the same time do not both succeed", async () => {
    const { make } = await blockWorld();
    const [one, two] = [await make({}), await make({})];
    const answers = await Promise.all([
      patch(one.id, { data: { other: refer(two) } }),
      patch(two.id, { data: { other: refer(one) } }),
    ]);
    expect(answers.map(({ status }) => status)).toSatisfy((all: number[]) => all.includes(204) && all.includes(400));
  });

  test.for<[unknown, number, string]>([
    [{ $ref: {} }, 400, "Received block reference without a block_document_id in key x"],
    [{ $ref: "x" }, 400, "Received block reference without a block_document_id in key x"],
    [{ $ref: { block_document_id: "zz" } }, 400, "The block_document_id in key x"],
    [{ $ref: { block_document_id: "00000000-0000-4000-8000-00000000dead" } }, 409, CONFLICT.detail],
  ])("%j is refused", async ([x, status, detail]) => {
    const { make, schema, type } = await blockWorld();
    const body = { name: unique("doc"), data: { x }, block_schema_id: schema, block_type_id: type };
    const created = await api<{ detail: string }>("POST", "/block_documents/", body);
    expect([created.status, created.body.detail.slice(0, detail.length)]).toEqual([status, detail]);
    const { id } = await make({ a: 1 });
    const changed = await patch(id, { data: { x } });
    if (status === 400) expect([changed.status, changed.body.detail.slice(0, detail.length)]).toEqual([status, detail]);
    else expect(changed.status).toBe(409);
    expect(await dataOf(id)).toEqual({ a: 1 });
  });

  test("are at most 50 deep", async () => {
    const { make, schema, type } = await blockWorld();
    let last = await make({});
    for (let depth = 0; depth < 50; depth++) last = await make({ x: refer(last) });
    const body = { name: unique("doc"), data: { x: refer(last) }, block_schema_id: schema, block_type_id: type };
    const answer = await api<{ detail: string }>("POST", "/block_documents/", body);
    expect(answer.status).toBe(400);
    expect(answer.body.detail).toContain("50 deep");
    expect((await api("GET", `/block_documents/${last.id}`)).status).toBe(200);
  });

  test("that are too many to be shown are a 413, and stay references in lists", async () => {
    const { make } = await blockWorld();
    // Each document has the next one twice.
    const chain = [await make({})];
    for (let level = 0; 2 ** level < MAX_NESTED / 4; level++) {
      const last = chain.at(-1) ?? { id: "" };
      chain.push(await make({ x: refer(last), y: refer(last) }));
    }
    const [bottom, top] = [chain[0], chain.at(-1)];
    if (!bottom || !top) throw new Error("no chain");
    expect((await api("GET", `/block_documents/${top.id}`)).status).toBe(200);
    const wide = await make({});
    const leaves = await Promise.all(Array.from({ length: 6 }, () => make({})));
    await patch(wide.id, { data: Object.fromEntries(leaves.map((leaf, index) => [`k${index}`, refer(leaf)])) });
    await patch(bottom.id, { data: { wide: refer(wide) } });
    expect((await api("GET", `/block_documents/${top.id}`)).status).toBe(413);
    const filter = { block_documents: { id: { any_: [top.id] } } };
    const { status, body } = await api<Shown[]>("POST", "/block_documents/filter", filter);
    expect([status, Object.keys(body[0]?.data ?? {})]).toEqual([200, ["x", "y"]]);
    expect(body[0]?.data["x"]).toHaveProperty("$ref");
  });
});

describe("a document that others name", () => {
  test("must exist, and is no longer named after its deletion", async () => {
    const { make } = await blockWorld();
    const [infra, storage] = [await make({}), await make({})];
    const fields = { infrastructure_document_id: infra.id, storage_document_id: storage.id };
    const deployment = await aDeployment(fields);
    const run = await aFlowRun({ infrastructure_document_id: infra.id });
    await api("DELETE", `/block_documents/${infra.id}`);
    const read = (await api("GET", `/deployments/${deployment.id}`)).body;
    expect(read).toMatchObject({ infrastructure_document_id: null, storage_document_id: storage.id });
    expect((await api("GET", `/flow_runs/${run.id}`)).body).toMatchObject({ infrastructure_document_id: null });
    await api("DELETE", `/block_types/${storage.block_type_id}`);
    expect((await api("GET", `/deployments/${deployment.id}`)).body).toMatchObject({ storage_document_id: null });
  });

  test("is looked for at each creation", async () => {
    const none = crypto.randomUUID();
    const flow_id = await aFlow();
    const make = (fields: Data) => api<Data>("POST", "/deployments/", { name: unique("d"), flow_id, ...fields });
    const refused = await make({ infrastructure_document_id: none });
    expect([refused.status, String(refused.body["detail"]).slice(0, 70)]).toEqual([
      409,
      "Error creating deployment. Could not find infrastructure block with id",
    ]);
    expect((await make({ storage_document_id: none })).status).toBe(409);
    const { body: deployment } = await make({});
    const path = `/deployments/${String(deployment["id"])}`;
    const asked = { infrastructure_document_id: none };
    expect((await api("PATCH", path, asked)).body).toEqual(CONFLICT);
    expect((await api("POST", `${path}/create_flow_run`, asked)).body).toEqual(CONFLICT);
    expect((await api("POST", "/flow_runs/", { flow_id, ...asked })).body).toEqual(CONFLICT);
  });

  test("may be the default of where results are stored", async () => {
    const { make, type } = await blockWorld();
    const fields = { title: "w" };
    const body = { fields, block_type_id: type, capabilities: ["write-path"], version: unique("v") };
    const { body: schema } = await api<{ id: string }>("POST", "/block_schemas/", body);
    const [cannot, can] = [await make({}), await make({}, { block_schema_id: schema.id })];
    const set = (id: string) => api("PUT", "/admin/storage", { default_result_storage_block_id: id });
    expect((await set(cannot.id)).status).toBe(422);
    expect((await set(can.id)).body).toEqual({ default_result_storage_block_id: can.id });
    expect((await api("GET", "/admin/storage")).body).toEqual({ default_result_storage_block_id: can.id });
    await api("DELETE", `/block_documents/${can.id}`);
    expect((await api("GET", "/admin/storage")).body).toEqual({ default_result_storage_block_id: null });
  });
});

describe("a name of documents", () => {
  test("belongs to one document of a type, whoever comes first", async () => {
    const { schema, type } = await blockWorld();
    const body = { name: "same", data: {}, block_schema_id: schema, block_type_id: type };
    const answers = await Promise.all(Array.from({ length: 8 }, () => api("POST", "/block_documents/", body)));
    const count = (status: number) => answers.filter((answer) => answer.status === status).length;
    expect([count(201), count(409)]).toEqual([1, 7]);
    expect((await api("POST", "/block_documents/", body)).body).toEqual({ detail: "Block already exists" });
  });

  test("is made up for anonymous documents, which lists leave out", async () => {
    const { make, slug } = await blockWorld();
    const made = await make({}, { name: null, is_anonymous: true });
    expect(made.name).toMatch(/^anonymous-/);
    const named = await make({});
    const { body } = await api<Shown[]>("GET", `/block_types/slug/${slug}/block_documents`);
    expect(body.map(({ id }) => id)).toEqual([named.id]);
    expect((await api<Shown>("GET", `/block_documents/${made.id}`)).body.name).toBe(made.name);
  });
});

test("the creation, changes and deletion of a document emit events without its secrets", async () => {
  const { make, type, schema } = await blockWorld(["s", "h.*"]);
  const made = await make({ s: "hush", h: { k: "hush" }, a: "shown", n: 1 });
  await patch(made.id, { data: { s: "hush!" } });
  await api("DELETE", `/block_documents/${made.id}`);
  const told = async () => {
    const filter = { resource: { id: [`prefect.block-document.${made.id}`] }, order: "ASC" };
    const { body } = await api<{ events: Data[] }>("POST", "/events/filter", { filter });
    expect(JSON.stringify(body)).not.toContain("hush");
    return body.events;
  };
  const payload = { name: made.name, data: { a: "shown" }, block_schema: { block_type: { id: type } } };
  await expect
    .poll(told)
    .toMatchObject(
      ["created", "updated", "deleted"].map((action) => ({ event: `prefect.block-document.${action}`, payload })),
    );
  const [event] = await told();
  expect(event?.["related"]).toMatchObject([
    { "prefect.resource.id": `prefect.block-type.${type}`, "prefect.resource.role": "block-type" },
    { "prefect.resource.id": `prefect.block-schema.${schema}`, "prefect.resource.role": "block-schema" },
  ]);
});

test("a type is deleted with its schemas and documents, and leaves no row behind", async () => {
  const { make, type, schema } = await blockWorld();
  const inner = await make({});
  await make({ inner: refer(inner) });
  expect((await api("DELETE", `/block_types/${type}`)).status).toBe(204);
  expect((await api("GET", `/block_schemas/${schema}`)).status).toBe(404);
  expect((await api("GET", `/block_documents/${inner.id}`)).status).toBe(404);
  const left = await env.DB.prepare(
    "select count(*) as n from block_document_reference where reference_block_document_id = ?",
  )
    .bind(inner.id)
    .first("n");
  expect(left).toBe(0);
});
