/** Flow runs: create, read, change, page, count, history, lateness, input, labels, graph, bulk, delete. */
import { aDeployment, aFlow, aFlowRun, aPool, aTaskRun, FUTURE, verdict } from "../builders.ts";
import type { Json, JsonObject } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const flowRuns: Scenario = { name: "flow-runs", play: playFlowRuns };

const SCHEDULED: JsonObject = { type: "SCHEDULED", state_details: { scheduled_time: FUTURE } };

async function playFlowRuns(world: World): Promise<void> {
  const flowId = await aFlow(world);
  await creation(world, flowId);
  await changes(world, flowId);
  await input(world, flowId);
  await pages(world, flowId);
  await history(world, flowId);
  await graph(world, flowId);
  await logs(world, flowId);
  await bulk(world, flowId);
  await deletion(world, flowId);
  await unknown(world);
}

async function creation(world: World, flowId: string): Promise<void> {
  const post = "POST /flow_runs/";
  const bare = await world.send("create bare", post, { body: { flow_id: flowId } });
  await world.send("read", `GET /flow_runs/${bare.id}`);
  await world.send("create with all fields", post, {
    body: {
      name: world.name("full"),
      flow_id: flowId,
      flow_version: "1.2",
      parameters: { x: 1, y: { z: [null, "a"] } },
      context: { a: "b" },
      tags: ["red", "blue"],
      labels: { team: "a" },
      idempotency_key: world.name("key"),
      empirical_policy: { retries: 2, retry_delay: 5, retry_type: "in_process", pause_keys: ["p"], resuming: true },
      state: SCHEDULED,
      job_variables: { image: "x" },
    },
  });
  await world.send("same idempotency key", post, {
    body: { flow_id: flowId, idempotency_key: world.name("key"), name: world.name("other"), tags: ["new"] },
  });
  const otherFlow = await aFlow(world, "other-flow");
  await world.send("same key, other flow", post, {
    body: { flow_id: otherFlow, idempotency_key: world.name("key") },
    view: pick("idempotency_key", "flow_id"),
  });
  for (const type of ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "CANCELLING"]) {
    await world.send(`create ${type}`, post, { body: { flow_id: flowId, state: { type, message: "from birth" } } });
  }
  await world.send("create with old policy fields", post, {
    body: { flow_id: flowId, empirical_policy: { max_retries: 3, retry_delay_seconds: 7.5 } },
    view: pick("empirical_policy"),
  });
  await world.send("create with state details", post, {
    body: {
      flow_id: flowId,
      state: {
        type: "SCHEDULED",
        name: "Odd",
        message: "m",
        state_details: { scheduled_time: FUTURE, cache_key: "k" },
      },
    },
  });
  await aPool(world, "pool");
  await world.send("create in a pool", post, {
    body: { flow_id: flowId, work_pool_name: world.name("pool"), state: SCHEDULED, job_variables: { a: 1 } },
  });
  await world.send("create in a queue", post, {
    body: { flow_id: flowId, work_pool_name: world.name("pool"), work_queue_name: "default", state: SCHEDULED },
    view: pick("work_pool_name", "work_queue_name", "work_pool_id", "work_queue_id"),
  });
  await world.send("create in an unknown queue", post, {
    body: { flow_id: flowId, work_pool_name: world.name("pool"), work_queue_name: "nope" },
  });
  await world.send("create in an unknown pool", post, {
    body: { flow_id: flowId, work_pool_name: world.name("nopool") },
  });
  await world.send("unknown flow", post, { body: { flow_id: world.id("unknown flow") } });
  await world.send("unknown deployment", post, { body: { flow_id: flowId, deployment_id: world.id("unknown dep") } });
  await world.send("created by an automation", post, {
    body: { flow_id: flowId },
    headers: { "prefect-automation-id": world.id("automation"), "prefect-automation-name": "bXkgYXV0b21hdGlvbg==" },
    view: pick("created_by"),
  });
  await world.send("no flow", post, { body: { name: "x" } });
  await world.send("flow is no uuid", post, { body: { flow_id: "flow" } });
  await world.send("unknown state type", post, { body: { flow_id: flowId, state: { type: "DREAMING" } } });
  await world.send("unknown field", post, { body: { flow_id: flowId, colour: 1 } });
  await world.send("parameters are a list", post, { body: { flow_id: flowId, parameters: [] } });
  await world.send("parameters too large", post, {
    body: { flow_id: flowId, parameters: { x: "y".repeat(524_300) } },
    view: pick("id"),
  });
  await world.send("null name", post, { body: { flow_id: flowId, name: null }, view: pick("id", "name") });
}

