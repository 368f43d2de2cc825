/** Rules that need more than one transition: retries, pauses, resumptions, slots, caches. */
import { aDeployment, aFlow, aFlowRun, aPool, aTaskRun, FUTURE, verdict } from "../builders.ts";
import type { Json, JsonObject } from "../json.ts";
import { pick, type Answer, type Scenario, type World } from "../play.ts";

export const orchestration: Scenario = { name: "orchestration", play: playOrchestration };
export const slots: Scenario = { name: "slots", play: playSlots };

const COUNTS = pick(
  "state_type",
  "state_name",
  "run_count",
  "empirical_policy",
  "start_time",
  "end_time",
  "next_scheduled_start_time",
);

async function playOrchestration(world: World): Promise<void> {
  const flow = await aFlow(world);
  await flowRetries(world, flow);
  await taskRetries(world, flow);
  await pauses(world, flow);
  await resumptions(world, flow);
  await transitions(world, flow);
  await stoppedFlows(world, flow);
  await caches(world, flow);
  await names(world, flow);
  await backgroundTasks(world);
}

/** The slots of deployments and of tasks' tags. */
async function playSlots(world: World): Promise<void> {
  const flow = await aFlow(world);
  await deploymentLimits(world, flow);
  await tagLimits(world, flow);
}

function setState(
  world: World,
  step: { name: string; run: string; to: JsonObject; force?: boolean; path?: string },
): Promise<Answer> {
  return world.send(step.name, `POST ${step.path ?? "/flow_runs"}/${step.run}/set_state`, {
    body: { state: step.to, force: step.force ?? false },
    view: verdict,
  });
}

async function flowRetries(world: World, flow: string): Promise<void> {
  const run = await aFlowRun(world, "retry", { flow_id: flow, empirical_policy: { retries: 1, retry_delay: 0 } });
  await setState(world, { name: "retry: Running", run, to: { type: "RUNNING" } });
  await setState(world, { name: "retry: Failed once", run, to: { type: "FAILED", message: "first" } });
  await world.send("retry: run waits", `GET /flow_runs/${run}`, { view: COUNTS });
  await setState(world, { name: "retry: Running again", run, to: { type: "RUNNING" } });
  await setState(world, { name: "retry: Failed for good", run, to: { type: "FAILED", message: "second" } });
  await world.send("retry: run is over", `GET /flow_runs/${run}`, { view: COUNTS });
  await setState(world, { name: "retry: Scheduled by hand", run, to: { type: "SCHEDULED", name: "AwaitingRetry" } });
  const far = await aFlowRun(world, "far", {
    flow_id: flow,
    empirical_policy: { retries: 1, retry_delay: 100_000_000 },
  });
  await setState(world, { name: "far retry: Running", run: far, to: { type: "RUNNING" } });
  await setState(world, { name: "far retry: Failed", run: far, to: { type: "FAILED" } });
  await setState(world, { name: "far retry: too early", run: far, to: { type: "RUNNING" } });
  await setState(world, { name: "far retry: Crashed", run: far, to: { type: "CRASHED" } });
}

async function taskRetries(world: World, flow: string): Promise<void> {
  const parent = await aFlowRun(world, "parent", { flow_id: flow, state: { type: "RUNNING" } });
  const path = "/task_runs";
  const policy = { retries: 2, retry_delay: [0, 100_000_000] };
  const run = await aTaskRun(world, "retry", { flow_run_id: parent, empirical_policy: policy });
  await setState(world, { name: "task retry: Running", run, path, to: { type: "RUNNING" } });
  await setState(world, { name: "task retry: Failed once", run, path, to: { type: "FAILED" } });
  await setState(world, { name: "task retry: Retrying", run, path, to: { type: "RUNNING" } });
  await setState(world, { name: "task retry: Failed twice", run, path, to: { type: "FAILED" } });
  await setState(world, { name: "task retry: too early", run, path, to: { type: "RUNNING" } });
  await world.send("task retry: run", `GET /task_runs/${run}`, {
    view: pick("run_count", "flow_run_run_count", "state_name"),
  });
  const plain = await aTaskRun(world, "not retriable", { flow_run_id: parent, empirical_policy: { retries: 2 } });
  await setState(world, { name: "not retriable: Running", run: plain, path, to: { type: "RUNNING" } });
  await setState(world, {
    name: "not retriable: Failed",
    run: plain,
    path,
    to: { type: "FAILED", state_details: { retriable: false } },
  });
  await setState(world, { name: "not retriable: Running again", run: plain, path, to: { type: "RUNNING" } });
}

