/** The block document where results are stored by default. */
import type { Scenario, World } from "../play.ts";

export const resultStorage: Scenario = { name: "result-storage", play: playResultStorage };

const PATH = "/admin/storage";

async function playResultStorage(world: World): Promise<void> {
  const writable = await aDocument(world, "disk", ["read-path", "write-path"]);
  const readable = await aDocument(world, "book", ["read-path"]);
  const put = (id: string) => ({ body: { default_result_storage_block_id: id } });
  await world.send("clear", `DELETE ${PATH}`);
  await world.send("nothing is set", `GET ${PATH}`);
  await world.send("set", `PUT ${PATH}`, put(writable));
  await world.send("it is set", `GET ${PATH}`);
  await world.send("set again", `PUT ${PATH}`, put(writable));
  await world.send("set a document that cannot store results", `PUT ${PATH}`, put(readable));
  await world.send("set an unknown document", `PUT ${PATH}`, put(world.id("unknown")));
  await world.send("set null", `PUT ${PATH}`, { body: { default_result_storage_block_id: null } });
  await world.send("set with an unknown field", `PUT ${PATH}`, {
    body: { default_result_storage_block_id: writable, colour: 1 },
  });
  await world.send("the first is still set", `GET ${PATH}`);
  await world.send("delete the document", `DELETE /block_documents/${writable}`);
  await world.send("nothing is set after the deletion", `GET ${PATH}`);
  await world.send("clear again", `DELETE ${PATH}`);
}

async function aDocument(world: World, name: string, capabilities: string[]): Promise<string> {
  const type = await world.send(`world: type ${name}`, "POST /block_types/", {
    body: { name: world.name(name), slug: world.name(name) },
    quiet: true,
  });
  const schema = await world.send(`world: schema ${name}`, "POST /block_schemas/", {
    body: {
      fields: { title: world.name(name), type: "object", properties: {}, block_type_slug: world.name(name) },
      block_type_id: type.id,
      capabilities,
    },
    quiet: true,
  });
  const document = await world.send(`world: document ${name}`, "POST /block_documents/", {
    body: { name: "main", data: {}, block_type_id: type.id, block_schema_id: schema.id },
    quiet: true,
  });
  return document.id;
}
