/**
 * D1 loses the connection during a write and carries the write out later. At any time of the late write, the answer is
 * right about the write, and each slot is released once.
 */
import { createExecutionContext, env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { Database } from "#db/database";
import { CoreFlowPolicy, onlyWhile } from "#orchestration/policies";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import { setTaskRunState } from "#orchestration/set-task-run-state";
import { createFlowRun, createFlowRuns } from "#resources/flow-runs/create-flow-run";
import { createTaskRun } from "#resources/task-runs/create-task-run";
import { deleteFlowRuns } from "#resources/flow-runs/delete-flow-run";
import { FlowRunInputStore } from "#resources/flow-runs/input-store";
import { VariableStore } from "#resources/variables/store";
import { TaskRunCreate } from "#resources/task-runs/schema";
import { makeTools, type Tools } from "#tools";
import { LateD1, type LateD1Options } from "../support/late-d1";
import { tools as plainTools } from "../support/tools";
import { aDeployment, aFlow, aFlowRun, api, aRunOf, propose, unique, WORKSPACE } from "../support/world";

function toolsOver(options: LateD1Options): { tools: Tools; d1: LateD1 } {
  const context = createExecutionContext();
  const tools = makeTools(env, WORKSPACE, (work) => context.waitUntil(work));
  const d1 = new LateD1(options);
  return { d1, tools: { ...tools, db: new Database(d1.binding, tools.cost) } };
}

/** Enough points in time: each operation here makes fewer calls. */
const POINTS: [string, LateD1Options][] = [0, 1, 2, 3, 4, 5, 6].map((landsBefore) => [
  `before call ${landsBefore} after it`,
  { landsBefore },
]);
const WAYS: [string, LateD1Options][] = [
  ...POINTS,
  ["never", { landsBefore: 0, lands: false }],
  ...POINTS.map(([title, options]): [string, LateD1Options] => [`twice, ${title}`, { ...options, failures: 2 }]),
  ["never, twice", { landsBefore: 0, lands: false, failures: 2 }],
];

interface Shown {
  id: string;
  state_id: string;
  state_type: string;
}

const statesOf = async (id: string) =>
  (await api<{ id: string; type: string }[]>("GET", `/flow_run_states/?flow_run_id=${id}`)).body;
const taskStatesOf = async (id: string) =>
  (await api<{ id: string; type: string }[]>("GET", `/task_run_states/?task_run_id=${id}`)).body;
const shown = async (path: string) => (await api<Shown>("GET", path)).body;

async function aLimitedRun(state: Record<string, unknown> = { type: "SCHEDULED" }) {
  const deployment = await aDeployment({ concurrency_limit: 1 });
  const run = await aRunOf(deployment, { state });
  const slots = async () =>
    (await api<{ global_concurrency_limit: { active_slots: number } }>("GET", `/deployments/${deployment.id}`)).body
      .global_concurrency_limit.active_slots;
  return { deployment, run, slots };
}

async function aLimitedTaskRun() {
  const tag = unique("tag");
  await api("POST", "/concurrency_limits/", { tag, concurrency_limit: 1 });
  const flowRun = await aFlowRun({ state: { type: "RUNNING" } });
  const made = { flow_run_id: flowRun.id, task_key: "task", dynamic_key: "0", tags: [tag] };
  const { body: run } = await api<Shown>("POST", "/task_runs/", made);
  const slots = async () =>
    (await api<{ active_slots: string[] }>("GET", `/concurrency_limits/tag/${tag}`)).body.active_slots;
  return { flowRun, run, slots };
}

describe.for(WAYS)("a write that D1 carries out %s", ([, options]) => {
  test("makes a run RUNNING once, and the answer says so", async () => {
    const run = await aFlowRun({ state: { type: "PENDING" } });
    const { tools, d1 } = toolsOver(options);
    const answer = await setFlowRunState(tools, run.id, { type: "RUNNING" });
    await d1.settle();
    expect({ status: answer.decision.status, written: answer.written }).toEqual({ status: "ACCEPT", written: true });
    expect((await statesOf(run.id)).map(({ type }) => type)).toEqual(["PENDING", "RUNNING"]);
    expect(await shown(`/flow_runs/${run.id}`)).toMatchObject({
      state_id: answer.state?.id,
      state_type: "RUNNING",
      run_count: 1,
    });
  });

  test("makes a run PENDING once, with a slot that is given back at its end", async () => {
    const { run, slots } = await aLimitedRun();
    const { tools, d1 } = toolsOver(options);
    const answer = await setFlowRunState(tools, run.id, { type: "PENDING" });
    await d1.settle();
    expect(answer.decision).toMatchObject({ status: "ACCEPT", reason: null });
    expect((await shown(`/flow_runs/${run.id}`)).state_id).toBe(answer.state?.id);
    expect((await statesOf(run.id)).map(({ type }) => type)).toEqual(["SCHEDULED", "PENDING"]);
    expect(await slots()).toBe(1);
    await propose(run.id, { type: "COMPLETED" }, true);
    expect(await slots()).toBe(0);
  });

  test("does not become a refusal, and a refusal is final", async () => {
    const { run, slots } = await aLimitedRun();
    const { tools, d1 } = toolsOver(options);
    let asked = 0;
    // The policy accepts the first try, because the try is decided on the run that this isolate remembers.
    const policy = onlyWhile(() => ++asked <= 1, CoreFlowPolicy);
    const answer = await setFlowRunState(tools, run.id, { type: "PENDING" }, { policy });
    await d1.settle();
    const types = (await statesOf(run.id)).map(({ type }) => type);
    expect([answer.decision.status, types]).toEqual(
      answer.written ? ["ACCEPT", ["SCHEDULED", "PENDING"]] : ["ABORT", ["SCHEDULED"]],
    );
    expect(await slots()).toBe(answer.written ? 1 : 0);
  });

  test("makes a task run RUNNING once, with its slots", async () => {
    const { run, slots } = await aLimitedTaskRun();
    const { tools, d1 } = toolsOver(options);
    const answer = await setTaskRunState(tools, run.id, { type: "RUNNING" });
    await d1.settle();
    expect({ status: answer.decision.status, written: answer.written }).toEqual({ status: "ACCEPT", written: true });
    expect((await taskStatesOf(run.id)).map(({ type }) => type)).toEqual(["PENDING", "RUNNING"]);
    expect((await shown(`/task_runs/${run.id}`)).state_id).toBe(answer.state?.id);
    expect(await slots()).toEqual([run.id]);
    await api("POST", `/task_runs/${run.id}/set_state`, { state: { type: "COMPLETED" } });
    expect(await slots()).toEqual([]);
  });

  test.for([undefined, "key"])("creates one run, with the idempotency key %s", async (key) => {
    const flowId = await aFlow();
    const { tools, d1 } = toolsOver(options);
    const draft = { flow_id: flowId, ...(key && { idempotency_key: key }) };
    const { run, created } = await createFlowRun(tools, draft);
    await d1.settle();
    expect(created).toBe(true);
    const found = await api<Shown[]>("POST", "/flow_runs/filter", { flows: { id: { any_: [flowId] } } });
    expect(found.body.map(({ id }) => id)).toEqual([run.id]);
    expect((await statesOf(run.id)).map(({ id, type }) => ({ id, type }))).toEqual([
      { id: run.state_id, type: "PENDING" },
    ]);
  });

  test("creates each of many runs once, and does not create the existing run", async () => {
    const flowId = await aFlow();
    const { body: there } = await api<Shown>("POST", "/flow_runs/", { flow_id: flowId, idempotency_key: "there" });
    const { tools, d1 } = toolsOver(options);
    const drafts = ["a", "there", "b"].map((idempotency_key) => ({ flow_id: flowId, idempotency_key }));
    const made = await createFlowRuns(tools, drafts);
    await d1.settle();
    expect(made.map(({ created }) => created)).toEqual([true, false, true]);
    expect(made[1]?.run.id).toBe(there.id);
    const found = await api<Shown[]>("POST", "/flow_runs/filter", { flows: { id: { any_: [flowId] } } });
    expect(found.body.map(({ id }) => id).toSorted()).toEqual(made.map(({ run }) => run.id).toSorted());
  });

  test("creates one subflow, and its parent's task run gets the state once", async () => {
    const { run: task } = await aLimitedTaskRun();
    const { tools, d1 } = toolsOver(options);
    const draft = { flow_id: await aFlow(), parent_task_run_id: task.id, state: { type: "RUNNING" as const } };
    const { run, created } = await createFlowRun(tools, draft);
    await d1.settle();
    expect(created).toBe(true);
    expect((await shown(`/flow_runs/${run.id}`)).state_type).toBe("RUNNING");
    expect((await taskStatesOf(task.id)).map(({ type }) => type)).toEqual(["PENDING", "RUNNING"]);
  });

  test("deletes runs, and returns each of them", async () => {
    const runs = [await aFlowRun(), await aFlowRun()];
    const ids = [...runs.map(({ id }) => id), crypto.randomUUID()];
    const { tools, d1 } = toolsOver(options);
    const gone = await deleteFlowRuns(tools, ids);
    await d1.settle();
    expect(gone).toEqual(ids.slice(0, 2));
    for (const id of gone) expect((await api("GET", `/flow_runs/${id}`)).status).toBe(404);
  });

  test("creates one variable, and does not report its name as a conflict", async () => {
    const { tools, d1 } = toolsOver(options);
    const store = new VariableStore({ db: tools.db, workspaceId: WORKSPACE });
    const name = unique("variable").replaceAll("-", "_");
    const aRow = () => ({
      workspace_id: WORKSPACE,
      id: crypto.randomUUID(),
      created: 1,
      updated: 1,
      name,
      value: "1",
      tags: "[]",
    });
    expect(await store.insert(aRow())).toBe(true);
    await d1.settle();
    expect(await store.insert(aRow())).toBe(false);
  });

  test("writes an input, and does not report its key as a conflict", async () => {
    const { id: flow_run_id } = await aFlowRun();
    const { tools, d1 } = toolsOver(options);
    const store = new FlowRunInputStore({ db: tools.db, workspaceId: WORKSPACE });
    const anInput = (value: string) => {
      const own = { workspace_id: WORKSPACE, id: crypto.randomUUID(), created: 1, updated: 1 };
      return { ...own, flow_run_id, key: "k", value, sender: null };
    };
    expect(await store.insert(anInput("1"))).toBe("written");
    await d1.settle();
    expect(await store.insert(anInput("2"))).toBe("taken");
    expect((await store.read(flow_run_id, "k"))?.value).toBe("1");
    expect(await store.insert({ ...anInput("3"), flow_run_id: crypto.randomUUID() })).toBe("no run");
  });

  test("creates one task run", async () => {
    const flowRun = await aFlowRun({ state: { type: "RUNNING" } });
    const { tools, d1 } = toolsOver(options);
    const draft = TaskRunCreate.parse({ flow_run_id: flowRun.id, task_key: "task", dynamic_key: "0" });
    const { row, created } = await createTaskRun(tools, draft);
    await d1.settle();
    expect(created).toBe(true);
    const body = { flow_runs: { id: { any_: [flowRun.id] } } };
    expect((await api<Shown[]>("POST", "/task_runs/filter", body)).body.map(({ id }) => id)).toEqual([row.id]);
    const again = await createTaskRun(plainTools(), draft);
    expect({ id: again.row.id, created: again.created }).toEqual({ id: row.id, created: false });
  });
});

describe.for([true, false])("if D1 stays down and the late commit is written: %s,", (lands) => {
  const options = { landsBefore: 1_000, staysDown: true, lands };

  test("the client of a flow run proposes again, and the run has the slot if the state is written", async () => {
    const { run, slots } = await aLimitedRun();
    const { tools, d1 } = toolsOver(options);
    await expect(setFlowRunState(tools, run.id, { type: "PENDING" })).rejects.toThrow("Network connection lost");
    await d1.settle();
    expect((await shown(`/flow_runs/${run.id}`)).state_type).toBe(lands ? "PENDING" : "SCHEDULED");
    // The lease of a state that is never written expires.
    expect(await slots()).toBe(1);
    await propose(run.id, { type: "CANCELLED" }, true);
    expect(await slots()).toBe(lands ? 0 : 1);
  });

  test("the client of a task run proposes again, and the end of the run releases the slots", async () => {
    const { run, slots } = await aLimitedTaskRun();
    const { tools, d1 } = toolsOver(options);
    await expect(setTaskRunState(tools, run.id, { type: "RUNNING" })).rejects.toThrow("Network connection lost");
    await d1.settle();
    expect((await shown(`/task_runs/${run.id}`)).state_type).toBe(lands ? "RUNNING" : "PENDING");
    expect(await slots()).toEqual([run.id]);
    await api("POST", `/task_runs/${run.id}/set_state`, { state: { type: "CANCELLED" }, force: true });
    expect(await slots()).toEqual([]);
  });
});
