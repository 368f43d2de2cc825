/** Automations: create, read, replace, patch, filter, owner, refusals. All are disabled, so none is triggered. */
import type { JsonObject } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const automations: Scenario = { name: "automations", play: playAutomations };

const NEVER: JsonObject = { type: "event", expect: ["acme.never"], posture: "Reactive", threshold: 1, within: 0 };
const NOTHING: JsonObject = { type: "do-nothing" };

async function playAutomations(world: World): Promise<void> {
  const post = "POST /automations/";
  const body: JsonObject = { name: world.name("auto"), enabled: false, trigger: NEVER, actions: [NOTHING] };
  const made = await world.send("create", post, { body });
  const path = `/automations/${made.id}`;
  await world.send("read", `GET ${path}`);
  await kinds(world, body);
  await world.send("replace", `PUT ${path}`, { body: { ...body, description: "new", tags: ["t"] } });
  await world.send("replaced", `GET ${path}`, { view: pick("name", "description", "tags", "enabled") });
  await world.send("patch", `PATCH ${path}`, { body: { enabled: true } });
  await world.send("patched", `GET ${path}`, { view: pick("enabled") });
  await world.send("patch another field", `PATCH ${path}`, { body: { name: "x" } });
  await refused(world, body);
  const mine = { name: { any_: [world.name("auto")] } };
  const filters: Record<string, JsonObject> = {
    "by name": mine,
    "by id": { id: { any_: [made.id] } },
    "by tag": { ...mine, tags: { any_: ["t"] } },
    "by all tags": { ...mine, tags: { all_: ["t", "u"] } },
    "without tags": { ...mine, tags: { is_null_: true } },
    "created before the past": { ...mine, created: { before_: "2020-01-01T00:00:00Z" } },
    refused: { colour: 1 },
  };
  for (const [name, filter] of Object.entries(filters)) {
    await world.send(`filter ${name}`, "POST /automations/filter", {
      body: { automations: filter },
      view: pick("name"),
    });
  }
  await world.send("unknown sort", "POST /automations/filter", { body: { automations: mine, sort: "SIDEWAYS" } });
  await owned(world, body);
  for (const [name, method] of Object.entries({ replace: "PUT", patch: "PATCH", remove: "DELETE", read: "GET" })) {
    const change = method === "PUT" ? { body } : method === "PATCH" ? { body: { enabled: true } } : {};
    await world.send(`${name} unknown`, `${method} /automations/${world.id(`unknown ${method}`)}`, change);
  }
  await world.send("delete", `DELETE ${path}`);
  await world.send("delete again", `DELETE ${path}`);
}

async function kinds(world: World, body: JsonObject): Promise<void> {
  const deployment = world.id("deployment");
  const bodies: Record<string, JsonObject> = {
    proactive: {
      trigger: { ...NEVER, posture: "Proactive", within: 60, after: ["acme.start"], for_each: ["prefect.resource.id"] },
    },
    compound: { trigger: { type: "compound", require: "all", within: 60, triggers: [NEVER, NEVER] } },
    sequence: { trigger: { type: "sequence", within: 60, triggers: [NEVER, NEVER] } },
    matching: {
      trigger: {
        ...NEVER,
        match: { "prefect.resource.id": ["a.*", "!b"] },
        match_related: { "prefect.resource.role": "flow" },
      },
    },
    "running a deployment": {
      actions: [
        { type: "run-deployment", source: "selected", deployment_id: deployment, parameters: { x: "{{ event.id }}" } },
      ],
    },
    "changing a run": {
      actions: [{ type: "change-flow-run-state", state: "CANCELLED", message: "m" }, { type: "cancel-flow-run" }],
    },
    "pausing what it infers": {
      actions: [
        { type: "pause-deployment", source: "inferred" },
        { type: "pause-work-queue", source: "inferred" },
      ],
    },
  };
  for (const [name, change] of Object.entries(bodies)) {
    const made = await world.send(`create ${name}`, "POST /automations/", {
      body: { ...body, name: world.name("kind"), ...change },
    });
    await world.send(`delete ${name}`, `DELETE /automations/${made.id}`, { quiet: true });
  }
}

async function refused(world: World, body: JsonObject): Promise<void> {
  const bodies: Record<string, JsonObject> = {
    "no trigger": { name: "x", actions: [NOTHING] },
    "no actions": { name: "x", trigger: NEVER },
    "unknown trigger": { ...body, trigger: { type: "mood" } },
    "unknown action": { ...body, actions: [{ type: "dance" }] },
    "threshold -1": { ...body, trigger: { ...NEVER, threshold: -1 } },
    "negative window": { ...body, trigger: { ...NEVER, within: -5 } },
    "proactive at once": { ...body, trigger: { ...NEVER, posture: "Proactive", within: 5 } },
    "selected without deployment": { ...body, actions: [{ type: "run-deployment", source: "selected" }] },
    "broken template": {
      ...body,
      actions: [{ type: "change-flow-run-state", state: "FAILED", message: "{{ event.id " }],
    },
    "unknown field": { ...body, colour: 1 },
  };
  for (const [name, refusal] of Object.entries(bodies)) {
    await world.send(`refused: ${name}`, "POST /automations/", { body: refusal, view: pick("id") });
  }
}

async function owned(world: World, body: JsonObject): Promise<void> {
  const owner = `prefect.deployment.${world.id("owner")}`;
  await world.send("create owned", "POST /automations/", {
    body: { ...body, name: world.name("owned"), owner_resource: owner },
    view: pick("name"),
  });
  await world.send("related to the owner", `GET /automations/related-to/${owner}`, { view: pick("name") });
  await world.send("delete owned", `DELETE /automations/owned-by/${owner}`);
  await world.send("related to the owner no more", `GET /automations/related-to/${owner}`);
}
