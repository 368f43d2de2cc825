/** set_state from every state type to every state type, with and without force. */
import { aDeployment, aFlow, aPool, FUTURE, verdict } from "../builders.ts";
import type { JsonObject } from "../json.ts";
import type { Scenario, World } from "../play.ts";

export const flowRunGrid: Scenario = { name: "set-state-flow-runs", play: (world) => grid(world, "/flow_runs") };
export const deployedGrid: Scenario = { name: "set-state-deployed-flow-runs", play: playDeployed };
export const taskRunGrid: Scenario = { name: "set-state-task-runs", play: (world) => grid(world, "/task_runs") };
export const namedGrid: Scenario = { name: "set-state-named", play: playNamed };

const TYPES = [
  "SCHEDULED",
  "PENDING",
  "RUNNING",
  "COMPLETED",
  "FAILED",
  "CANCELLED",
  "CRASHED",
  "PAUSED",
  "CANCELLING",
];

const PERSISTED = { type: "reference", storage_key: "key", expiration: null, serializer: { type: "json" } };

function stateOf(type: string): JsonObject {
  return type === "SCHEDULED" ? { type, state_details: { scheduled_time: FUTURE } } : { type };
}

async function grid(world: World, path: string): Promise<void> {
  const flowId = await aFlow(world);
  const parent = await world.send("world: the flow run", "POST /flow_runs/", {
    body: { flow_id: flowId, state: { type: "RUNNING" } },
    quiet: true,
  });
  const runs = { flow: { flow_id: flowId }, task: { flow_run_id: parent.id, task_key: "task" } };
  for (const force of [false, true]) {
    for (const from of TYPES) {
      for (const to of TYPES) {
        const title = `${from} to ${to}${force ? " by force" : ""}`;
        const body: JsonObject = path === "/flow_runs" ? runs.flow : { ...runs.task, dynamic_key: title };
        await transition(world, { title, path, body, from: stateOf(from), to: stateOf(to), force });
      }
    }
  }
}

async function playDeployed(world: World): Promise<void> {
  const flowId = await aFlow(world);
  await aPool(world, "pool");
  const deploymentId = await aDeployment(world, "dep", {
    flow_id: flowId,
    work_pool_name: world.name("pool"),
    paused: true,
  });
  const path = "/flow_runs";
  const body = { flow_id: flowId, deployment_id: deploymentId };
  for (const from of TYPES) {
    for (const to of ["SCHEDULED", "PENDING", "RUNNING", "CANCELLING", "PAUSED"]) {
      await transition(world, { title: `${from} to ${to}`, path, body, from: stateOf(from), to: stateOf(to) });
    }
  }
}

