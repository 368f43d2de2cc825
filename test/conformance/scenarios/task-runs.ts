/** Task runs: upsert, read, change, filter, page, history, states, delete. */
import { aDeployment, aFlow, aFlowRun, aTaskRun, filterBy, FUTURE } from "../builders.ts";
import type { JsonObject } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const taskRuns: Scenario = { name: "task-runs", play: playTaskRuns };
export const taskRunFilters: Scenario = { name: "task-run-filters", play: playFilters };
export const runStates: Scenario = { name: "run-states", play: playStates };

async function playTaskRuns(world: World): Promise<void> {
  const flow = await aFlow(world);
  const run = await aFlowRun(world, "parent", { flow_id: flow });
  const post = "POST /task_runs/";
  const base = { flow_run_id: run, task_key: "my.task" };
  const bare = await world.send("create bare", post, { body: { ...base, dynamic_key: "0" } });
  await world.send("create again", post, {
    body: { ...base, dynamic_key: "0", name: world.name("other"), tags: ["new"] },
  });
  await world.send("read", `GET /task_runs/${bare.id}`);
  const ownId = world.id("own id");
  await world.send("create with all fields", post, {
    body: {
      ...base,
      id: ownId,
      dynamic_key: "1",
      name: world.name("full"),
      task_version: "2",
      cache_key: "ck",
      cache_expiration: FUTURE,
      tags: ["a", "b"],
      labels: { team: "x" },
      empirical_policy: { retries: 2, retry_delay: [1, 2], retry_jitter_factor: 0.5 },
      task_inputs: {
        x: [{ input_type: "task_run", id: bare.id }],
        y: [
          { input_type: "parameter", name: "p" },
          { input_type: "constant", type: "int" },
        ],
        z: [{ input_type: "flow_run", id: run }],
      },
      state: { type: "SCHEDULED", state_details: { scheduled_time: FUTURE } },
    },
  });
  await world.send("read own id", `GET /task_runs/${ownId}`);
  await world.send("own id again with another key", post, {
    body: { ...base, id: ownId, dynamic_key: "2" },
    view: pick("id", "dynamic_key"),
  });
  await world.send("create without a flow run", post, { body: { task_key: "bg", dynamic_key: world.name("bg") } });
  await world.send("create for an unknown flow run", post, {
    body: { task_key: "t", dynamic_key: "0", flow_run_id: world.id("unknown run") },
  });
  for (const type of ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED"]) {
    await world.send(`create ${type}`, post, {
      body: { ...base, dynamic_key: type, state: { type, message: "m" } },
      view: pick(
        "state_type",
        "state_name",
        "run_count",
        "flow_run_run_count",
        "state.message",
        "start_time",
        "end_time",
      ),
    });
  }
  await refused(world, base);
  const patch = `PATCH /task_runs/${bare.id}`;
  await world.send("rename", patch, { body: { name: world.name("renamed") } });
  await world.send("renamed", `GET /task_runs/${bare.id}`, { view: pick("name", "tags") });
  await world.send("change nothing", patch, { body: {} });
  await world.send("name after changing nothing", `GET /task_runs/${bare.id}`, { view: pick("id", "name") });
  await world.send("change tags", patch, { body: { tags: ["x"] } });
  await world.send("change unknown", `PATCH /task_runs/${world.id("unknown")}`, { body: { name: "x" } });
  await world.send("read unknown", `GET /task_runs/${world.id("unknown 2")}`);
  await world.send("read bad id", "GET /task_runs/nonsense");
  await world.send("set state of unknown", `POST /task_runs/${world.id("unknown 3")}/set_state`, {
    body: { state: { type: "RUNNING" } },
  });
  await world.send("set state in full", `POST /task_runs/${bare.id}/set_state`, {
    body: { state: { type: "RUNNING" } },
  });
  await world.send("set state without state", `POST /task_runs/${bare.id}/set_state`, { body: {} });
  await world.send("set an unknown state", `POST /task_runs/${bare.id}/set_state`, {
    body: { state: { type: "ASLEEP" } },
  });
  await world.send("delete", `DELETE /task_runs/${bare.id}`);
  await world.send("delete again", `DELETE /task_runs/${bare.id}`);
}

