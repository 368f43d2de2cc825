/** Builders of rows that several scenarios need. A scenario compares only the status of the builders' answers. */
import { isObject, type Json, type JsonObject } from "./json.ts";
import { pick, type World } from "./play.ts";

/** A time after the end of any test run. */
export const FUTURE = "2099-01-01T00:00:00Z";

export async function aFlow(world: World, prefix = "flow"): Promise<string> {
  const flow = await world.send(`world: flow ${prefix}`, "POST /flows/", {
    body: { name: world.name(prefix), tags: [] },
    quiet: true,
  });
  return flow.id;
}

export async function aFlowRun(world: World, name: string, body: JsonObject): Promise<string> {
  const run = await world.send(`world: flow run ${name}`, "POST /flow_runs/", {
    body: { name: world.name(name), ...body },
    quiet: true,
  });
  return run.id;
}

export async function aTaskRun(world: World, name: string, body: JsonObject): Promise<string> {
  const run = await world.send(`world: task run ${name}`, "POST /task_runs/", {
    body: { name: world.name(name), task_key: "task", dynamic_key: name, ...body },
    quiet: true,
  });
  return run.id;
}

export async function aPool(world: World, name: string, body: JsonObject = {}): Promise<string> {
  const pool = await world.send(`world: pool ${name}`, "POST /work_pools/", {
    body: { name: world.name(name), type: "process", ...body },
    quiet: true,
  });
  return pool.id;
}

export async function aDeployment(world: World, name: string, body: JsonObject): Promise<string> {
  const deployment = await world.send(`world: deployment ${name}`, "POST /deployments/", {
    body: { name: world.name(name), ...body },
    quiet: true,
  });
  return deployment.id;
}

/** One filter step (which compares only the names) and one count step for each named criterion. */
export async function filterBy(
  world: World,
  root: { path: string; key: string; sort?: string; count?: boolean },
  criteria: Record<string, JsonObject>,
): Promise<void> {
  for (const [name, criterion] of Object.entries(criteria)) {
    const isWhole = isObject(criterion["$body"]);
    const body: JsonObject = isObject(criterion["$body"]) ? criterion["$body"] : { [root.key]: criterion };
    await world.send(`filter ${name}${isWhole ? " (joined)" : ""}`, `POST ${root.path}/filter`, {
      body: root.sort === undefined ? body : { ...body, sort: root.sort },
      view: pick("name"),
      unordered: root.sort === undefined,
    });
    if (root.count === false) continue;
    await world.send(`count ${name}`, `POST ${root.path}/count`, { body });
  }
}

/** The status, the name of the state and the reason, from an answer of set_state. */
export function verdict(body: Json): Json {
  if (!isObject(body)) return body;
  const state = body["state"];
  return {
    status: body["status"] ?? null,
    state: isObject(state)
      ? { type: state["type"] ?? null, name: state["name"] ?? null, message: state["message"] ?? null }
      : null,
    details: body["details"] ?? null,
  };
}