async function changes(world: World, flowId: string): Promise<void> {
  const run = await aFlowRun(world, "change", { flow_id: flowId, tags: ["a"], parameters: { x: 1 }, labels: { a: 1 } });
  const patch = `PATCH /flow_runs/${run}`;
  await world.send("change name", patch, { body: { name: world.name("renamed") } });
  await world.send("change tags and version", patch, { body: { tags: ["b"], flow_version: "3" } });
  await world.send("change parameters", patch, { body: { parameters: { y: 2 } } });
  await world.send("change policy", patch, { body: { empirical_policy: { retries: 1, retry_delay: 2 } } });
  await world.send("change pid", patch, { body: { infrastructure_pid: "host:1" } });
  await world.send("change nothing", patch, { body: {} });
  await world.send("changed", `GET /flow_runs/${run}`);
  await world.send("change job variables of a pending run", patch, { body: { job_variables: { a: 1 } } });
  const scheduled = await aFlowRun(world, "scheduled", { flow_id: flowId, state: SCHEDULED });
  await world.send("change job variables without deployment", `PATCH /flow_runs/${scheduled}`, {
    body: { job_variables: { a: 1 } },
  });
  await world.send("change an unknown field", patch, { body: { state: "x" } });
  const labels = `PATCH /flow_runs/${run}/labels`;
  await world.send("add labels", labels, { body: { b: "two", c: true } });
  await world.send("labels added", `GET /flow_runs/${run}`, { view: pick("labels") });
  await world.send("bad label", labels, { body: { b: [1] } });
  await world.send("labels are a list", labels, { body: [] });
  await world.send("labels of an unknown run", `PATCH /flow_runs/${world.id("unknown l")}/labels`, { body: { a: 1 } });
}

async function input(world: World, flowId: string): Promise<void> {
  const run = await aFlowRun(world, "input", { flow_id: flowId });
  const path = `/flow_runs/${run}/input`;
  await world.send("add input", `POST ${path}`, { body: { key: "k1", value: '{"a": 1}', sender: "me" } });
  await world.send("add more input", `POST ${path}`, { body: { key: "k2", value: "text" }, quiet: true });
  await world.send("add other input", `POST ${path}`, { body: { key: "other", value: "text" }, quiet: true });
  await world.send("add input again", `POST ${path}`, { body: { key: "k1", value: "2" } });
  await world.send("read input", `GET ${path}/k1`);
  await world.send("read text input", `GET ${path}/k2`);
  await world.send("read unknown input", `GET ${path}/k3`);
  await world.send("filter input", `POST ${path}/filter`, { body: { prefix: "k" } });
  await world.send("filter more input", `POST ${path}/filter`, {
    body: { prefix: "k", limit: 5, exclude_keys: ["k1"] },
  });
  await world.send("filter input without prefix", `POST ${path}/filter`, { body: {} });
  await world.send("filter input, percent is no wildcard", `POST ${path}/filter`, { body: { prefix: "%" } });
  await world.send("input without value", `POST ${path}`, { body: { key: "k9" } });
  await world.send("input of unknown run", `POST /flow_runs/${world.id("unknown i")}/input`, {
    body: { key: "k", value: "1" },
  });
  await world.send("delete input", `DELETE ${path}/k1`);
  await world.send("delete input again", `DELETE ${path}/k1`);
}

async function pages(world: World, flowId: string): Promise<void> {
  const flow_runs = { tags: { all_: [world.name("paged")] } };
  for (const name of ["p-1", "p-2", "p-3"]) {
    await aFlowRun(world, name, { flow_id: flowId, tags: [world.name("paged")] });
  }
  const body = { flow_runs, sort: "NAME_ASC" };
  const names = pick("name");
  await world.send("limit and offset", "POST /flow_runs/filter", {
    body: { ...body, limit: 1, offset: 1 },
    view: names,
  });
  await world.send("limit 0", "POST /flow_runs/filter", { body: { ...body, limit: 0 } });
  await world.send("a whole run in a list", "POST /flow_runs/filter", { body: { ...body, limit: 1 } });
  await world.send("page 1", "POST /flow_runs/paginate", { body: { ...body, limit: 2 }, view: names });
  await world.send("page 2", "POST /flow_runs/paginate", { body: { ...body, limit: 2, page: 2 }, view: names });
  await world.send("page of nothing", "POST /flow_runs/paginate", { body: { ...body, limit: 2, page: 9 } });
  await world.send("page with limit 0", "POST /flow_runs/paginate", { body: { ...body, limit: 0 } });
  await world.send("a whole page", "POST /flow_runs/paginate", { body: { ...body, limit: 1 } });
  await world.send("page 0", "POST /flow_runs/paginate", { body: { ...body, page: 0 } });
  await world.send("count", "POST /flow_runs/count", { body: { flow_runs } });
}

