/** Limits by tag (version 1) and by name (version 2), their slots and leases. */
import type { JsonObject } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const tagLimits: Scenario = { name: "concurrency-limits-v1", play: playTagLimits };
export const globalLimits: Scenario = { name: "concurrency-limits-v2", play: playGlobalLimits };

async function playTagLimits(world: World): Promise<void> {
  const tag = world.name("tag");
  const post = "POST /concurrency_limits/";
  const made = await world.send("create", post, { body: { tag, concurrency_limit: 2 } });
  await world.send("create again", post, { body: { tag, concurrency_limit: 3 } });
  await world.send("read", `GET /concurrency_limits/${made.id}`);
  await world.send("read by tag", `GET /concurrency_limits/tag/${tag}`);
  await world.send("read unknown tag", `GET /concurrency_limits/tag/${world.name("none")}`);
  await world.send("the same as version 2", `GET /v2/concurrency_limits/tag:${tag}`);
  const one = world.id("task run 1");
  const two = world.id("task run 2");
  await world.send("increment", "POST /concurrency_limits/increment", { body: { names: [tag], task_run_id: one } });
  await world.send("increment by the same", "POST /concurrency_limits/increment", {
    body: { names: [tag], task_run_id: one },
    view: pick("name", "limit"),
  });
  await world.send("increment by another", "POST /concurrency_limits/increment", {
    body: { names: [tag], task_run_id: two },
    view: pick("name", "limit"),
  });
  await world.send("increment beyond", "POST /concurrency_limits/increment", {
    body: { names: [tag], task_run_id: world.id("task run 3") },
  });
  await world.send("decrement", "POST /concurrency_limits/decrement", { body: { names: [tag], task_run_id: one } });
  await world.send("increment unknown", "POST /concurrency_limits/increment", {
    body: { names: [world.name("none")], task_run_id: one },
  });
  await world.send("decrement unknown", "POST /concurrency_limits/decrement", {
    body: { names: [world.name("none")], task_run_id: one },
  });
  await world.send("reset", `POST /concurrency_limits/tag/${tag}/reset`, { body: {} });
  await world.send("after reset", `GET /concurrency_limits/tag/${tag}`, {
    view: pick("active_slots", "concurrency_limit"),
  });
  await world.send("reset with overrides", `POST /concurrency_limits/tag/${tag}/reset`, {
    body: { slot_override: [one, two] },
  });
  await world.send("after reset with overrides", `GET /concurrency_limits/tag/${tag}`, {
    view: pick("concurrency_limit", "tag"),
  });
  await world.send("reset unknown", `POST /concurrency_limits/tag/${world.name("none")}/reset`, { body: {} });
  await world.send("no limit", post, { body: { tag: world.name("x") } });
  await world.send("no tag", post, { body: { concurrency_limit: 1 } });
  await world.send("limit of words", post, { body: { tag, concurrency_limit: "many" } });
  await world.send("negative limit", post, { body: { tag: world.name("negative"), concurrency_limit: -1 } });
  await world.send("delete", `DELETE /concurrency_limits/tag/${tag}`);
  await world.send("delete again", `DELETE /concurrency_limits/tag/${tag}`);
  await world.send("delete by id", `DELETE /concurrency_limits/${made.id}`);
}

async function playGlobalLimits(world: World): Promise<void> {
  const name = world.name("limit");
  const post = "POST /v2/concurrency_limits/";
  const made = await world.send("create", post, { body: { name, limit: 3 } });
  await world.send("create again", post, { body: { name, limit: 1 } });
  await world.send("create with all fields", post, {
    body: {
      name: world.name("full"),
      limit: 10,
      active: false,
      active_slots: 2,
      denied_slots: 1,
      slot_decay_per_second: 0.5,
    },
    view: pick("name", "limit", "active", "denied_slots", "slot_decay_per_second"),
  });
  await world.send("read by id", `GET /v2/concurrency_limits/${made.id}`);
  await world.send("read by name", `GET /v2/concurrency_limits/${name}`);
  await world.send("read unknown", `GET /v2/concurrency_limits/${world.name("none")}`);
  await world.send("change", `PATCH /v2/concurrency_limits/${name}`, { body: { limit: 4 } });
  await world.send("changed", `GET /v2/concurrency_limits/${name}`);
  await world.send("change nothing", `PATCH /v2/concurrency_limits/${made.id}`, { body: {} });
  await world.send("change unknown", `PATCH /v2/concurrency_limits/${world.name("none")}`, { body: { limit: 1 } });
  await slots(world, name);
  await leases(world, name);
  const bodies: Record<string, JsonObject> = {
    "negative limit": { name: world.name("x"), limit: -1 },
    "no limit": { name: world.name("x") },
    "name with a slash": { name: "a/b", limit: 1 },
    "negative decay": { name: world.name("x"), limit: 1, slot_decay_per_second: -1 },
    "unknown field": { name: world.name("x"), limit: 1, colour: 1 },
  };
  for (const [title, body] of Object.entries(bodies)) await world.send(`refused: ${title}`, post, { body });
  await world.send("delete", `DELETE /v2/concurrency_limits/${name}`);
  await world.send("delete again", `DELETE /v2/concurrency_limits/${name}`);
}

