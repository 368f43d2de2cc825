/** The block types, schemas and documents that this scenario creates. */
import type { JsonObject } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const blocks: Scenario = { name: "blocks", play: playBlocks };

async function playBlocks(world: World): Promise<void> {
  const type = await types(world);
  const schema = await schemas(world, type);
  await world.send("capabilities", "GET /block_capabilities/", { view: (body) => Array.isArray(body) });
  await documents(world, type, schema);
  await world.send("delete the type", `DELETE /block_types/${type}`);
  await world.send("delete the type again", `DELETE /block_types/${type}`);
  await world.send("its schema is gone", `GET /block_schemas/${schema}`);
}

async function types(world: World): Promise<string> {
  const slug = world.name("own");
  const post = "POST /block_types/";
  const made = await world.send("create type", post, {
    body: { name: world.name("Own"), slug, description: "d", logo_url: "https://example.com/a.png" },
  });
  await world.send("create type again", post, { body: { name: world.name("Own"), slug } });
  await world.send("type with a bad slug", post, { body: { name: "x", slug: "Bad Slug" } });
  await world.send("type with a reserved name", post, {
    body: { name: "Prefect Thing", slug: world.name("reserved") },
    view: pick("name"),
  });
  await world.send("type without slug", post, { body: { name: "x" } });
  await world.send("read type", `GET /block_types/${made.id}`);
  await world.send("read type by slug", `GET /block_types/slug/${slug}`);
  await world.send("unknown slug", `GET /block_types/slug/${world.name("none")}`);
  await world.send("change type", `PATCH /block_types/${made.id}`, { body: { description: "e" } });
  await world.send("changed type", `GET /block_types/${made.id}`, { view: pick("description", "logo_url", "name") });
  await world.send("change unknown type", `PATCH /block_types/${world.id("unknown type")}`, {
    body: { description: "e" },
  });
  await world.send("filter types by slug", "POST /block_types/filter", {
    body: { block_types: { slug: { any_: [slug] } } },
    view: pick("slug"),
  });
  await world.send("filter types by name", "POST /block_types/filter", {
    body: { block_types: { name: { like_: world.suffix } } },
    view: pick("slug"),
  });
  await world.send("system type is protected", "GET /block_types/slug/secret", { view: pick("is_protected", "slug") });
  return made.id;
}

async function schemas(world: World, type: string): Promise<string> {
  const fields: JsonObject = {
    title: world.name("Own"),
    type: "object",
    properties: {
      user: { type: "string", title: "User" },
      password: { type: "string", format: "password", title: "Password" },
    },
    required: ["user"],
    block_type_slug: world.name("own"),
    secret_fields: ["password"],
    block_schema_references: {},
  };
  const post = "POST /block_schemas/";
  const made = await world.send("create schema", post, {
    body: { fields, block_type_id: type, capabilities: ["read", world.name("cap")], version: "1.0" },
  });
  await world.send("create schema again", post, {
    body: { fields, block_type_id: type, capabilities: [], version: "1.0" },
    view: pick("id", "version"),
  });
  await world.send("create schema of another version", post, {
    body: { fields, block_type_id: type, version: "2.0" },
    view: pick("version", "capabilities"),
  });
  await world.send("schema of unknown type", post, {
    body: { fields: { title: world.name("u") }, block_type_id: world.id("unknown type 2") },
  });
  await world.send("read schema", `GET /block_schemas/${made.id}`);
  await world.send("read schema by checksum", `GET /block_schemas/checksum/${made.text("checksum")}`, {
    view: pick("version"),
  });
  await world.send(
    "read schema by checksum and version",
    `GET /block_schemas/checksum/${made.text("checksum")}?version=1.0`,
    { view: pick("version") },
  );
  await world.send("unknown checksum", "GET /block_schemas/checksum/sha256:none");
  const filters: Record<string, JsonObject> = {
    "by type": { block_type_id: { any_: [type] } },
    "by version": { block_type_id: { any_: [type] }, version: { any_: ["2.0"] } },
    "by capability": { block_capabilities: { all_: [world.name("cap")] } },
    "by id": { id: { any_: [made.id] } },
  };
  for (const [name, block_schemas] of Object.entries(filters)) {
    await world.send(`filter schemas ${name}`, "POST /block_schemas/filter", {
      body: { block_schemas },
      view: pick("version"),
      unordered: true,
    });
  }
  return made.id;
}

