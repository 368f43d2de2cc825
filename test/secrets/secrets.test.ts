/** Secrets of blocks are encrypted in the database, and nothing else has them. */
import { env } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import { parseSettings } from "#env";
import { keepDeadLetters } from "#events/consumer";
import { taskRunReports } from "../events/world";
import { askApp } from "../support/app";
import { tools } from "../support/tools";
import { api, unique, WORKSPACE } from "../support/world";
import { blockWorld, type Data, dataOf, refer } from "../resources/blocks-world";

const OLD = String(env.SLUICE_SECRETS_KEY);

/** All rows of all tables, as text. */
async function dump(): Promise<string> {
  const { results } = await env.DB.prepare(
    "select name from sqlite_master where type = 'table' and name not like '\\_cf%' escape '\\' and name not like 'sqlite%'",
  ).all<{ name: string }>();
  const tables = await Promise.all(results.map(({ name }) => env.DB.prepare(`select * from "${name}"`).all()));
  return JSON.stringify(tables.map((table) => table.results));
}

test("after a life with secrets, the database, the events and the answers without secrets have none of them", async () => {
  const secret = unique("sesame");
  const { make } = await blockWorld(["password", "headers.*"]);
  const inner = await make({ password: secret, headers: { a: secret }, user: "me" });
  const outer = await make({ password: `${secret}-2`, inner: refer(inner) });
  await api("PATCH", `/block_documents/${inner.id}`, { data: { headers: { a: "********", b: secret } } });
  await api("PATCH", `/block_documents/${outer.id}`, { data: { password: `${secret}-3`, inner: refer(inner) } });
  expect(await dataOf(outer.id)).toEqual({
    password: `${secret}-3`,
    inner: { password: secret, headers: { a: secret, b: secret }, user: "me" },
  });
  const filter = { resource: { id_prefix: ["prefect.block-document."] } } as Data;
  const events = async () => JSON.stringify((await api("POST", "/events/filter", { filter })).body);
  await expect.poll(events).toContain("prefect.block-document.updated");
  await api("DELETE", `/block_documents/${outer.id}`);
  expect(await events()).not.toContain(secret);
  expect(JSON.stringify((await api("POST", "/block_documents/filter", {})).body)).not.toContain(secret);
  const rows = await dump();
  expect(rows).toContain(inner.id);
  expect(rows).not.toContain(secret);
  expect(rows).not.toContain(btoa(secret));
});

test("the messages of the queues, and the dead letters of these messages, have no secret", async () => {
  const secret = unique("sesame");
  const queue = vi.spyOn(Object.getPrototypeOf(env.EVENTS) as Queue, "sendBatch");
  const sent = () => queue.mock.calls.flatMap(([messages]) => [...messages].map(({ body }) => body));
  const { make } = await blockWorld(["password"]);
  const reports = taskRunReports([{ type: "RUNNING", at: Date.now() * 1000 }]);
  await Promise.all([make({ password: secret }), api("POST", "/events", reports)]);
  await expect.poll(() => sent().length).toBeGreaterThan(0);
  const messages = sent().map((body, index) => ({ id: `${index}`, body, ack() {}, retry() {} }));
  const batch = { queue: "sluice-events-dead", messages } as unknown as MessageBatch;
  await keepDeadLetters(batch, tools, WORKSPACE);
  queue.mockRestore();
  expect(JSON.stringify(messages)).not.toContain(secret);
  const rows = await dump();
  expect(rows).toContain("the queue gave it up");
  expect(rows).not.toContain(secret);
});

test("two secrets with the same value look different", async () => {
  const { make } = await blockWorld(["a", "b"]);
  const { id } = await make({ a: "same", b: "same" });
  const text = await env.DB.prepare("select secrets from block_document where id = ?")
    .bind(id)
    .first<string>("secrets");
  const [a, b] = JSON.parse(String(text)) as { value: string }[];
  expect(a?.value.length).toBe(b?.value.length);
  expect(a?.value).not.toBe(b?.value);
});

test("a secret that is copied to another document cannot be read there", async () => {
  const { make } = await blockWorld(["s"]);
  const [one, two] = [await make({ s: "x" }), await make({ s: "y" })];
  await env.DB.prepare(
    "update block_document set secrets = (select secrets from block_document where id = ?1) where id = ?2",
  )
    .bind(one.id, two.id)
    .run();
  expect((await api("GET", `/block_documents/${two.id}`)).status).toBe(200);
  expect((await api("GET", `/block_documents/${two.id}?include_secrets=true`)).status).toBe(500);
});

describe("the key of the deployment", () => {
  test("is needed to write a secret, and for nothing else", async () => {
    const { schema, type } = await blockWorld(["s"]);
    const create = (data: Data) =>
      askApp(
        new Request("http://sluice/api/block_documents/", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ name: unique("doc"), data, block_type_id: type, block_schema_id: schema }),
        }),
        { SLUICE_SECRETS_KEY: undefined },
      );
    expect((await create({ t: 1 })).status).toBe(201);
    const refused = await create({ s: "x" });
    expect(refused.status).toBe(503);
    expect(await refused.text()).toContain("SLUICE_SECRETS_KEY");
  });

  test.for(["x", btoa("short"), `${OLD},x`])("%j is refused", (key) => {
    expect(() => parseSettings({ ...env, SLUICE_SECRETS_KEY: key })).toThrow(/SLUICE_SECRETS_KEY/);
    expect(() => parseSettings({ ...env, SLUICE_SECRETS_KEY_2: key })).toThrow(/SLUICE_SECRETS_KEY_2/);
  });
});

test("workspaces have keys of their own", async () => {
  const { make } = await blockWorld(["s"]);
  await make({ s: "x" });
  const { results } = await env.DB.prepare("select workspace_id from data_key").all<{ workspace_id: string }>();
  expect(results.map(({ workspace_id }) => workspace_id)).toContain(WORKSPACE);
});
