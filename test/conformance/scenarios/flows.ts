/** Flows: upsert, read, change, filter, page, delete. */
import { aDeployment, aFlowRun, aPool, filterBy, FUTURE } from "../builders.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const flows: Scenario = { name: "flows", play: playFlows };

async function playFlows(world: World): Promise<void> {
  await lifeOfAFlow(world);
  await refusals(world);
  await filters(world);
  await deletion(world);
}

async function lifeOfAFlow(world: World): Promise<void> {
  const name = world.name("solo");
  const flow = await world.send("create", "POST /flows/", {
    body: { name, tags: ["red", "blue"], labels: { team: "a", size: 3, hot: true } },
  });
  await world.send("create again", "POST /flows/", { body: { name, tags: ["green"], labels: { team: "b" } } });
  await world.send("create with null labels", "POST /flows/", { body: { name: world.name("nolabels"), labels: null } });
  await world.send("create bare", "POST /flows/", { body: { name: world.name("bare") } });
  await world.send("read by id", `GET /flows/${flow.id}`);
  await world.send("read by name", `GET /flows/name/${name}`);
  await world.send("change tags", `PATCH /flows/${flow.id}`, { body: { tags: ["x"] } });
  await world.send("tags changed", `GET /flows/${flow.id}`, { view: pick("tags", "labels") });
  await world.send("change nothing", `PATCH /flows/${flow.id}`, { body: {} });
  await world.send("tags are as before", `GET /flows/${flow.id}`, { view: pick("tags", "labels") });
  await world.send("a name with a space reads", "POST /flows/", { body: { name: world.name("with space é") } });
  await world.send("by name with a space", `GET /flows/name/${encodeURIComponent(world.name("with space é"))}`);
}

async function refusals(world: World): Promise<void> {
  await world.send("no name", "POST /flows/", { body: {} });
  await world.send("empty name", "POST /flows/", { body: { name: "" } });
  await world.send("name with a slash", "POST /flows/", { body: { name: "a/b" } });
  await world.send("name with percent", "POST /flows/", { body: { name: "a%b" } });
  await world.send("name with angle brackets", "POST /flows/", { body: { name: "a<b>" } });
  await world.send("name with an ampersand", "POST /flows/", { body: { name: "a&b" } });
  await world.send("name is null", "POST /flows/", { body: { name: null } });
  await world.send("label is a list", "POST /flows/", { body: { name: world.name("l"), labels: { a: [1] } } });
  await world.send("unknown field", "POST /flows/", { body: { name: world.name("u"), nope: 1 } });
  await world.send("tag is a number", "POST /flows/", { body: { name: world.name("t"), tags: [1] } });
  await world.send("rename is refused", `PATCH /flows/${world.id("unknown")}`, { body: { name: "new" } });
  await world.send("read unknown", `GET /flows/${world.id("unknown 1")}`);
  await world.send("read unknown name", `GET /flows/name/${world.name("never")}`);
  await world.send("update unknown", `PATCH /flows/${world.id("unknown 2")}`, { body: { tags: [] } });
  await world.send("delete unknown", `DELETE /flows/${world.id("unknown 3")}`);
  await world.send("read bad id", "GET /flows/nonsense");
}

