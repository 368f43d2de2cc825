/** Lists of block types, schemas and documents: criteria of each other, sort orders, pages and secrets. */
import type { JsonObject } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const blockFilters: Scenario = { name: "block-filters", play: playBlockFilters };

interface Made {
  type: string;
  schema: string;
}

async function playBlockFilters(world: World): Promise<void> {
  const [first, second] = [await aKind(world, "alpha", ["read"]), await aKind(world, "beta", ["read", "write"])];
  const documents: Record<string, Made> = { zebra: first, ant: first, mule: second };
  for (const [name, { type, schema }] of Object.entries(documents)) {
    await world.send(`world: document ${name}`, "POST /block_documents/", {
      body: { name, data: { user: name, password: "hush" }, block_type_id: type, block_schema_id: schema },
      quiet: true,
    });
  }
  await lists(world, first, second);
  await bySlug(world);
  await changes(world, first, second);
}

async function aKind(world: World, name: string, capabilities: string[]): Promise<Made> {
  const slug = world.name(name);
  const type = await world.send(`world: type ${name}`, "POST /block_types/", {
    body: {
      name: slug,
      slug,
      logo_url: "https://example.com/logo.png",
      documentation_url: "https://example.com/docs",
      description: "About blocks.",
      code_example: "x = 1",
    },
  });
  const fields = {
    title: slug,
    type: "object",
    properties: { user: { type: "string" }, password: { type: "string", format: "password" } },
    block_type_slug: slug,
    secret_fields: ["password"],
  };
  const schema = await world.send(`world: schema ${name}`, "POST /block_schemas/", {
    body: { fields, block_type_id: type.id, capabilities: capabilities.map((one) => world.name(one)), version: "1.5" },
  });
  return { type: type.id, schema: schema.id };
}

async function lists(world: World, first: Made, second: Made): Promise<void> {
  const mine = { block_types: { slug: { any_: [world.name("alpha"), world.name("beta")] } } };
  const criteria: Record<string, JsonObject> = {
    "by types": mine,
    "by the name of types": { block_types: { name: { like_: `ALPHA-${world.suffix}` } } },
    "by schemas": { block_schemas: { id: { any_: [second.schema] } } },
    "by the type of schemas": { block_schemas: { block_type_id: { any_: [first.type] } } },
    "by capabilities": { block_schemas: { block_capabilities: { all_: [world.name("read"), world.name("write")] } } },
    "by version": { ...mine, block_schemas: { version: { any_: ["1.5"] } } },
    "by another version": { ...mine, block_schemas: { version: { any_: ["2"] } } },
    "by one or the other": {
      block_schemas: { operator: "or_", id: { any_: [first.schema] }, block_type_id: { any_: [second.type] } },
    },
    "by name or id": {
      ...mine,
      block_documents: { operator: "or_", name: { any_: ["ant"] }, id: { any_: [] }, is_anonymous: { eq_: false } },
    },
    "by no capability": { ...mine, block_schemas: { block_capabilities: { all_: [] } } },
  };
  for (const [name, body] of Object.entries(criteria)) {
    const options = { body, unordered: true };
    await world.send(`documents ${name}`, "POST /block_documents/filter", { ...options, view: pick("name", "data") });
    await world.send(`number of documents ${name}`, "POST /block_documents/count", { body });
    const { block_documents: _, ...others } = body;
    await world.send(`types ${name}`, "POST /block_types/filter", {
      body: others,
      unordered: true,
      view: pick("slug"),
    });
  }
  for (const sort of ["NAME_ASC", "NAME_DESC", "BLOCK_TYPE_AND_NAME_ASC", "SIDEWAYS"]) {
    await world.send(`sort ${sort}`, "POST /block_documents/filter", { body: { ...mine, sort }, view: pick("name") });
  }
  const page = { ...mine, sort: "NAME_ASC", limit: 1, offset: 1 };
  await world.send("second document", "POST /block_documents/filter", { body: page, view: pick("name") });
  const block_schemas = { block_type_id: { any_: [first.type, second.type] } };
  await world.send("schemas in full", "POST /block_schemas/filter", { body: { block_schemas }, unordered: true });
  await world.send("no schemas", "POST /block_schemas/filter", { body: { block_schemas, limit: 0 } });
  await world.send("types in full", "POST /block_types/filter", { body: mine, unordered: true });
  await world.send("second type", "POST /block_types/filter", {
    body: { ...mine, limit: 1, offset: 1 },
    view: pick("slug"),
  });
}

async function bySlug(world: World): Promise<void> {
  const path = `/block_types/slug/${world.name("alpha")}/block_documents`;
  const names = { view: pick("name", "data"), unordered: true };
  await world.send("documents of a slug", `GET ${path}`, names);
  await world.send("documents of a slug with secrets", `GET ${path}?include_secrets=true`, names);
  await world.send("documents of a slug with bad secrets", `GET ${path}?include_secrets=maybe`);
  await world.send("document of a slug", `GET ${path}/name/ant`);
  await world.send("document of a slug with secrets", `GET ${path}/name/ant?include_secrets=true`, {
    view: pick("data"),
  });
  await world.send("unknown document of a slug", `GET ${path}/name/none`);
  await world.send("documents of an unknown slug", "GET /block_types/slug/none/block_documents");
  await world.send("document of an unknown slug", "GET /block_types/slug/none/block_documents/name/none");
}

async function changes(world: World, first: Made, second: Made): Promise<void> {
  await world.send("change a type", `PATCH /block_types/${first.type}`, {
    body: {
      logo_url: "https://example.com/other.png",
      documentation_url: "https://example.com/other",
      description: "Other.",
      code_example: "y = 2",
    },
  });
  await world.send("changed type", `GET /block_types/${first.type}`);
  await world.send("change a type's slug", `PATCH /block_types/${first.type}`, { body: { slug: "other" } });
  await world.send("change a type's url", `PATCH /block_types/${first.type}`, { body: { logo_url: "no url" } });
  await world.send("delete a schema", `DELETE /block_schemas/${second.schema}`);
  await world.send("delete a schema again", `DELETE /block_schemas/${second.schema}`);
  await world.send("documents of the deleted schema", "POST /block_documents/filter", {
    body: { block_types: { slug: { any_: [world.name("beta")] } } },
    view: pick("name"),
  });
  await world.send("delete a type", `DELETE /block_types/${second.type}`);
  await world.send("install the system's types", "POST /block_types/install_system_block_types", { view: () => null });
  await world.send("a system's type cannot be deleted", `DELETE /block_types/${await systemType(world)}`);
  await world.send("capabilities have those of schemas", "GET /block_capabilities/", {
    view: (body) => Array.isArray(body) && body.includes(world.name("read")),
  });
}

async function systemType(world: World): Promise<string> {
  const type = await world.send("system type", "GET /block_types/slug/secret", { view: pick("slug", "is_protected") });
  return type.id;
}