async function documents(world: World, type: string, schema: string): Promise<void> {
  const post = "POST /block_documents/";
  const base = { block_type_id: type, block_schema_id: schema };
  const data = { user: "me", password: "hush" };
  const made = await world.send("create document", post, { body: { ...base, name: "mine", data } });
  await world.send("create document again", post, { body: { ...base, name: "mine", data } });
  const hidden = await world.send("create anonymous document", post, {
    body: { ...base, data, is_anonymous: true },
    view: pick("is_anonymous", "data"),
  });
  await world.send("document without name", post, { body: { ...base, data } });
  await world.send("document with a bad name", post, { body: { ...base, name: "My_Block", data } });
  await world.send("document of unknown schema", post, {
    body: { ...base, block_schema_id: world.id("unknown schema"), name: "x", data },
  });
  await world.send("read document", `GET /block_documents/${made.id}`);
  await world.send("read document with secrets", `GET /block_documents/${made.id}?include_secrets=true`, {
    view: pick("data"),
  });
  const slug = world.name("own");
  await world.send("documents of the type", `GET /block_types/slug/${slug}/block_documents`, {
    view: pick("name", "data"),
    unordered: true,
  });
  await world.send("document by name", `GET /block_types/slug/${slug}/block_documents/name/mine`, {
    view: pick("name", "data"),
  });
  await world.send("document by unknown name", `GET /block_types/slug/${slug}/block_documents/name/none`);
  await world.send("documents of an unknown type", `GET /block_types/slug/${world.name("none")}/block_documents`);
  const patch = `PATCH /block_documents/${made.id}`;
  await world.send("change document", patch, { body: { data: { user: "you" } } });
  await world.send("changed document", `GET /block_documents/${made.id}?include_secrets=true`, { view: pick("data") });
  await world.send("change document with its mask", patch, { body: { data: { password: "********" } } });
  await world.send("secret after the mask", `GET /block_documents/${made.id}?include_secrets=true`, {
    view: pick("data"),
  });
  await world.send("replace document", patch, { body: { data: { user: "we" }, merge_existing_data: false } });
  await world.send("replaced document", `GET /block_documents/${made.id}?include_secrets=true`, { view: pick("data") });
  await world.send("change unknown document", `PATCH /block_documents/${world.id("unknown doc")}`, {
    body: { data: {} },
  });
  const block_documents = { block_type_id: { any_: [type] } };
  const filters: Record<string, JsonObject> = {
    "by type": block_documents,
    "anonymous ones": { ...block_documents, is_anonymous: { eq_: true } },
    "by name": { ...block_documents, name: { any_: ["mine"] } },
    "by name like": { ...block_documents, name: { like_: "MIN" } },
    "by id": { id: { any_: [hidden.id, made.id] }, is_anonymous: null },
  };
  for (const [name, filter] of Object.entries(filters)) {
    await world.send(`filter documents ${name}`, "POST /block_documents/filter", {
      body: { block_documents: filter },
      view: pick("is_anonymous", "data"),
      unordered: true,
    });
    await world.send(`count documents ${name}`, "POST /block_documents/count", { body: { block_documents: filter } });
  }
  await world.send("filter documents with secrets", "POST /block_documents/filter", {
    body: { block_documents, include_secrets: true },
    view: pick("data"),
  });
  await world.send("delete document", `DELETE /block_documents/${made.id}`);
  await world.send("delete document again", `DELETE /block_documents/${made.id}`);
}