async function refused(world: World, base: JsonObject): Promise<void> {
  const bodies: Record<string, JsonObject> = {
    "no task key": { dynamic_key: "x" },
    "no dynamic key": { task_key: "x" },
    "cache key too long": { ...base, dynamic_key: "r", cache_key: "k".repeat(2001) },
    "unknown input": { ...base, dynamic_key: "r", task_inputs: { x: [{ input_type: "magic" }] } },
    "retry delays too many": {
      ...base,
      dynamic_key: "r",
      empirical_policy: { retries: 1, retry_delay: Array<number>(51).fill(1) },
    },
    "negative jitter": { ...base, dynamic_key: "r", empirical_policy: { retries: 1, retry_jitter_factor: -1 } },
    "unknown field": { ...base, dynamic_key: "r", colour: 1 },
    "flow run is no uuid": { ...base, dynamic_key: "r", flow_run_id: "x" },
  };
  for (const [name, body] of Object.entries(bodies)) {
    await world.send(`refused: ${name}`, "POST /task_runs/", { body });
  }
}

async function playFilters(world: World): Promise<void> {
  const flow = await aFlow(world);
  const run = await aFlowRun(world, "parent", { flow_id: flow, tags: [world.name("ptag")] });
  const other = await aFlowRun(world, "other", { flow_id: flow });
  const deployment = await aDeployment(world, "dep", { flow_id: flow });
  const deployed = await aFlowRun(world, "deployed", { flow_id: flow, deployment_id: deployment });
  const [x, y] = [world.name("x"), world.name("y")];
  const scheduled = (time: string): JsonObject => ({ type: "SCHEDULED", state_details: { scheduled_time: time } });
  const made: Record<string, string> = {};
  const bodies: Record<string, JsonObject> = {
    "t-a": { flow_run_id: run, tags: [x, y], state: scheduled("2098-01-01T00:00:00Z") },
    "t-b": { flow_run_id: run, tags: [x], state: { ...scheduled("2098-01-02T00:00:00Z"), name: "AwaitingRetry" } },
    "t-c": { flow_run_id: other, state: { type: "RUNNING" } },
    "t-d": { flow_run_id: deployed, state: { type: "PENDING" } },
    "t-e": { flow_run_id: null, state: { type: "PENDING" } },
    "t-f": { flow_run_id: other, tags: [y], state: { type: "RUNNING" } },
  };
  for (const [name, body] of Object.entries(bodies)) {
    made[name] = await aTaskRun(world, name, { ...body, dynamic_key: world.name(name) });
  }
  await world.send("world: t-f ends", `POST /task_runs/${made["t-f"]}/set_state`, {
    body: { state: { type: "COMPLETED" } },
    quiet: true,
  });
  await aFlowRun(world, "child", { flow_id: flow, parent_task_run_id: made["t-c"] ?? null });
  const mine = { id: { any_: Object.values(made) } };
  const task_runs = mine;
  const date = "2098-01-01T12:00:00Z";
  await filterBy(
    world,
    { path: "/task_runs", key: "task_runs", sort: "NAME_ASC" },
    {
      "by ids": mine,
      "by no ids": { id: { any_: [] } },
      "by names": { name: { any_: [world.name("t-a"), world.name("t-c")] } },
      "by name like": { name: { like_: `t-%${world.suffix}` } },
      "by all tags": { tags: { all_: [x, y] } },
      "by one tag": { tags: { all_: [y] } },
      "without tags": { ...mine, tags: { is_null_: true } },
      "with tags": { ...mine, tags: { is_null_: false } },
      "by state type": { ...mine, state: { type: { any_: ["SCHEDULED", "RUNNING"] } } },
      "by state name": { ...mine, state: { name: { any_: ["AwaitingRetry"] } } },
      "by state type or name": {
        ...mine,
        state: { operator: "or_", type: { any_: ["RUNNING"] }, name: { any_: ["AwaitingRetry"] } },
      },
      "with subflow": { ...mine, subflow_runs: { exists_: true } },
      "without subflow": { ...mine, subflow_runs: { exists_: false } },
      started: { ...mine, start_time: { is_null_: false } },
      "not started": { ...mine, start_time: { is_null_: true } },
      "started before the future": { ...mine, start_time: { before_: FUTURE } },
      "started after the future": { ...mine, start_time: { after_: FUTURE } },
      ended: { ...mine, end_time: { is_null_: false } },
      "ended before the future": { ...mine, end_time: { before_: FUTURE } },
      "expected before": { ...mine, expected_start_time: { before_: date } },
      "expected after": { ...mine, expected_start_time: { after_: date } },
      "by flow run": { flow_run_id: { any_: [run] } },
      "without flow run": { ...mine, flow_run_id: { is_null_: true } },
      "with flow run": { ...mine, flow_run_id: { is_null_: false } },
      "of a flow run or of none": { ...mine, flow_run_id: { operator: "or_", any_: [run], is_null_: true } },
      either: { operator: "or_", name: { any_: [world.name("t-d")] }, tags: { all_: [y] } },
      "by flow": { $body: { task_runs, flows: { id: { any_: [flow] } } } },
      "by flow run name": { $body: { flow_runs: { name: { any_: [world.name("parent")] } } } },
      "by flow run tag": { $body: { task_runs, flow_runs: { tags: { all_: [world.name("ptag")] } } } },
      "by deployment": { $body: { deployments: { id: { any_: [deployment] } } } },
    },
  );
  const sorts = ["ID_DESC", "EXPECTED_START_TIME_ASC", "EXPECTED_START_TIME_DESC", "NAME_ASC", "NAME_DESC"];
  // The order of rows without the time of the sort is not defined, so at most one such row takes part.
  const someOf = (...wanted: string[]): JsonObject => ({ id: { any_: wanted.map((name) => made[name] ?? "") } });
  const some: Record<string, JsonObject> = {
    NEXT_SCHEDULED_START_TIME_ASC: someOf("t-b", "t-d", "t-a"),
    END_TIME_DESC: someOf("t-f", "t-d"),
  };
  for (const sort of [...sorts, "NEXT_SCHEDULED_START_TIME_ASC", "END_TIME_DESC", "START_TIME_ASC"]) {
    await world.send(`sort ${sort}`, "POST /task_runs/filter", {
      body: { task_runs: some[sort] ?? task_runs, sort },
      view: pick("name"),
      // Ids are random, so only the set of rows is the same in every play.
      unordered: sort === "ID_DESC",
    });
  }
  const body = { task_runs, sort: "NAME_ASC" };
  await world.send("limit and offset", "POST /task_runs/filter", { body: { ...body, limit: 1, offset: 1 } });
  await world.send("page 2", "POST /task_runs/paginate", { body: { ...body, limit: 4, page: 2 }, view: pick("name") });
  await world.send("page in full", "POST /task_runs/paginate", { body: { ...body, limit: 1 } });
  const history = {
    history_start: "2098-01-01T00:00:00Z",
    history_end: "2098-01-03T00:00:00Z",
    history_interval_seconds: 86_400,
    task_runs,
  };
  await world.send("history", "POST /task_runs/history", { body: history });
  await world.send("history of half seconds", "POST /task_runs/history", {
    body: { ...history, history_interval_seconds: 0.5 },
  });
  await world.send("refused criterion", "POST /task_runs/filter", { body: { task_runs: { colour: {} } } });
  await world.send("limit 201", "POST /task_runs/filter", { body: { ...body, limit: 201 } });
}