async function slots(world: World, name: string): Promise<void> {
  const up = "POST /v2/concurrency_limits/increment";
  const down = "POST /v2/concurrency_limits/decrement";
  await world.send("take 3 of 4", up, { body: { names: [name], slots: 3 } });
  await world.send("take 2 more", up, { body: { names: [name], slots: 2 } });
  await world.send("take 5", up, { body: { names: [name], slots: 5 } });
  await world.send("take of an unknown", up, { body: { names: [world.name("none")], slots: 1 } });
  await world.send("take of an inactive", up, { body: { names: [world.name("full")], slots: 1 } });
  await world.send("take as a rate", up, { body: { names: [name], slots: 1, mode: "rate_limit" } });
  await world.send("take 0", up, { body: { names: [name], slots: 0 } });
  await world.send("take of nothing", up, { body: { names: [], slots: 1 } });
  await world.send("take in another mode", up, { body: { names: [name], slots: 1, mode: "haste" } });
  await world.send("slots taken", `GET /v2/concurrency_limits/${name}`, { view: pick("active_slots", "limit") });
  await world.send("give 3", down, { body: { names: [name], slots: 3 } });
  await world.send("give more than taken", down, { body: { names: [name], slots: 3 } });
  await world.send("give of an unknown", down, { body: { names: [world.name("none")], slots: 1 } });
  await world.send("give 0", down, { body: { names: [name], slots: 0 } });
  await world.send("slots given", `GET /v2/concurrency_limits/${name}`, { view: pick("active_slots", "limit") });
}

async function leases(world: World, name: string): Promise<void> {
  const up = "POST /v2/concurrency_limits/increment-with-lease";
  const body = { names: [name], slots: 4 };
  const lease = await world.send("lease 4 of 4", up, {
    body: { ...body, lease_duration: 60, holder: { type: "flow_run", id: world.id("holder") } },
  });
  await world.send("lease one more", up, { body: { ...body, slots: 1 } });
  await world.send("lease of an unknown", up, { body: { names: [world.name("none")], slots: 1 } });
  await world.send("lease too short", up, { body: { ...body, lease_duration: 5 } });
  await world.send("lease too long", up, { body: { ...body, lease_duration: 100_000 } });
  await world.send("lease of an unknown holder", up, {
    body: { ...body, holder: { type: "worker", id: world.id("h2") } },
  });
  const leaseId = lease.text("lease_id");
  await world.send("renew", `POST /v2/concurrency_limits/leases/${leaseId}/renew`, { body: { lease_duration: 120 } });
  await world.send("renew unknown", `POST /v2/concurrency_limits/leases/${world.id("unknown lease")}/renew`, {
    body: {},
  });
  await world.send("renew no uuid", "POST /v2/concurrency_limits/leases/none/renew", { body: {} });
  await world.send("release", "POST /v2/concurrency_limits/decrement-with-lease", { body: { lease_id: leaseId } });
  await world.send("release again", "POST /v2/concurrency_limits/decrement-with-lease", {
    body: { lease_id: leaseId },
  });
  await world.send("renew released", `POST /v2/concurrency_limits/leases/${leaseId}/renew`, { body: {} });
  await world.send("all free", `GET /v2/concurrency_limits/${name}`, { view: pick("active_slots") });
}
