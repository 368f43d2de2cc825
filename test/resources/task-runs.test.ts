import { expect, test } from "vitest";
import { aFlowRun, api, type FlowRun, propose, type SetState } from "../support/world";

interface TaskRun {
  id: string;
  state_type: string;
  run_count: number;
  [field: string]: unknown;
}

const aTaskRun = async (fields: Record<string, unknown> = {}): Promise<TaskRun> =>
  (await api<TaskRun>("POST", "/task_runs/", { task_key: "t", dynamic_key: crypto.randomUUID(), ...fields })).body;

const proposeForTask = async (id: string, state: Record<string, unknown>, force = false): Promise<SetState> =>
  (await api<SetState>("POST", `/task_runs/${id}/set_state`, { state, force })).body;

async function inRunningFlow(fields: Record<string, unknown> = {}): Promise<{ flowRun: FlowRun; task: TaskRun }> {
  const flowRun = await aFlowRun();
  await propose(flowRun.id, { type: "RUNNING" });
  return { flowRun, task: await aTaskRun({ flow_run_id: flowRun.id, ...fields }) };
}

test("requests with the same keys in the same flow run get the same task run, also if they are concurrent", async () => {
  const flowRun = await aFlowRun();
  const draft = { flow_run_id: flowRun.id, task_key: "k", dynamic_key: "0" };
  const answers = await Promise.all(Array.from({ length: 8 }, () => api<TaskRun>("POST", "/task_runs/", draft)));
  expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  const elsewhere = await api<TaskRun>("POST", "/task_runs/", { ...draft, flow_run_id: (await aFlowRun()).id });
  expect(elsewhere.status).toBe(201);
});

test("a task run keeps its client's id and gets the label of its flow run", async () => {
  const flowRun = await aFlowRun();
  const id = crypto.randomUUID();
  const task = await aTaskRun({ id, flow_run_id: flowRun.id, labels: { mine: 1 } });
  expect(task).toMatchObject({ id, labels: { "prefect.flow-run.id": flowRun.id, mine: 1 }, state_type: "PENDING" });
});

test("a task run of an unknown flow run is a conflict", async () => {
  const answer = await api("POST", "/task_runs/", {
    task_key: "t",
    dynamic_key: "0",
    flow_run_id: crypto.randomUUID(),
  });
  expect(answer.status).toBe(409);
});

test("a failed task run with retries left waits for its retry and counts its runs", async () => {
  const { task } = await inRunningFlow({ empirical_policy: { retries: 1, retry_delay: 0 } });
  await proposeForTask(task.id, { type: "RUNNING" });
  const failed = await proposeForTask(task.id, { type: "FAILED" });
  expect(failed).toMatchObject({ status: "REJECT", state: { name: "AwaitingRetry" } });
  const again = await proposeForTask(task.id, { type: "RUNNING" });
  expect(again).toMatchObject({ status: "ACCEPT", state: { name: "Retrying" } });
  expect(await proposeForTask(task.id, { type: "FAILED" })).toMatchObject({ status: "ACCEPT" });
  expect((await api<TaskRun>("GET", `/task_runs/${task.id}`)).body).toMatchObject({
    state_type: "FAILED",
    run_count: 2,
  });
});

test("a task run does not become RUNNING if its flow run is not RUNNING", async () => {
  const flowRun = await aFlowRun();
  const task = await aTaskRun({ flow_run_id: flowRun.id });
  expect(await proposeForTask(task.id, { type: "RUNNING" })).toMatchObject({ status: "ABORT" });
});

test("a completed state is found by its cache key until it expires", async () => {
  const key = crypto.randomUUID();
  const past = { type: "COMPLETED", state_details: { cache_key: key, cache_expiration: "2020-01-01T00:00:00Z" } };
  const kept = { type: "COMPLETED", message: "kept", state_details: { cache_key: key } };
  const { flowRun, task } = await inRunningFlow();
  await proposeForTask(task.id, past);
  const second = await aTaskRun({ flow_run_id: flowRun.id });
  const asks = { type: "RUNNING", state_details: { cache_key: key } };
  expect((await proposeForTask(second.id, asks)).status).toBe("ACCEPT");
  await proposeForTask(second.id, kept);
  const third = await aTaskRun({ flow_run_id: flowRun.id });
  expect(await proposeForTask(third.id, asks)).toMatchObject({
    status: "REJECT",
    state: { name: "Cached", message: "kept" },
  });
});

test("concurrent proposals for one task run are decided one after the other", async () => {
  const { task } = await inRunningFlow();
  const answers = await Promise.all(Array.from({ length: 16 }, () => proposeForTask(task.id, { type: "RUNNING" })));
  const accepted = answers.filter(({ status }) => status === "ACCEPT").length;
  expect((await api<TaskRun>("GET", `/task_runs/${task.id}`)).body.run_count).toBe(accepted);
});

test("an unknown task run is a 404 in the original's words", async () => {
  const id = crypto.randomUUID();
  expect(await api("GET", `/task_runs/${id}`)).toMatchObject({ status: 404, body: { detail: "Task not found" } });
  expect(await api("PATCH", `/task_runs/${id}`, { name: "n" })).toMatchObject({
    status: 404,
    body: { detail: "Task run not found" },
  });
});
