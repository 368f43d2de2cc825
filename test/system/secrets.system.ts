/** Secrets at rest: nothing that a server writes has them, and a copy of its data needs the key of its time. */
import assert from "node:assert/strict";
import { cpSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { z } from "zod";
import { Api } from "./support/api.ts";
import { Program } from "./support/program.ts";
import { tracesOf } from "./support/traces.ts";
import { eventually, World } from "./support/world.ts";

const Row = z.looseObject({ id: z.string() });
const Document = z.looseObject({ id: z.string(), data: z.record(z.string(), z.unknown()) });
type Data = Record<string, unknown>;

/** A client that writes blocks. It keeps the secrets that it has sent. */
class Author {
  readonly secrets: string[] = [];
  readonly api: Api;
  private readonly ids = { block_type_id: "", block_schema_id: "" };

  constructor(api: Api) {
    this.api = api;
  }

  /** Creates a type and a schema with these secret fields. */
  async begin(slug: string, secret_fields: readonly string[]): Promise<this> {
    this.ids.block_type_id = Row.parse(await this.api.ask("/block_types/", { name: slug, slug })).id;
    const fields = { title: slug, type: "object", secret_fields };
    const body = { fields, block_type_id: this.ids.block_type_id, capabilities: ["write-path"] };
    this.ids.block_schema_id = Row.parse(await this.api.ask("/block_schemas/", body)).id;
    return this;
  }

  /** A new secret. */
  secret(): string {
    const text = `hush "${crypto.randomUUID()}" ü`;
    this.secrets.push(text);
    return text;
  }

  body(name: unknown, data: unknown): Data {
    return { name, data, ...this.ids };
  }

  async create(name: string, data: Data): Promise<string> {
    return Row.parse(await this.api.ask("/block_documents/", this.body(name, data))).id;
  }

  /** Sends a request. Its answer must have this status. */
  async send(method: string, path: string, body: unknown, status: number): Promise<void> {
    const response = await fetch(`${this.api.url}${path}`, {
      method,
      headers: { "content-type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    assert.equal(response.status, status, `${method} ${path}: ${await response.text()}`);
  }
}

const runJob = (world: World, name: string, ahead = 0) =>
  new Api(`http://127.0.0.1:${world.port}`).ask(`/local/jobs/${encodeURIComponent(name)}?ahead=${ahead}`, {});

async function stop(server: Program): Promise<void> {
  server.signalHead("SIGTERM");
  assert.deepEqual(await server.end(30), { code: 0, signal: null });
}

const readSecrets = async (api: Api, id: string) =>
  Document.parse(await api.ask(`/block_documents/${id}?include_secrets=true`)).data;

test("after a life with secrets, a server has written none of them", { timeout: 300_000 }, async (t) => {
  const world = await World.of(t);
  const server = await world.startSluice({}, "node");
  const api = new Api(world.apiUrl);
  const author = await new Author(api).begin("pump", ["password", "headers.*", "tokens", "inner.key", "servers.key"]);
  const secret = () => author.secret();
  const visible = `visible-${crypto.randomUUID()}`;
  const whole = () => ({
    user: visible,
    password: secret(),
    headers: { a: secret(), b: { c: [secret()] } },
    tokens: [secret(), { t: secret() }],
    inner: { key: secret(), user: "me" },
    servers: [{ key: secret(), user: "me" }, [{ key: secret() }]],
  });
  const data = whole();
  const inner = await author.create("inner", data);
  const refer = { $ref: { block_document_id: inner } };
  const outer = await author.create("outer", { password: secret(), pump: refer, servers: { one: { key: secret() } } });
  assert.deepEqual(await readSecrets(api, inner), data);
  assert.deepEqual((await readSecrets(api, outer))["pump"], data);
  const list = { include_secrets: true, limit: 10 };
  assert.ok(JSON.stringify(await api.ask("/block_documents/filter", list)).includes(JSON.stringify(data.password)));
  await api.ask("/block_types/slug/pump/block_documents?include_secrets=true");

  // Changes, and refusals that repeat what was sent.
  await author.send("PATCH", `/block_documents/${inner}`, { data: { headers: { a: "********", d: secret() } } }, 204);
  await author.send("PATCH", `/block_documents/${inner}`, { data: whole(), merge_existing_data: false }, 204);
  await author.send("PATCH", `/block_documents/${inner}`, { data: secret() }, 422);
  await author.send("PATCH", `/block_documents/${inner}`, { data: { self: refer, password: secret() } }, 400);
  await author.send("POST", "/block_documents/", author.body("wrong", [secret()]), 422);
  await author.send("POST", "/block_documents/", author.body({ name: secret() }, {}), 422);
  await author.send("POST", "/block_documents/", `{"data": {"password": ${JSON.stringify(secret())}, }`, 422);
  await author.send("POST", "/block_documents/", author.body("inner", { password: secret() }), 409);
  await author.send("POST", "/block_documents/", author.body("large", { password: secret().repeat(50_000) }), 413);
  const variables = { type: "object", properties: { config: { type: "integer", default: refer } } };
  const base_job_template = { job_configuration: { config: "{{ config }}" }, variables };
  await author.send("POST", "/work_pools/", { name: "pool", type: "process", base_job_template }, 422);
  const schema = { type: "object", properties: { password: { type: "integer" } } };
  await author.send("POST", "/ui/schemas/validate", { json_schema: schema, values: { password: secret() } }, 422);
  const anonymous = { ...author.body(null, { password: secret() }), is_anonymous: true };
  await author.send("POST", "/block_documents/", anonymous, 201);
  await author.send("DELETE", `/block_documents/${outer}`, undefined, 204);

  // The events of the documents are in the database, and then in the archive.
  const events = { resource: { id_prefix: ["prefect.block-document."] } };
  await eventually(20, async () =>
    assert.ok((await api.events(events)).some(({ event }) => event.endsWith(".deleted"))),
  );
  for (const job of ["sweep the outbox", "archive events"]) await runJob(world, job, 2 * 86_400);
  await stop(server);

  assert.deepEqual(tracesOf(author.secrets, world.data, server.output), []);
  const shown = tracesOf([visible], world.data, server.output);
  for (const place of [/block_document\.data/, /^r2.*blobs/])
    assert.ok(
      shown.some((one) => place.test(one)),
      shown.join("\n"),
    );
});

const keyFile = (world: World) => join(world.data, "secrets.key");
const keysOf = (world: World) => readFileSync(keyFile(world), "utf8").trim().split(",");
const setKeys = (world: World, keys: readonly string[]) => writeFileSync(keyFile(world), `${keys.join()}\n`);

function rotate(world: World, t: { after: (end: () => Promise<void>) => void }): Program {
  const program = new Program("npm", ["run", "rotate-key", "--", "--data", world.data]);
  t.after(() => program.kill());
  return program;
}

/** Runs a server while `use` runs. Gives its output. */
async function during(world: World, use: (api: Api) => Promise<void>): Promise<string> {
  const server = await world.startSluice({}, "node");
  await use(new Api(world.apiUrl));
  await stop(server);
  return server.output;
}

test("after a rotation the new key is enough, and an older copy needs its own key", { timeout: 600_000 }, async (t) => {
  const world = await World.of(t);
  const copy = join(world.folder, "yesterday");
  const ids: Record<string, string> = {};
  const author = (api: Api) => new Author(api).begin(`pump-${crypto.randomUUID()}`, ["password"]);
  const check = async (api: Api, names: readonly string[]) => {
    for (const name of names) assert.deepEqual(await readSecrets(api, ids[name] ?? ""), { password: name });
  };
  await during(world, async (api) => {
    ids["before"] = await (await author(api)).create("before", { password: "before" });
    // A running server would not see the new key.
    const early = rotate(world, t);
    assert.equal((await early.end(60)).code, 1);
    assert.match(early.output, /is the data of another server/);
  });
  cpSync(world.data, copy, { recursive: true });
  const [oldKey = ""] = keysOf(world);

  const rotation = rotate(world, t);
  assert.deepEqual(await rotation.end(60), { code: 0, signal: null });
  const [newKey = "", second, ...others] = keysOf(world);
  assert.deepEqual([second, others], [oldKey, []]);
  assert.notEqual(newKey, oldKey);
  assert.equal(statSync(keyFile(world)).mode & 0o777, 0o600);
  assert.ok(!rotation.output.includes(newKey));
  await during(world, async (api) => {
    await check(api, ["before"]);
    await runJob(world, "encrypt secrets anew");
    ids["after"] = await (await author(api)).create("after", { password: "after" });
  });
  setKeys(world, [newKey]);
  await during(world, (api) => check(api, ["before", "after"]));

  // Yesterday's copy in place of the data.
  rmSync(world.data, { recursive: true });
  cpSync(copy, world.data, { recursive: true });
  setKeys(world, [newKey]);
  const output = await during(world, async (api) => {
    const path = `/block_documents/${ids["before"]}`;
    const refused = await api.send(`${path}?include_secrets=true`);
    assert.equal(refused.status, 503);
    assert.match(await refused.text(), /cannot decrypt the secrets .* SLUICE_SECRETS_KEY with the id [0-9a-f]{16}/);
    assert.deepEqual(Document.parse(await api.ask(path)).data, { password: "********" });
    const writer = await author(api);
    await writer.send("POST", "/block_documents/", writer.body("new", { password: "x" }), 503);
    await writer.send("PATCH", path, { data: { password: "x" } }, 503);
    await writer.send("POST", "/block_documents/", writer.body("new", { user: "x" }), 201);
  });
  assert.match(output, /a key of the workspace needs another SLUICE_SECRETS_KEY/);
  setKeys(world, [newKey, oldKey]);
  await during(world, async (api) => {
    await check(api, ["before"]);
    await runJob(world, "encrypt secrets anew");
    await check(api, ["before"]);
  });
});

/** Records its arguments, and what it reads. It has one secret. */
const WRANGLER = `#!/bin/sh
echo "$@" >> "$RECORDS/arguments"
case "$1 $2" in
  "secret list") echo '[{"name": "SLUICE_SECRETS_KEY", "type": "secret_text"}]' ;;
  "secret put") cat > "$RECORDS/$3" ;;
esac
`;

test("the new key of a deployed Worker is only in what wrangler reads", { timeout: 120_000 }, async (t) => {
  const world = await World.of(t);
  writeFileSync(join(world.folder, "wrangler"), WRANGLER, { mode: 0o755 });
  const settings = { RECORDS: world.folder, PATH: `${world.folder}${delimiter}${process.env["PATH"]}` };
  const rotation = new Program(process.execPath, ["scripts/rotate-key.ts"], settings);
  t.after(() => rotation.kill());
  assert.deepEqual(await rotation.end(60), { code: 0, signal: null }, rotation.output);
  const key = readFileSync(join(world.folder, "SLUICE_SECRETS_KEY_2"), "utf8").trim();
  assert.match(key, /^[A-Za-z0-9+/]{43}=$/);
  const called = readFileSync(join(world.folder, "arguments"), "utf8");
  assert.equal(called, "secret list --name sluice --format json\nsecret put SLUICE_SECRETS_KEY_2 --name sluice\n");
  assert.match(rotation.output, /wrangler secret delete SLUICE_SECRETS_KEY --name sluice/);
  assert.ok(!rotation.output.includes(key));
});