async function pauses(world: World, flow: string): Promise<void> {
  const run = await aFlowRun(world, "pause", { flow_id: flow, state: { type: "RUNNING" } });
  const paused = { type: "PAUSED", state_details: { pause_key: "one", pause_timeout: FUTURE } };
  await setState(world, {
    name: "pause: not by Pending",
    run: await aFlowRun(world, "pend", { flow_id: flow }),
    to: paused,
  });
  await setState(world, { name: "pause", run, to: paused });
  await world.send("pause: run", `GET /flow_runs/${run}`, { view: COUNTS });
  await world.send("pause: resume", `POST /flow_runs/${run}/resume`, { view: verdict });
  await world.send("pause: resumed run", `GET /flow_runs/${run}`, { view: COUNTS });
  await setState(world, { name: "pause: the same key fires once", run, to: paused });
  await setState(world, {
    name: "pause: another key",
    run,
    to: { type: "PAUSED", state_details: { pause_key: "two" } },
  });
  await setState(world, { name: "pause: to Pending", run, to: { type: "PENDING" } });
  await setState(world, { name: "pause: to Completed", run, to: { type: "COMPLETED" } });
  await setState(world, { name: "pause: Completed to Running", run, to: { type: "RUNNING" } });
  await world.send("pause: policy after leaving the end", `GET /flow_runs/${run}`, { view: COUNTS });
}

async function resumptions(world: World, flow: string): Promise<void> {
  const run = await aFlowRun(world, "resume", { flow_id: flow, state: { type: "RUNNING" } });
  await world.send("resume: a running run", `POST /flow_runs/${run}/resume`, { body: {} });
  await world.send("resume: unknown run", `POST /flow_runs/${world.id("unknown")}/resume`, { view: verdict });
  const deployment = await aDeployment(world, "dep", { flow_id: flow });
  const suspended = await aFlowRun(world, "suspend", {
    flow_id: flow,
    deployment_id: deployment,
    state: { type: "RUNNING" },
  });
  await setState(world, {
    name: "suspend",
    run: suspended,
    to: { type: "PAUSED", name: "Suspended", state_details: { pause_reschedule: true, pause_timeout: FUTURE } },
  });
  await world.send("suspend: resume", `POST /flow_runs/${suspended}/resume`, { view: verdict });
  await world.send("suspend: resumed run", `GET /flow_runs/${suspended}`, { view: COUNTS });
  const asking = await aFlowRun(world, "asking", { flow_id: flow, state: { type: "RUNNING" } });
  const keyset = { schema: "s-schema", response: "s-response", description: "s-description" };
  await setState(world, {
    name: "ask: pause for input",
    run: asking,
    to: { type: "PAUSED", state_details: { run_input_keyset: keyset } },
  });
  const resume = `POST /flow_runs/${asking}/resume`;
  await world.send("ask: no schema yet", resume, { body: { run_input: { n: 1 } }, view: verdict });
  await world.send("ask: schema", `POST /flow_runs/${asking}/input`, {
    body: {
      key: "s-schema",
      value: JSON.stringify({ type: "object", properties: { n: { type: "integer" } }, required: ["n"] }),
    },
    quiet: true,
  });
  await world.send("ask: wrong type", resume, { body: { run_input: { n: "x" } }, view: verdict });
  await world.send("ask: missing", resume, { body: {}, view: verdict });
  await world.send("ask: broken json", resume, {
    body: { run_input: { n: { __prefect_kind: "json", value: "{" } } },
    view: verdict,
  });
  await world.send("ask: right", resume, { body: { run_input: { n: 3 } }, view: verdict });
  await world.send("ask: answer is kept", `GET /flow_runs/${asking}/input/s-response`);
}

