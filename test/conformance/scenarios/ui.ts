/** The routes that only the user interface calls. */
import { aDeployment, aFlow, aFlowRun, aTaskRun, FUTURE } from "../builders.ts";
import type { JsonObject } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const ui: Scenario = { name: "ui", play: playUi };

async function playUi(world: World): Promise<void> {
  const flow = await aFlow(world);
  const idle = await aFlow(world, "idle");
  await aDeployment(world, "dep", { flow_id: flow });
  const at = (time: string): JsonObject => ({ type: "SCHEDULED", state_details: { scheduled_time: time } });
  const first = await aFlowRun(world, "first", { flow_id: flow, state: at("2098-01-01T00:00:00Z") });
  await aFlowRun(world, "second", { flow_id: flow, state: at("2098-01-02T00:00:00Z") });
  const running = await aFlowRun(world, "running", { flow_id: flow, state: { type: "RUNNING" } });
  const task = await aTaskRun(world, "done", { flow_run_id: running });
  await world.send("world: task runs", `POST /task_runs/${task}/set_state`, {
    body: { state: { type: "RUNNING" } },
    quiet: true,
  });
  await world.send("world: task ends", `POST /task_runs/${task}/set_state`, {
    body: { state: { type: "COMPLETED" } },
    quiet: true,
  });
  const failed = await aTaskRun(world, "failed", { flow_run_id: running, state: { type: "PENDING" } });
  await world.send("world: task fails", `POST /task_runs/${failed}/set_state`, {
    body: { state: { type: "FAILED" } },
    quiet: true,
  });
  const flow_runs = { id: { any_: [first, running] } };
  await world.send("history", "POST /ui/flow_runs/history", {
    body: { flow_runs, sort: "NAME_ASC" },
    view: pick("id", "state_type", "timestamp"),
  });
  await world.send("history with limit 1001", "POST /ui/flow_runs/history", { body: { flow_runs, limit: 1001 } });
  await world.send("task runs by flow run", "POST /ui/flow_runs/count-task-runs", {
    body: { flow_run_ids: [first, running] },
  });
  await world.send("task runs by no flow run", "POST /ui/flow_runs/count-task-runs", { body: {} });
  await world.send("deployments by flow", "POST /ui/flows/count-deployments", { body: { flow_ids: [flow, idle] } });
  await world.send("next runs by flow", "POST /ui/flows/next-runs", { body: { flow_ids: [flow, idle] } });
  const task_runs = { flow_run_id: { any_: [running] } };
  await world.send("task runs by state", "POST /ui/task_runs/count", { body: { task_runs } });
  await world.send("dashboard without start", "POST /ui/task_runs/dashboard/counts", { body: { task_runs } });
  await world.send("dashboard of the future", "POST /ui/task_runs/dashboard/counts", {
    body: { task_runs: { ...task_runs, start_time: { after_: "2098-01-01T00:00:00Z", before_: FUTURE } } },
  });
  await world.send("task run with its flow run", `GET /ui/task_runs/${task}`, {
    view: pick("id", "name", "flow_run_name", "state_type"),
  });
  await world.send("unknown task run", `GET /ui/task_runs/${world.id("unknown")}`);
  await validation(world);
}

async function validation(world: World): Promise<void> {
  const schema = { type: "object", properties: { n: { type: "integer" }, s: { type: "string" } }, required: ["n"] };
  const values: Record<string, JsonObject> = {
    right: { n: 1, s: "x" },
    missing: { s: "x" },
    "wrong type": { n: "one" },
    "unknown value": { n: 1, z: 1 },
    json: { n: { __prefect_kind: "json", value: "5" } },
    "broken json": { n: { __prefect_kind: "json", value: "{" } },
    "no kind of value": { n: { __prefect_kind: "none", value: 3 } },
    variable: { n: 1, s: { __prefect_kind: "workspace_variable", variable_name: world.name("none") } },
  };
  for (const [name, value] of Object.entries(values)) {
    await world.send(`validate: ${name}`, "POST /ui/schemas/validate", { body: { schema, values: value } });
  }
  await world.send("validate against no schema", "POST /ui/schemas/validate", {
    body: { schema: { type: "thing" }, values: {} },
  });
}