async function playStates(world: World): Promise<void> {
  const flow = await aFlow(world);
  const run = await aFlowRun(world, "run", { flow_id: flow });
  const set = `POST /flow_runs/${run}/set_state`;
  await world.send("to Running", set, { body: { state: { type: "RUNNING", message: "go" } } });
  const done = await world.send("to Completed", set, { body: { state: { type: "COMPLETED", data: null } } });
  await world.send("states of the run", `GET /flow_run_states/?flow_run_id=${run}`);
  await world.send("one state", `GET /flow_run_states/${done.text("state.id")}`);
  await world.send("unknown state", `GET /flow_run_states/${world.id("unknown")}`);
  await world.send("states of an unknown run", `GET /flow_run_states/?flow_run_id=${world.id("unknown 2")}`);
  await world.send("states of no run", "GET /flow_run_states/");
  await world.send("states of a bad run", "GET /flow_run_states/?flow_run_id=x");
  const task = await aTaskRun(world, "task", { flow_run_id: run });
  await world.send("task to Running", `POST /task_runs/${task}/set_state`, { body: { state: { type: "RUNNING" } } });
  const end = await world.send("task to Failed", `POST /task_runs/${task}/set_state`, {
    body: { state: { type: "FAILED", message: "no" } },
  });
  await world.send("states of the task run", `GET /task_run_states/?task_run_id=${task}`);
  await world.send("one task state", `GET /task_run_states/${end.text("state.id")}`);
  await world.send("unknown task state", `GET /task_run_states/${world.id("unknown 3")}`);
  await world.send("states of no task run", "GET /task_run_states/");
}