async function filters(world: World): Promise<void> {
  const ids: Record<string, string> = {};
  const tagged = { "f-a": ["x", "y"], "f-b": ["x"], "f-c": [] };
  for (const [name, tags] of Object.entries(tagged)) {
    const flow = await world.send(`world: ${name}`, "POST /flows/", {
      body: { name: world.name(name), tags: tags.map((tag) => world.name(tag)) },
      quiet: true,
    });
    ids[name] = flow.id;
  }
  const [a = "", b = "", c = ""] = Object.values(ids);
  await aPool(world, "pool");
  const deployment = await aDeployment(world, "dep", { flow_id: a, work_pool_name: world.name("pool") });
  await aFlowRun(world, "run-a", { flow_id: a, tags: [world.name("x")] });
  await aFlowRun(world, "run-b", {
    flow_id: b,
    state: { type: "SCHEDULED", state_details: { scheduled_time: FUTURE } },
  });
  const mine = { id: { any_: [a, b, c] } };
  await filterBy(
    world,
    { path: "/flows", key: "flows", sort: "NAME_ASC" },
    {
      "by ids": mine,
      "by not ids": { ...mine, id: { any_: [a, b, c], not_any_: [b] } },
      "by names": { name: { any_: [world.name("f-a"), world.name("f-c")] } },
      "by name like": { name: { like_: `f-%${world.suffix}` } },
      "by name like, capital": { name: { like_: world.name("F-A") } },
      "by name like, underscore": { name: { like_: world.name("f_a") } },
      "by all tags": { tags: { all_: [world.name("x"), world.name("y")] } },
      "by one tag": { tags: { all_: [world.name("x")] } },
      "by empty tags": { ...mine, tags: { all_: [] } },
      "without tags": { ...mine, tags: { is_null_: true } },
      "with tags": { ...mine, tags: { is_null_: false } },
      "without deployment": { ...mine, deployment: { is_null_: true } },
      "with deployment": { ...mine, deployment: { is_null_: false } },
      "either of two": { operator: "or_", id: { any_: [a] }, name: { any_: [world.name("f-b")] } },
      "by flow run state": { $body: { flows: mine, flow_runs: { state: { type: { any_: ["SCHEDULED"] } } } } },
      "by flow run name": { $body: { flow_runs: { name: { any_: [world.name("run-a")] } } } },
      "by deployment": { $body: { deployments: { id: { any_: [deployment] } } } },
      "by pool": { $body: { work_pools: { name: { any_: [world.name("pool")] } } } },
      "by task run": { $body: { flows: mine, task_runs: { name: { any_: [world.name("none")] } } } },
    },
  );
  for (const sort of ["NAME_ASC", "NAME_DESC", "CREATED_DESC", "UPDATED_DESC", "BY_MOOD"]) {
    await world.send(`sort ${sort}`, "POST /flows/filter", { body: { flows: mine, sort }, view: pick("name") });
  }
  const paged = { flows: mine, sort: "NAME_ASC" };
  await world.send("limit 1 offset 1", "POST /flows/filter", { body: { ...paged, limit: 1, offset: 1 } });
  await world.send("page 1 of 2", "POST /flows/paginate", { body: { ...paged, limit: 2 } });
  await world.send("page 2 of 2", "POST /flows/paginate", { body: { ...paged, limit: 2, page: 2 } });
  await world.send("page 3 of 2", "POST /flows/paginate", { body: { ...paged, limit: 2, page: 3 } });
  await world.send("page 0", "POST /flows/paginate", { body: { ...paged, page: 0 } });
  await world.send("bad operator", "POST /flows/filter", { body: { flows: { operator: "xor_" } } });
}

async function deletion(world: World): Promise<void> {
  const name = world.name("doomed");
  const flow = await world.send("create the doomed", "POST /flows/", { body: { name }, quiet: true });
  const run = await aFlowRun(world, "doomed", { flow_id: flow.id });
  const deployment = await aDeployment(world, "doomed", { flow_id: flow.id });
  await world.send("delete", `DELETE /flows/${flow.id}`);
  await world.send("delete again", `DELETE /flows/${flow.id}`);
  await world.send("its run is gone", `GET /flow_runs/${run}`);
  await world.send("its deployment is gone", `GET /deployments/${deployment}`);
  const many = [world.name("bulk1"), world.name("bulk2")];
  for (const each of many)
    await world.send(`world: ${each.slice(0, 5)}`, "POST /flows/", { body: { name: each }, quiet: true });
  await world.send("bulk delete nobody", "POST /flows/bulk_delete", { body: { flows: { name: { any_: [] } } } });
  await world.send("bulk delete one of two", "POST /flows/bulk_delete", {
    body: { flows: { name: { any_: [world.name("bulk1")] } }, limit: 1 },
  });
  await world.send("bulk delete both", "POST /flows/bulk_delete", { body: { flows: { name: { any_: many } } } });
  await world.send("bulk delete 51", "POST /flows/bulk_delete", {
    body: { flows: { name: { any_: many } }, limit: 51 },
  });
  await world.send("bulk delete 0", "POST /flows/bulk_delete", { body: { flows: { name: { any_: many } }, limit: 0 } });
}
