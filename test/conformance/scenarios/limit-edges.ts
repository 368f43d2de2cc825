/** Limits of concurrency: fields and values that clients seldom send. */
import type { JsonObject } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const limitEdges: Scenario = { name: "concurrency-limits-edges", play: playLimitEdges };

async function playLimitEdges(world: World): Promise<void> {
  await missingLimits(world);
  await rates(world);
  await changes(world);
  await tagLimit(world);
  await lists(world);
}

async function missingLimits(world: World): Promise<void> {
  const names = [world.name("missing")];
  for (const create_if_missing of [true, false, null]) {
    const body = { names, slots: 1, create_if_missing };
    for (const action of ["increment", "decrement"]) {
      await world.send(`${action}, create_if_missing ${create_if_missing}`, `POST /v2/concurrency_limits/${action}`, {
        body,
      });
    }
  }
  await world.send("lease with create_if_missing", "POST /v2/concurrency_limits/increment-with-lease", {
    body: { names, slots: 1, create_if_missing: true },
  });
  await world.send("create_if_missing is a text", "POST /v2/concurrency_limits/increment", {
    body: { names, slots: 1, create_if_missing: "maybe" },
  });
  await world.send("nothing was created", `GET /v2/concurrency_limits/${world.name("missing")}`);
}

async function rates(world: World): Promise<void> {
  const name = world.name("rate");
  const slow = world.name("slow");
  await world.send("create without decay", "POST /v2/concurrency_limits/", { body: { name, limit: 2 } });
  await world.send("create with decay", "POST /v2/concurrency_limits/", {
    body: { name: slow, limit: 2, slot_decay_per_second: 0.001 },
  });
  const take = (step: string, body: JsonObject) =>
    world.send(step, "POST /v2/concurrency_limits/increment", { body, view: pick("name", "limit") });
  await take("take as a rate without decay", { names: [name], slots: 1, mode: "rate_limit" });
  await take("take as a rate", { names: [slow], slots: 2, mode: "rate_limit" });
  await take("take as a rate beyond", { names: [slow], slots: 1, mode: "rate_limit" });
  await take("take of both", { names: [slow, name], slots: 1, mode: "concurrency" });
  await take("take twice the same", { names: [name, name], slots: 1 });
  await take("take more than the limit", { names: [name], slots: 3 });
  await take("take a fraction", { names: [name], slots: 1.5 });
  await take("take a text", { names: name, slots: 1 });
  await world.send("give with occupancy", "POST /v2/concurrency_limits/decrement", {
    body: { names: [name], slots: 1, occupancy_seconds: 2.5 },
    view: pick("name", "limit"),
  });
  await world.send("give with negative occupancy", "POST /v2/concurrency_limits/decrement", {
    body: { names: [name], slots: 1, occupancy_seconds: -1 },
  });
  await world.send("lease as a rate", "POST /v2/concurrency_limits/increment-with-lease", {
    body: { names: [name], slots: 1, mode: "rate_limit" },
    view: () => null,
  });
}

async function changes(world: World): Promise<void> {
  const name = world.name("rate");
  const path = `/v2/concurrency_limits/${name}`;
  await world.send("change every field", `PATCH ${path}`, {
    body: {
      active: false,
      name: world.name("renamed"),
      limit: 5,
      active_slots: 1,
      denied_slots: 3,
      slot_decay_per_second: 0.25,
    },
  });
  await world.send("the old name is gone", `GET ${path}`);
  const renamed = `/v2/concurrency_limits/${world.name("renamed")}`;
  const seen = pick("active", "limit", "denied_slots", "slot_decay_per_second");
  await world.send("changed", `GET ${renamed}`, { view: seen });
  await world.send("change to a taken name", `PATCH ${renamed}`, { body: { name: world.name("slow") } });
  const bodies: Record<string, JsonObject> = {
    "negative limit": { limit: -1 },
    "negative slots": { active_slots: -1 },
    "negative decay": { slot_decay_per_second: -0.5 },
    "name of nothing": { name: "" },
    "unknown field": { colour: 1 },
    "limit of text": { limit: "many" },
  };
  for (const [title, body] of Object.entries(bodies)) {
    await world.send(`change refused: ${title}`, `PATCH ${renamed}`, { body });
  }
  await world.send("delete the renamed", `DELETE ${renamed}`);
}

async function tagLimit(world: World): Promise<void> {
  const made = await world.send("create a limit of a tag", "POST /concurrency_limits/", {
    body: { tag: world.name("tag"), concurrency_limit: 1 },
    view: pick("tag", "concurrency_limit", "active_slots"),
  });
  await world.send("delete it by its id", `DELETE /concurrency_limits/${made.id}`);
  await world.send("delete it again by its id", `DELETE /concurrency_limits/${made.id}`);
}

async function lists(world: World): Promise<void> {
  for (const path of ["/concurrency_limits/filter", "/v2/concurrency_limits/filter"]) {
    await world.send(`${path} of none`, `POST ${path}`, { body: { limit: 0 } });
    await world.send(`${path} far away`, `POST ${path}`, { body: { limit: 5, offset: 1_000_000 } });
  }
}
