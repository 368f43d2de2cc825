/** Invalid bodies, ids, limits and headers. */
import type { JsonObject } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const badInput: Scenario = { name: "bad-input", play: playBadInput };
export const badBlocks: Scenario = { name: "bad-input-blocks", play: (world) => playBad(world, BLOCKS) };
export const badArtifacts: Scenario = { name: "bad-input-artifacts", play: (world) => playBad(world, ARTIFACTS) };
export const badAutomations: Scenario = { name: "bad-input-automations", play: (world) => playBad(world, AUTOMATIONS) };

interface Paths {
  lists: string[];
  creations: string[];
  resources: string[];
}

const CORE: Paths = {
  lists: [
    "/flows/filter",
    "/flow_runs/filter",
    "/task_runs/filter",
    "/deployments/filter",
    "/work_pools/filter",
    "/work_queues/filter",
    "/variables/filter",
    "/logs/filter",
    "/concurrency_limits/filter",
    "/v2/concurrency_limits/filter",
  ],
  creations: [
    "/flows/",
    "/flow_runs/",
    "/task_runs/",
    "/deployments/",
    "/work_pools/",
    "/work_queues/",
    "/variables/",
    "/logs/",
    "/concurrency_limits/",
    "/v2/concurrency_limits/",
  ],
  resources: ["flows", "flow_runs", "task_runs", "deployments", "work_queues", "variables", "concurrency_limits"],
};

const BLOCKS: Paths = {
  lists: ["/block_types/filter", "/block_documents/filter"],
  creations: ["/block_types/", "/block_schemas/", "/block_documents/"],
  resources: ["block_types", "block_schemas", "block_documents"],
};

const ARTIFACTS: Paths = {
  lists: ["/artifacts/filter", "/artifacts/latest/filter", "/saved_searches/filter"],
  creations: ["/artifacts/"],
  resources: ["artifacts", "saved_searches"],
};

const AUTOMATIONS: Paths = { lists: ["/automations/filter"], creations: ["/automations/"], resources: ["automations"] };

async function playBadInput(world: World): Promise<void> {
  await playBad(world, CORE);
  await badVersions(world);
  await oddRequests(world);
}

async function playBad(world: World, { lists, creations, resources }: Paths): Promise<void> {
  for (const path of lists) await badLists(world, path);
  for (const path of creations) await badCreations(world, path);
  for (const resource of resources) await badIds(world, resource);
}

async function badLists(world: World, path: string): Promise<void> {
  const bodies: Record<string, JsonObject> = {
    "limit 201": { limit: 201 },
    "limit -1": { limit: -1 },
    "limit x": { limit: "x" },
    "offset -1": { offset: -1, limit: 1 },
    "offset x": { offset: "x", limit: 1 },
    "limit 1.5": { limit: 1.5 },
    "limit as text": { limit: "0" },
    "limit null": { limit: null, offset: 1_000_000 },
  };
  for (const [name, body] of Object.entries(bodies)) {
    await world.send(`${path} ${name}`, `POST ${path}`, { body });
  }
  const onlyStatus = pick("id");
  await world.send(`${path} broken`, `POST ${path}`, { raw: '{"limit": 1' });
  await world.send(`${path} unknown field is ignored or not`, `POST ${path}`, {
    body: { colour: 1, limit: 0 },
    view: onlyStatus,
  });
  await world.send(`${path} list for object`, `POST ${path}`, { raw: "[]", view: () => null });
  await world.send(`${path} by GET`, `GET ${path}`);
}

async function badCreations(world: World, path: string): Promise<void> {
  await world.send(`${path} no body`, `POST ${path}`);
  await world.send(`${path} empty body`, `POST ${path}`, { raw: "" });
  await world.send(`${path} broken json`, `POST ${path}`, { raw: '{"name": ' });
  await world.send(`${path} null`, `POST ${path}`, { raw: "null" });
  await world.send(`${path} number`, `POST ${path}`, { raw: "5" });
  await world.send(`${path} text`, `POST ${path}`, { raw: '"x"' });
  await world.send(`${path} other type`, `POST ${path}`, {
    raw: "a=b",
    headers: { "content-type": "application/x-www-form-urlencoded" },
  });
}

async function badIds(world: World, resource: string): Promise<void> {
  await world.send(`${resource} unknown`, `GET /${resource}/${world.id(`${resource} unknown`)}`);
  await world.send(`${resource} no uuid`, `GET /${resource}/nonsense`);
  await world.send(`${resource} delete unknown`, `DELETE /${resource}/${world.id(`${resource} unknown 2`)}`);
  await world.send(`${resource} delete no uuid`, `DELETE /${resource}/nonsense`);
  await world.send(`${resource} put`, `PUT /${resource}/${world.id(`${resource} unknown 3`)}/x`);
}

async function badVersions(world: World): Promise<void> {
  const path = "GET /flows/name/none";
  for (const version of ["0.8.4", "0.8.0", "0.9.0", "9.0.0", "0.7.9", "0.1.0", "0.8", "x.y.z", "1", "0.8.4.1", ""]) {
    await world.send(`api version '${version}'`, path, { headers: { "x-prefect-api-version": version } });
  }
  await world.send("api version on admin", "GET /admin/version", {
    headers: { "x-prefect-api-version": "0.1.0" },
    quiet: true,
  });
  await world.send("api version on health", "GET /health", { headers: { "x-prefect-api-version": "0.1.0" } });
}

async function oddRequests(world: World): Promise<void> {
  await world.send("no such route", "GET /nothing");
  await world.send("no such route by post", "POST /nothing", { body: {} });
  await world.send("no slash at the end", "POST /flows", { body: {}, view: () => null });
  await world.send("a slash too many", "POST /flows/filter/", { body: { limit: 0 }, view: () => null });
  await world.send("wrong method", "PUT /flows/", { body: {} });
  await world.send("wrong method on an id", `POST /flows/${world.id("some")}`, { body: {} });
  await world.send("id without dashes", `GET /flows/${world.id("dashed").replaceAll("-", "")}`);
  await world.send("a query that nobody asked for", `GET /flows/${world.id("q")}?a=b`);
  await world.send("no charset", "POST /flows/filter", {
    raw: '{"limit": 0}',
    headers: { "content-type": "text/plain" },
    view: () => null,
  });
  await world.send("charset", "POST /flows/filter", {
    raw: '{"limit": 0}',
    headers: { "content-type": "application/json; charset=utf-8" },
  });
  await world.send("several errors at once", "POST /flow_runs/", {
    body: { flow_id: "x", tags: 1, parameters: [], state: { type: "A" } },
  });
  await world.send("NaN", "POST /flows/", { raw: '{"name": NaN}', view: () => null });
  await world.send("byte order mark", "POST /flows/filter", { raw: '\uFEFF{"limit": 0}' });
  await world.send("same key twice", "POST /flows/filter", { raw: '{"limit": 201, "limit": 0}' });
}
