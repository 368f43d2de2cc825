/** After a new key of the deployment, all secrets are encrypted with new keys of the workspaces, and the old ones go. */
import { env } from "cloudflare:test";
import { SQL } from "drizzle-orm";
import { beforeEach, expect, test, vi } from "vitest";
import { print } from "#db/print";
import { rotateDataKeys } from "#secrets/rotate-data-keys";
import { removeUnusedKeys, renewSecrets, selectNext } from "#services/renew-secrets";
import { CRONS, runCron } from "#services/crons";
import { blockWorld, type Data, type Shown } from "../resources/blocks-world";
import { askApp } from "../support/app";
import { aroundCalls } from "../support/around-calls";
import { planOf } from "../support/plans";
import { unique, WORKSPACE } from "../support/world";
import { DAY, empty, HOUR, NOW, toolsAt, untilDone } from "./retention-world";

const OLD = String(env.SLUICE_SECRETS_KEY);
const NEW = btoa("n".repeat(32));
const BOTH = { SLUICE_SECRETS_KEY_2: NEW };
const NEW_ONLY = { SLUICE_SECRETS_KEY: NEW };
/** The old key is the one that encrypts again. */
const BACK = { SLUICE_SECRETS_KEY: NEW, SLUICE_SECRETS_KEY_2: OLD };

type Keys = Record<string, string>;

const errors = vi.spyOn(console, "error");
beforeEach(async () => {
  errors.mockReset();
  await empty("block_document", "data_key");
});

