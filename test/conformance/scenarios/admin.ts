/** The first requests of a client: health, version, CSRF, settings, storage and the collections. */
import { isObject, type Json } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const admin: Scenario = { name: "admin", play: playAdmin };

/** The shape of a value: the keys of objects, the type of everything else. */
function shape(value: Json): Json {
  if (Array.isArray(value)) return "list";
  if (!isObject(value)) return value === null ? "null" : typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner ?? null)]));
}

const topLevel = (body: Json): Json => (isObject(body) ? Object.keys(body).sort() : typeof body);

async function playAdmin(world: World): Promise<void> {
  await world.send("health", "GET /health");
  await world.send("hello", "GET /hello");
  await world.send("ready", "GET /ready");
  await world.send("version", "GET /version");
  await world.send("admin version", "GET /admin/version");
  await world.send("health by post", "POST /health");
  await world.send("hello by head", "HEAD /hello");
  await world.send("csrf token", "GET /csrf-token?client=me");
  await world.send("csrf token for nobody", "GET /csrf-token");
  await world.send("settings, top level", "GET /admin/settings", { view: topLevel });
  await world.send("settings of the server's api", "GET /admin/settings", {
    view: (body) => shape(pick("server.api")(body)),
  });
  await world.send("result storage", "GET /admin/storage", { view: (body) => shape(body) });
  await world.send("result storage without body", "PUT /admin/storage");
  await world.send("result storage of an unknown block", "PUT /admin/storage", {
    body: { default_result_storage_block_id: world.id("unknown block") },
  });
  await world.send("result storage of a bad block", "PUT /admin/storage", {
    body: { default_result_storage_block_id: "x" },
  });
  await world.send("worker metadata, top level", "GET /collections/views/aggregate-worker-metadata", {
    view: (body) => (isObject(body) ? "prefect" in body : false),
  });
  await world.send("process worker", "GET /collections/views/aggregate-worker-metadata", {
    view: (body) => shape(pick("prefect.process.type", "prefect.process.install_command")(body)),
  });
  await world.send("unknown view", "GET /collections/views/none");
}