async function history(world: World, flowId: string): Promise<void> {
  const tag = world.name("history");
  const at = (day: string): JsonObject => ({
    type: "SCHEDULED",
    state_details: { scheduled_time: `2098-01-0${day}T06:00:00Z` },
  });
  await aFlowRun(world, "h-1", { flow_id: flowId, tags: [tag], state: at("1") });
  await aFlowRun(world, "h-2", { flow_id: flowId, tags: [tag], state: at("1") });
  await aFlowRun(world, "h-3", { flow_id: flowId, tags: [tag], state: { ...at("3"), name: "Late" } });
  const body = {
    history_start: "2098-01-01T00:00:00Z",
    history_end: "2098-01-04T00:00:00Z",
    history_interval_seconds: 86_400,
    flow_runs: { tags: { all_: [tag] } },
  };
  await world.send("history by day", "POST /flow_runs/history", { body });
  await world.send("history of two days", "POST /flow_runs/history", {
    body: { ...body, history_interval_seconds: 172_800 },
  });
  await world.send("history ends before it begins", "POST /flow_runs/history", {
    body: { ...body, history_end: "2097-01-01T00:00:00Z" },
  });
  await world.send("history of half seconds", "POST /flow_runs/history", {
    body: { ...body, history_interval_seconds: 0.5 },
  });
  await world.send("history without start", "POST /flow_runs/history", {
    body: { history_end: FUTURE, history_interval_seconds: 60 },
  });
  const sign = (value: Json): Json => (typeof value === "number" ? Math.sign(value) : value);
  await world.send("lateness of future runs", "POST /flow_runs/lateness", {
    body: { flow_runs: { tags: { all_: [tag] } } },
    view: sign,
  });
  await aFlowRun(world, "late-run", {
    flow_id: flowId,
    tags: [world.name("late")],
    state: { type: "SCHEDULED", state_details: { scheduled_time: "2020-01-01T00:00:00Z" } },
  });
  await world.send("lateness of a late run", "POST /flow_runs/lateness", {
    body: { flow_runs: { tags: { all_: [world.name("late")] } } },
    view: sign,
  });
  await world.send("lateness of nothing", "POST /flow_runs/lateness", { body: { flow_runs: { id: { any_: [] } } } });
}

async function graph(world: World, flowId: string): Promise<void> {
  const run = await aFlowRun(world, "graph", { flow_id: flowId, state: { type: "RUNNING" } });
  const first = await aTaskRun(world, "g-1", { flow_run_id: run, state: { type: "RUNNING" } });
  const second = await aTaskRun(world, "g-2", {
    flow_run_id: run,
    state: { type: "RUNNING" },
    task_inputs: { x: [{ input_type: "task_run", id: first }] },
  });
  await aFlowRun(world, "g-child", { flow_id: flowId, parent_task_run_id: second, state: { type: "RUNNING" } });
  await world.send("graph", `GET /flow_runs/${run}/graph`, { unordered: true });
  await world.send("graph v2", `GET /flow_runs/${run}/graph-v2`);
  await world.send("graph v2 since the future", `GET /flow_runs/${run}/graph-v2?since=${FUTURE}`);
  await world.send("graph of unknown run", `GET /flow_runs/${world.id("unknown g")}/graph`);
  await world.send("graph v2 of unknown run", `GET /flow_runs/${world.id("unknown g2")}/graph-v2`);
}

