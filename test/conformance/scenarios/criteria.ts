/** Every criterion of every resource, asked of every list that can be filtered by it. */
import { aDeployment, aFlow, aFlowRun, aPool, aTaskRun, FUTURE } from "../builders.ts";
import { isObject, type JsonObject } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";
import { type Ids, criteriaOf } from "./criteria-table.ts";

export const criteria: Scenario = { name: "criteria", play: playCriteria };

/** A list: its own key, the field by which its rows are known, and the resources by which it is filtered. */
interface List {
  path: string;
  key: string;
  shown: "name" | "key";
  by: readonly string[];
}

const RUNS = ["flows", "flow_runs", "task_runs", "deployments"];
const LISTS: readonly List[] = [
  { path: "/flows", key: "flows", shown: "name", by: [...RUNS, "work_pools"] },
  { path: "/flow_runs", key: "flow_runs", shown: "name", by: [...RUNS, "work_pools", "work_pool_queues"] },
  { path: "/task_runs", key: "task_runs", shown: "name", by: RUNS },
  { path: "/deployments", key: "deployments", shown: "name", by: [...RUNS, "work_pools", "work_pool_queues"] },
  { path: "/artifacts", key: "artifacts", shown: "key", by: RUNS },
  { path: "/artifacts/latest", key: "artifacts", shown: "key", by: RUNS },
];

/** Routes that only count. They get one criterion of each resource. */
const NUMBERS: Record<string, JsonObject> = {
  "/flow_runs/lateness": {},
  "/flow_runs/history": { history_start: "2097-01-01T00:00:00Z", history_end: FUTURE, history_interval_seconds: 4e7 },
  "/task_runs/history": { history_start: "2097-01-01T00:00:00Z", history_end: FUTURE, history_interval_seconds: 4e7 },
  "/ui/task_runs/count": {},
  "/ui/task_runs/dashboard/counts": { task_runs: { start_time: { after_: "2097-01-01T00:00:00Z", before_: FUTURE } } },
};

async function playCriteria(world: World): Promise<void> {
  const ids = await makeWorld(world);
  for (const list of LISTS) await eachCriterion(world, list, ids);
  for (const path of ["/flows", "/flow_runs", "/task_runs", "/deployments"]) await pages(world, path, ids);
  for (const [path, fixed] of Object.entries(NUMBERS)) {
    for (const [resource, criterion] of Object.entries(oneOfEach(ids))) {
      const own = isObject(fixed[resource]) ? { ...fixed[resource], ...criterion } : criterion;
      await world.send(`${path} by ${resource}`, `POST ${path}`, { body: { ...fixed, [resource]: own } });
    }
  }
  await world.send("/ui/flow_runs/history by all", "POST /ui/flow_runs/history", {
    body: { ...oneOfEach(ids), sort: "NAME_ASC" },
    view: pick("state_type"),
  });
}

const oneOfEach = ({ flow, run, task, deployment }: Ids): Record<string, JsonObject> => ({
  flows: { id: { any_: [flow] } },
  flow_runs: { id: { any_: [run] } },
  task_runs: { id: { any_: [task] } },
  deployments: { id: { any_: [deployment] } },
});

async function eachCriterion(world: World, { path, key, shown, by }: List, ids: Ids): Promise<void> {
  const mine = { [shown]: { like_: world.suffix } };
  for (const resource of by) {
    for (const [name, criterion] of Object.entries(criteriaOf(world, ids)[resource] ?? {})) {
      const body = resource === key ? { [key]: { ...mine, ...criterion } } : { [key]: mine, [resource]: criterion };
      await world.send(`${path} by ${resource}: ${name}`, `POST ${path}/filter`, {
        body,
        view: pick(shown),
        unordered: true,
      });
    }
  }
}

async function pages(world: World, path: string, ids: Ids): Promise<void> {
  const mine = { [path.slice(1)]: { name: { like_: world.suffix } } };
  const view = pick("name");
  for (const [resource, criterion] of Object.entries(oneOfEach(ids))) {
    const own = resource === path.slice(1) ? { [resource]: criterion } : { ...mine, [resource]: criterion };
    const body = { sort: "NAME_ASC", limit: 2, page: 1, ...own };
    await world.send(`${path} page by ${resource}`, `POST ${path}/paginate`, { body, view });
    await world.send(`${path} count by ${resource}`, `POST ${path}/count`, { body: own });
  }
  await world.send(`${path} page 2`, `POST ${path}/paginate`, {
    body: { ...mine, sort: "NAME_DESC", limit: 1, page: 2 },
    view,
  });
  await world.send(`${path} page 0`, `POST ${path}/paginate`, { body: { page: 0 } });
}

/** Two of everything: one that belongs together, and one that stands alone. */
async function makeWorld(world: World): Promise<Ids> {
  const flow = await aFlow(world, "flow-a");
  const alone = await aFlow(world, "flow-b");
  const pool = await aPool(world, "pool");
  const tags = [world.name("x"), world.name("y")];
  const deployment = await aDeployment(world, "dep-a", {
    flow_id: flow,
    work_pool_name: world.name("pool"),
    work_queue_name: "default",
    tags,
    paused: true,
    concurrency_limit: 3,
  });
  await aDeployment(world, "dep-b", { flow_id: alone });
  const run = (
    await world.send("world: deployed run", `POST /deployments/${deployment}/create_flow_run`, {
      body: {
        name: world.name("run-a"),
        tags,
        idempotency_key: world.name("key"),
        state: { type: "SCHEDULED", name: "Planned", state_details: { scheduled_time: "2098-01-01T00:00:00Z" } },
      },
      quiet: true,
    })
  ).id;
  await aFlowRun(world, "run-b", { flow_id: alone, flow_version: "7", state: { type: "RUNNING" } });
  const task = await aTaskRun(world, "task-a", { flow_run_id: run, tags, state: { type: "PENDING" } });
  await aTaskRun(world, "task-b", { flow_run_id: run });
  const child = await aFlowRun(world, "run-c", { flow_id: alone, parent_task_run_id: task });
  for (const [key, body] of Object.entries({ "art-a": { flow_run_id: run, task_run_id: task }, "art-b": {} })) {
    await world.send(`world: artifact ${key}`, "POST /artifacts/", {
      body: { key: world.name(key), type: "markdown", data: key, ...body },
      quiet: true,
    });
  }
  return { flow, alone, pool, deployment, run, task, child };
}