async function ask<T = Shown>(keys: Keys, method: string, path: string, body?: unknown) {
  const request = new Request(`http://sluice/api${path}`, {
    method,
    headers: { "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const response = await askApp(request, keys);
  const text = await response.text();
  return { status: response.status, text, body: (text === "" ? null : JSON.parse(text)) as T };
}

const read = (keys: Keys, id: string) => ask(keys, "GET", `/block_documents/${id}?include_secrets=true`);
const secretsOf = async (keys: Keys, id: string) => (await read(keys, id)).body.data;

/** The rows of documents, with the keys that their secrets name. */
async function documents() {
  const { results } = await env.DB.prepare("select id, secrets, updated from block_document order by id").all<{
    id: string;
    secrets: string;
    updated: number;
  }>();
  return results.map((row) => ({ ...row, keys: (JSON.parse(row.secrets) as { key: string }[]).map(({ key }) => key) }));
}

async function dataKeys() {
  const { results } = await env.DB.prepare("select id, wrapped_by from data_key order by created desc").all<{
    id: string;
    wrapped_by: string;
  }>();
  return results;
}

/** Turns until the work is done. The clock moves, so that each round begins anew. */
let days = 0;
const rotate = (keys: Keys = BOTH) => {
  days += 2;
  return untilDone(() => renewSecrets(toolsAt(NOW + days * DAY, keys)));
};

test("all secrets get a new key, and then the old keys are not needed", async () => {
  const { make } = await blockWorld(["s", "headers.*"]);
  const data = { s: ["x"], headers: { a: "b" }, t: 1 };
  const { id } = await make(data);
  const plain = await make({ t: 1 });
  const [before, [oldKey]] = [await documents(), await dataKeys()];
  const refused = await read(NEW_ONLY, id);
  expect(refused.status).toBe(503);
  expect(refused.text).toContain("SLUICE_SECRETS_KEY");
  expect(await secretsOf(BOTH, id)).toEqual(data);
  await rotate();
  const [after, keys] = [await documents(), await dataKeys()];
  expect(keys).toHaveLength(1);
  expect(keys[0]?.id).not.toBe(oldKey?.id);
  expect(keys[0]?.wrapped_by).not.toBe(oldKey?.wrapped_by);
  for (const row of after) expect(new Set(row.keys).difference(new Set([keys[0]?.id]))).toEqual(new Set());
  expect(after.find((row) => row.id === plain.id)?.secrets).toBe("[]");
  // It is no change of the document.
  expect(after.map(({ updated }) => updated)).toEqual(before.map(({ updated }) => updated));
  for (const settings of [BOTH, NEW_ONLY]) expect(await secretsOf(settings, id)).toEqual(data);
  // A server that has only the old key does not know the new one.
  expect((await read({}, id)).status).toBe(503);
  await rotate(BACK);
  expect(await secretsOf({}, id)).toEqual(data);
  expect(errors.mock.calls.filter(([line]) => String(line).includes("damaged"))).toEqual([]);
});

test("nothing is rotated as long as the keys of the deployment are the same", async () => {
  const { make } = await blockWorld(["s"]);
  await make({ s: "x" });
  const before = [await documents(), await dataKeys()];
  await rotate({});
  expect([await documents(), await dataKeys()]).toEqual(before);
});

test("a turn without work reads one row", async () => {
  const { make } = await blockWorld(["s"]);
  await make({ s: "x" });
  for (const keys of [{}, BOTH]) {
    await rotate(keys);
    const tools = toolsAt(NOW + days * DAY, keys);
    await renewSecrets(tools);
    expect(tools.db.cost.d1_rows_read).toBeLessThanOrEqual(keys === BOTH ? 3 : 1);
    expect(tools.db.cost.d1_rows_written).toBe(0);
  }
});

test("two turns at once give a workspace one new key", async () => {
  const { make } = await blockWorld(["s"]);
  const { id } = await make({ s: "x" });
  const [tools, other] = [toolsAt(NOW, BOTH), toolsAt(NOW, BOTH)];
  await Promise.all([rotateDataKeys(tools), rotateDataKeys(other)]);
  expect(await dataKeys()).toHaveLength(2);
  expect(await rotateDataKeys(tools)).toBe(0);
  await Promise.all([renewSecrets(tools), renewSecrets(other)]);
  await rotate();
  expect(await dataKeys()).toHaveLength(1);
  expect(await secretsOf(NEW_ONLY, id)).toEqual({ s: "x" });
});

test.for<[string, (id: string) => Promise<unknown>, Data | undefined]>([
  ["change", (id) => ask(BOTH, "PATCH", `/block_documents/${id}`, { data: { s: "user" } }), { s: "user" }],
  ["deletion", (id) => ask(BOTH, "DELETE", `/block_documents/${id}`), undefined],
])("a %s while a value is encrypted anew wins", async ([, change, wanted]) => {
  const { make } = await blockWorld(["s"]);
  const [{ id }, other] = [await make({ s: "x" }), await make({ s: "y" })];
  const tools = toolsAt(NOW, BOTH);
  let isChanged = false;
  const db = aroundCalls(tools.db, async (_, call, [statement]) => {
    // The sweep has read the values, and now writes them.
    if (statement instanceof SQL && print(statement).sql.includes("set secrets =") && !isChanged) {
      isChanged = true;
      await change(id);
      await change(other.id);
    }
    return call();
  });
  await renewSecrets({ ...tools, db });
  expect(isChanged).toBe(true);
  await rotate();
  expect((await read(NEW_ONLY, id)).body.data).toEqual(wanted);
  expect(await dataKeys()).toHaveLength(1);
});

test("a process that still uses the old key writes no value that would be lost", async () => {
  const { make, type, schema } = await blockWorld(["s"]);
  const ids = { block_type_id: type, block_schema_id: schema };
  const create = (keys: Keys, s: string) =>
    ask(keys, "POST", "/block_documents/", { name: unique("doc"), data: { s }, ...ids });
  const { id } = await make({ s: "x" });
  // This process remembers the old key.
  expect(await secretsOf(BOTH, id)).toEqual({ s: "x" });
  await rotateDataKeys(toolsAt(NOW, BOTH));
  const created = await create(BOTH, "z");
  expect(created.status).toBe(201);
  const [newest] = await dataKeys();
  expect((await documents()).find((row) => row.id === created.body.id)?.keys).toEqual([newest?.id]);
  expect((await ask(BOTH, "PATCH", `/block_documents/${id}`, { data: { s: "y" } })).status).toBe(204);
  expect((await documents()).find((row) => row.id === id)?.keys).toEqual([newest?.id]);
  // A process that does not know the new key of the deployment refuses.
  expect((await create({}, "z")).status).toBe(503);
  expect((await ask({}, "PATCH", `/block_documents/${id}`, { data: { s: "y" } })).status).toBe(503);
  await rotate();
  expect(await secretsOf(NEW_ONLY, created.body.id)).toEqual({ s: "z" });
  expect(await secretsOf(NEW_ONLY, id)).toEqual({ s: "y" });
});

test("the values get the new key although the old key of the deployment is deleted early", async () => {
  const { make } = await blockWorld(["s"]);
  const { id } = await make({ s: "x" });
  await rotateDataKeys(toolsAt(NOW, BOTH));
  days += 2;
  await renewSecrets(toolsAt(NOW + days * DAY, NEW_ONLY));
  expect(await dataKeys()).toHaveLength(2);
  await untilDone(() => renewSecrets(toolsAt(NOW + days * DAY + HOUR / 2, NEW_ONLY)));
  expect(await dataKeys()).toHaveLength(1);
  expect(await secretsOf(NEW_ONLY, id)).toEqual({ s: "x" });
});

test("many and large values take several pages", async () => {
  const { make } = await blockWorld(["s"]);
  const large = await Promise.all(["a", "b", "c"].map((letter) => make({ s: letter.repeat(600_000) })));
  const small = await make({ s: "small" });
  // Documents without secrets, between the others.
  await env.DB.prepare(
    `insert into block_document select workspace_id, lower(hex(randomblob(16))), created, updated, n.value, 0, block_type_id,
      block_type_name, block_schema_id, '{}', '[]' from block_document d, json_each(?) n where d.id = ?`,
  )
    .bind(JSON.stringify(Array.from({ length: 450 }, (_, index) => `n${index}`)), small.id)
    .run();
  await rotate();
  const [newest, ...others] = await dataKeys();
  expect(others).toEqual([]);
  expect([...new Set((await documents()).flatMap(({ keys }) => keys))]).toEqual([newest?.id]);
  expect(await secretsOf(NEW_ONLY, large[1]?.id ?? "")).toEqual({ s: "b".repeat(600_000) });
  expect(await secretsOf(NEW_ONLY, small.id)).toEqual({ s: "small" });
});

test("a value that cannot be decrypted stays with its key, and delays no other value", async () => {
  const { make } = await blockWorld(["s"]);
  const [bad, good] = [await make({ s: "x" }), await make({ s: "y" })];
  const damage = "update block_document set secrets = (select secrets from block_document where id = ?1) where id = ?2";
  await env.DB.prepare(damage).bind(good.id, bad.id).run();
  const [old] = await dataKeys();
  const before = (await documents()).find(({ id }) => id === bad.id);
  await rotate();
  expect((await documents()).find(({ id }) => id === bad.id)).toEqual(before);
  expect((await dataKeys()).map(({ id }) => id)).toContain(old?.id);
  expect(await dataKeys()).toHaveLength(2);
  expect(await secretsOf(NEW_ONLY, good.id)).toEqual({ s: "y" });
  expect(errors.mock.calls.join()).toContain(bad.id);
  await env.DB.prepare("delete from block_document where id = ?").bind(bad.id).run();
  await rotate();
  expect(await dataKeys()).toHaveLength(1);
});

test("a turn that dies before any call of the database is continued", async () => {
  const { make } = await blockWorld(["s"]);
  const { id } = await make({ s: "x" });
  const saved = ["block_document", "data_key"];
  await env.DB.batch(saved.map((table) => env.DB.prepare(`create table saved_${table} as select * from ${table}`)));
  /** Takes a turn that dies before a call. Gives how many calls it has begun. */
  const dying = async (before: number) => {
    await empty(...saved);
    await env.DB.batch(saved.map((table) => env.DB.prepare(`insert into ${table} select * from saved_${table}`)));
    const tools = toolsAt(NOW, BOTH);
    let calls = 0;
    const db = aroundCalls(tools.db, async (_, call) => {
      if (calls++ >= before) throw new Error("the process has ended");
      return call();
    });
    await renewSecrets({ ...tools, db }).catch(() => {});
    return calls;
  };
  const all = await dying(Infinity);
  expect(all).toBeGreaterThan(10);
  for (let before = 0; before < all; before++) {
    await dying(before);
    expect(await secretsOf(BOTH, id)).toEqual({ s: "x" });
    await rotate();
    expect(await dataKeys()).toHaveLength(1);
    expect(await secretsOf(NEW_ONLY, id)).toEqual({ s: "x" });
  }
  await env.DB.batch(saved.map((table) => env.DB.prepare(`drop table saved_${table}`)));
});

test("documents and keys are found by their workspace", async () => {
  const plans = [selectNext(WORKSPACE, "", 10), removeUnusedKeys(WORKSPACE)];
  for (const plan of plans) expect(await planOf(plan)).not.toMatch(/SCAN (?!s VIRTUAL|json_each)/);
});

test("the cron does it", async () => {
  const { make } = await blockWorld(["s"]);
  const { id } = await make({ s: "x" });
  const jobs = Object.values(CRONS).flat();
  for (let turn = 0; turn < 3; turn++) await runCron(jobs, toolsAt(NOW + (days + 2) * DAY, BOTH));
  expect(await secretsOf(NEW_ONLY, id)).toEqual({ s: "x" });
  expect(await dataKeys()).toHaveLength(1);
});