async function logs(world: World, flowId: string): Promise<void> {
  const run = await aFlowRun(world, "logged", { flow_id: flowId });
  const line = { name: "prefect.flow", level: 20, flow_run_id: run };
  await world.send("download no logs", `GET /flow_runs/${run}/logs/download`);
  await world.send("add logs", "POST /logs/", {
    body: [
      { ...line, message: "one", timestamp: "2098-01-01T00:00:00Z" },
      { ...line, message: 'two, "quoted"', timestamp: "2098-01-01T00:00:01.5Z", level: 40 },
    ],
  });
  await world.send("download logs", `GET /flow_runs/${run}/logs/download`);
  await world.send("download unknown logs", `GET /flow_runs/${world.id("unknown d")}/logs/download`);
}

async function bulk(world: World, flowId: string): Promise<void> {
  const tag = world.name("bulk");
  for (const name of ["b-1", "b-2", "b-3"]) {
    await aFlowRun(world, name, { flow_id: flowId, tags: [tag], state: SCHEDULED });
  }
  await aFlowRun(world, "b-4", { flow_id: flowId, tags: [tag], state: { type: "COMPLETED" } });
  const flow_runs = { tags: { all_: [tag] } };
  const verdicts = (body: Json): Json => {
    const results = typeof body === "object" && body !== null && !Array.isArray(body) ? body["results"] : null;
    if (!Array.isArray(results)) return body;
    return results
      .map(verdict)
      .map((one) => JSON.stringify(one))
      .sort();
  };
  await world.send("bulk set state", "POST /flow_runs/bulk_set_state", {
    body: { flow_runs, state: { type: "CANCELLING" } },
    view: verdicts,
  });
  await world.send("bulk set state by force", "POST /flow_runs/bulk_set_state", {
    body: { flow_runs, state: { type: "FAILED", message: "forced" }, force: true },
    view: verdicts,
  });
  await world.send("bulk set state of nothing", "POST /flow_runs/bulk_set_state", {
    body: { flow_runs: { id: { any_: [] } }, state: { type: "FAILED" } },
  });
  await world.send("bulk set state without state", "POST /flow_runs/bulk_set_state", { body: { flow_runs } });
  await world.send("bulk set state of one, in full", "POST /flow_runs/bulk_set_state", {
    body: { flow_runs: { name: { any_: [world.name("b-1")] } }, state: { type: "COMPLETED" } },
  });
  await world.send("bulk set state of 51", "POST /flow_runs/bulk_set_state", {
    body: { flow_runs, state: { type: "FAILED" }, limit: 51 },
  });
  await world.send("bulk delete nothing", "POST /flow_runs/bulk_delete", { body: { flow_runs: { id: { any_: [] } } } });
  await world.send("bulk delete", "POST /flow_runs/bulk_delete", {
    body: { flow_runs: { name: { any_: [world.name("b-1")] } } },
  });
  await world.send("bulk delete of 51", "POST /flow_runs/bulk_delete", { body: { flow_runs, limit: 51 } });
  await world.send("left after bulk delete", "POST /flow_runs/filter", {
    body: { flow_runs, sort: "NAME_ASC" },
    view: pick("name", "state_name"),
  });
}

async function deletion(world: World, flowId: string): Promise<void> {
  const run = await aFlowRun(world, "doomed", { flow_id: flowId });
  const task = await aTaskRun(world, "doomed", { flow_run_id: run });
  await aPool(world, "pool2");
  await aDeployment(world, "doomed", { flow_id: flowId, work_pool_name: world.name("pool2") });
  await world.send("delete", `DELETE /flow_runs/${run}`);
  await world.send("delete again", `DELETE /flow_runs/${run}`);
  await world.send("its task run is gone", `GET /task_runs/${task}`);
  await world.send("set state of the deleted", `POST /flow_runs/${run}/set_state`, {
    body: { state: { type: "RUNNING" } },
  });
}

async function unknown(world: World): Promise<void> {
  await world.send("read unknown", `GET /flow_runs/${world.id("unknown")}`);
  await world.send("change unknown", `PATCH /flow_runs/${world.id("unknown 2")}`, { body: { name: "x" } });
  await world.send("change job variables of unknown", `PATCH /flow_runs/${world.id("unknown 3")}`, {
    body: { job_variables: {} },
  });
  await world.send("delete unknown", `DELETE /flow_runs/${world.id("unknown 4")}`);
  await world.send("bad id", "GET /flow_runs/nonsense");
  await world.send("bad id of set state", "POST /flow_runs/nonsense/set_state", {
    body: { state: { type: "RUNNING" } },
  });
  await world.send("id in capitals reads", `GET /flow_runs/${world.id("unknown 5").toUpperCase()}`);
}