async function transitions(world: World, flow: string): Promise<void> {
  const run = await aFlowRun(world, "twice", { flow_id: flow });
  const transition_id = world.id("transition");
  const running = { type: "RUNNING", state_details: { transition_id } };
  await setState(world, { name: "transition: Running", run, to: running });
  await setState(world, { name: "transition: Running with the same id", run, to: running });
  await setState(world, {
    name: "transition: Running with another id",
    run,
    to: { type: "RUNNING", state_details: { transition_id: world.id("t2") } },
  });
  await setState(world, { name: "transition: Running without id", run, to: { type: "RUNNING" } });
  await world.send("transition: run", `GET /flow_runs/${run}`, { view: COUNTS });
  const early = await aFlowRun(world, "early", {
    flow_id: flow,
    state: { type: "SCHEDULED", state_details: { scheduled_time: FUTURE } },
  });
  await world.send("scheduled time is copied", `POST /flow_runs/${early}/set_state`, {
    body: { state: { type: "PENDING" } },
  });
  await setState(world, { name: "and waited for", run: early, to: { type: "RUNNING" } });
  await world.send("set state in full", `POST /flow_runs/${run}/set_state`, {
    body: { state: { type: "COMPLETED", name: "Fine", message: "m", state_details: { untrackable_result: true } } },
  });
  await world.send("set state without state", `POST /flow_runs/${run}/set_state`, { body: {} });
  await world.send("set an unknown state", `POST /flow_runs/${run}/set_state`, { body: { state: { type: "ASLEEP" } } });
  await world.send("set a state with an id", `POST /flow_runs/${run}/set_state`, {
    body: { state: { type: "FAILED", id: world.id("state"), timestamp: FUTURE } },
  });
  await world.send("states of the run", `GET /flow_run_states/?flow_run_id=${run}`, { view: pick("type", "name") });
}

async function deploymentLimits(world: World, flow: string): Promise<void> {
  await aPool(world, "pool");
  for (const strategy of ["ENQUEUE", "CANCEL_NEW"]) {
    const deployment = await aDeployment(world, strategy.toLowerCase(), {
      flow_id: flow,
      work_pool_name: world.name("pool"),
      concurrency_limit: 1,
      concurrency_options: { collision_strategy: strategy },
    });
    const state = { type: "SCHEDULED", state_details: { scheduled_time: "2020-01-01T00:00:00Z" } };
    const body = { flow_id: flow, deployment_id: deployment, state };
    const first = await aFlowRun(world, `${strategy}1`, body);
    const second = await aFlowRun(world, `${strategy}2`, body);
    const pending = { type: "PENDING" };
    await world.send(`${strategy}: first is Pending`, `POST /flow_runs/${first}/set_state`, {
      body: { state: pending },
    });
    await setState(world, { name: `${strategy}: second finds no slot`, run: second, to: pending });
    await world.send(`${strategy}: slots`, `GET /deployments/${deployment}`, {
      view: pick("global_concurrency_limit.limit", "global_concurrency_limit.active_slots"),
    });
    await setState(world, { name: `${strategy}: first is Running`, run: first, to: { type: "RUNNING" } });
    await setState(world, { name: `${strategy}: first is Completed`, run: first, to: { type: "COMPLETED" } });
    await world.send(`${strategy}: slots are free`, `GET /deployments/${deployment}`, {
      view: pick("global_concurrency_limit.active_slots"),
    });
    await setState(world, { name: `${strategy}: second asks again`, run: second, to: pending });
  }
}

async function tagLimits(world: World, flow: string): Promise<void> {
  const parent = await aFlowRun(world, "limited", { flow_id: flow, state: { type: "RUNNING" } });
  const tag = world.name("limited");
  const path = "/task_runs";
  await world.send("tag limit", "POST /concurrency_limits/", { body: { tag, concurrency_limit: 1 } });
  const first = await aTaskRun(world, "limited1", { flow_run_id: parent, tags: [tag] });
  const second = await aTaskRun(world, "limited2", { flow_run_id: parent, tags: [tag] });
  await setState(world, { name: "tag limit: first runs", run: first, path, to: { type: "RUNNING" } });
  await setState(world, { name: "tag limit: second waits", run: second, path, to: { type: "RUNNING" } });
  await world.send("tag limit: slot is taken", `GET /concurrency_limits/tag/${tag}`);
  await setState(world, { name: "tag limit: first ends", run: first, path, to: { type: "COMPLETED" } });
  await world.send("tag limit: slot is free", `GET /concurrency_limits/tag/${tag}`, {
    view: pick("active_slots", "concurrency_limit"),
  });
  await setState(world, { name: "tag limit: second runs", run: second, path, to: { type: "RUNNING" } });
  await world.send("tag limit: gone", `DELETE /concurrency_limits/tag/${tag}`);
  const none = world.name("none");
  await world.send("tag limit of 0", "POST /concurrency_limits/", {
    body: { tag: none, concurrency_limit: 0 },
    quiet: true,
  });
  const third = await aTaskRun(world, "limited3", { flow_run_id: parent, tags: [none] });
  await setState(world, { name: "tag limit of 0: aborted", run: third, path, to: { type: "RUNNING" } });
  await world.send("tag limit of 0: gone", `DELETE /concurrency_limits/tag/${none}`);
}