async function playNamed(world: World): Promise<void> {
  const path = "/flow_runs";
  const body = { flow_id: await aFlow(world) };
  const future = { scheduled_time: FUTURE };
  const reschedule = { type: "PAUSED", name: "Suspended", state_details: { pause_reschedule: true } };
  const pairs: Record<string, { from: JsonObject; via?: JsonObject; to: JsonObject; with?: JsonObject }> = {
    "Pending to Submitting": { from: { type: "PENDING" }, to: { type: "PENDING", name: "Submitting" } },
    "Submitting to Pending": { from: { type: "PENDING", name: "Submitting" }, to: { type: "PENDING" } },
    "Submitting to Submitting": {
      from: { type: "PENDING", name: "Submitting" },
      to: { type: "PENDING", name: "Submitting" },
    },
    "Running to Pending": { from: { type: "RUNNING" }, to: { type: "PENDING", name: "Submitting" } },
    "Scheduled to Late": {
      from: { type: "SCHEDULED", state_details: future },
      to: { type: "SCHEDULED", name: "Late" },
    },
    "Pending to Late": { from: { type: "PENDING" }, to: { type: "SCHEDULED", name: "Late" } },
    "Late to Pending": {
      from: { type: "SCHEDULED", name: "Late", state_details: future },
      to: { type: "PENDING" },
    },
    "past Scheduled to Running": {
      from: { type: "SCHEDULED", state_details: { scheduled_time: "2020-01-01T00:00:00Z" } },
      to: { type: "RUNNING" },
    },
    "future Pending to Running": { from: { type: "PENDING", state_details: future }, to: { type: "RUNNING" } },
    "AwaitingRetry to Running": {
      from: { type: "SCHEDULED", name: "AwaitingRetry", state_details: { scheduled_time: "2020-01-01T00:00:00Z" } },
      to: { type: "RUNNING", name: "Retrying" },
    },
    "Running to Suspended": { from: { type: "RUNNING" }, to: reschedule },
    "Pending to Suspended": { from: { type: "PENDING" }, to: reschedule },
    "Suspended to Running": { from: reschedule, to: { type: "RUNNING" } },
    "Suspended to Scheduled": { from: reschedule, to: { type: "SCHEDULED", name: "Resuming", state_details: future } },
    "Suspended to Cancelling": { from: reschedule, to: { type: "CANCELLING" } },
    "timed out Paused to Running": {
      from: { type: "PAUSED", state_details: { pause_timeout: "2020-01-01T00:00:00Z" } },
      to: { type: "RUNNING" },
    },
    "timed out Paused to Cancelling": {
      from: { type: "PAUSED", state_details: { pause_timeout: "2020-01-01T00:00:00Z" } },
      to: { type: "CANCELLING" },
    },
    "Paused with timeout to Running": {
      from: { type: "PAUSED", state_details: { pause_timeout: FUTURE } },
      to: { type: "RUNNING" },
    },
    "persisted Completed to Running": {
      from: { type: "RUNNING" },
      via: { type: "COMPLETED", data: PERSISTED },
      to: { type: "RUNNING" },
    },
    "persisted Completed to Completed": {
      from: { type: "RUNNING" },
      via: { type: "COMPLETED", data: PERSISTED },
      to: { type: "COMPLETED", data: PERSISTED },
    },
    "persisted Completed to bare Completed": {
      from: { type: "RUNNING" },
      via: { type: "COMPLETED", data: PERSISTED },
      to: { type: "COMPLETED" },
    },
    "persisted Completed to Failed": {
      from: { type: "RUNNING" },
      via: { type: "COMPLETED", data: PERSISTED },
      to: { type: "FAILED" },
    },
    "unpersisted Completed to Running": {
      from: { type: "RUNNING" },
      via: { type: "COMPLETED", data: { type: "unpersisted" } },
      to: { type: "RUNNING" },
    },
    "Cancelling to Cancelled": { from: { type: "CANCELLING" }, to: { type: "CANCELLED", message: "done" } },
    "Cancelling to Completed": { from: { type: "CANCELLING" }, to: { type: "COMPLETED" } },
    "Cancelling with pid to Failed": {
      from: { type: "CANCELLING" },
      to: { type: "FAILED" },
      with: { infrastructure_pid: "12" },
    },
    "Scheduled with pid to Cancelling": {
      from: { type: "SCHEDULED", state_details: future },
      to: { type: "CANCELLING" },
      with: { infrastructure_pid: "12" },
    },
    "Pending with pid to Cancelling": {
      from: { type: "PENDING" },
      to: { type: "CANCELLING" },
      with: { infrastructure_pid: "12" },
    },
    "Paused with pid to Cancelling": {
      from: { type: "PAUSED" },
      to: { type: "CANCELLING" },
      with: { infrastructure_pid: "12" },
    },
    "Suspended with pid to Cancelling": {
      from: reschedule,
      to: { type: "CANCELLING" },
      with: { infrastructure_pid: "12" },
    },
    "Running with pid to Cancelling": {
      from: { type: "RUNNING" },
      to: { type: "CANCELLING" },
      with: { infrastructure_pid: "12" },
    },
    "Crashed to Cancelled": { from: { type: "CRASHED" }, to: { type: "CANCELLED" } },
  };
  for (const [title, pair] of Object.entries(pairs)) {
    await transition(world, { title, path, body, ...pair });
    await transition(world, { title: `${title} by force`, path, body, ...pair, force: true });
  }
}

interface Transition {
  title: string;
  path: string;
  body: JsonObject;
  from: JsonObject;
  /** An intermediate state, for states in which no run can be created. */
  via?: JsonObject;
  to: JsonObject;
  /** A change to the run between its creation and the transition. */
  with?: JsonObject;
  force?: boolean;
}

async function transition(world: World, asked: Transition): Promise<void> {
  const { title, path, body, from, to } = asked;
  const run = await world.send(`${title}: create`, `POST ${path}/`, { body: { ...body, state: from }, quiet: true });
  if (asked.via !== undefined) {
    await world.send(`${title}: on the way`, `POST ${path}/${run.id}/set_state`, { body: { state: asked.via } });
  }
  if (asked.with !== undefined) {
    await world.send(`${title}: change`, `PATCH ${path}/${run.id}`, { body: asked.with, quiet: true });
  }
  await world.send(title, `POST ${path}/${run.id}/set_state`, {
    body: { state: to, force: asked.force ?? false },
    view: verdict,
  });
}