async function stoppedFlows(world: World, flow: string): Promise<void> {
  for (const type of ["COMPLETED", "FAILED", "CANCELLED", "CANCELLING", "PENDING", "PAUSED"]) {
    const parent = await aFlowRun(world, `stopped-${type}`, { flow_id: flow, state: { type } });
    const run = await aTaskRun(world, `of-${type}`, { flow_run_id: parent });
    await setState(world, { name: `task of a ${type} flow run`, run, path: "/task_runs", to: { type: "RUNNING" } });
  }
}

async function caches(world: World, flow: string): Promise<void> {
  const parent = await aFlowRun(world, "caching", { flow_id: flow, state: { type: "RUNNING" } });
  const path = "/task_runs";
  const cached = { state_details: { cache_key: world.name("cache") } };
  const first = await aTaskRun(world, "cache1", { flow_run_id: parent });
  const second = await aTaskRun(world, "cache2", { flow_run_id: parent });
  const third = await aTaskRun(world, "cache3", { flow_run_id: parent });
  await setState(world, { name: "cache: first runs", run: first, path, to: { type: "RUNNING", ...cached } });
  await setState(world, { name: "cache: first ends", run: first, path, to: { type: "COMPLETED", ...cached } });
  await setState(world, { name: "cache: second is cached", run: second, path, to: { type: "RUNNING", ...cached } });
  await setState(world, {
    name: "cache: third refreshes",
    run: third,
    path,
    to: { type: "RUNNING", state_details: { ...cached.state_details, refresh_cache: true } },
  });
}

async function names(world: World, flow: string): Promise<void> {
  const parent = await aFlowRun(world, "rerun", { flow_id: flow, state: { type: "RUNNING" } });
  const path = "/task_runs";
  const run = await aTaskRun(world, "rerun", { flow_run_id: parent });
  await setState(world, { name: "rerun: first", run, path, to: { type: "RUNNING" } });
  await setState(world, { name: "rerun: Pending between", run, path, to: { type: "PENDING" } });
  await setState(world, { name: "rerun: second", run, path, to: { type: "RUNNING" } });
  await setState(world, { name: "rerun: Completed", run, path, to: { type: "COMPLETED" } });
  await setState(world, { name: "rerun: third", run, path, to: { type: "RUNNING" } });
  const counts = (body: Json): Json => pick("run_count", "flow_run_run_count", "state_name")(body);
  await world.send("rerun: run", `GET /task_runs/${run}`, { view: counts });
}

/** Task runs without a flow run wait for a task worker and have their own policy. */
async function backgroundTasks(world: World): Promise<void> {
  const path = "/task_runs";
  const deferred = { deferred: true, task_parameters_id: world.id("parameters") };
  const run = await aTaskRun(world, "background", {
    task_key: world.name("background"),
    empirical_policy: { retries: 1, retry_delay: 0 },
    state: { type: "SCHEDULED", state_details: deferred },
  });
  await world.send("background: run", `GET /task_runs/${run}`);
  await world.send("background: Pending", `POST /task_runs/${run}/set_state`, { body: { state: { type: "PENDING" } } });
  await setState(world, { name: "background: Pending again", run, path, to: { type: "PENDING" } });
  await world.send("background: Running", `POST /task_runs/${run}/set_state`, { body: { state: { type: "RUNNING" } } });
  await setState(world, { name: "background: Failed", run, path, to: { type: "FAILED" } });
  await setState(world, { name: "background: Pending for the retry", run, path, to: { type: "PENDING" } });
  await setState(world, { name: "background: Running once more", run, path, to: { type: "RUNNING" } });
  await setState(world, { name: "background: Completed", run, path, to: { type: "COMPLETED" } });
  await setState(world, { name: "background: Completed to Pending", run, path, to: { type: "PENDING" } });
}
