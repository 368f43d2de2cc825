import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { aFlowRun, api, type FlowRun, propose, type SetState } from "../support/world";

interface StateRow {
  id: string;
  type: string;
}

/** The run's states in D1, in the order in which they were committed. */
async function statesOf(id: string): Promise<StateRow[]> {
  const { results } = await env.DB.prepare(
    "select s.id, s.type from flow_run r, json_each(r.state_ids) i join flow_run_state s on s.id = i.value where r.id = ? order by i.key",
  )
    .bind(id)
    .all<StateRow>();
  return results;
}

/** All state rows of the run, listed or not. */
async function allStateRows(id: string): Promise<number> {
  const row = await env.DB.prepare("select count(*) as count from flow_run_state where flow_run_id = ?")
    .bind(id)
    .first<{ count: number }>();
  return row?.count ?? 0;
}

const read = async (id: string): Promise<FlowRun> => (await api<FlowRun>("GET", `/flow_runs/${id}`)).body;

test("a run goes from Pending over Running to Completed, and its columns follow", async () => {
  const run = await aFlowRun();
  expect(run).toMatchObject({ state_type: "PENDING", run_count: 0, start_time: null, end_time: null });
  expect((await propose(run.id, { type: "RUNNING" })).status).toBe("ACCEPT");
  expect((await propose(run.id, { type: "COMPLETED" })).status).toBe("ACCEPT");
  const done = await read(run.id);
  expect(done).toMatchObject({ state_type: "COMPLETED", state_name: "Completed", run_count: 1 });
  expect(done["start_time"]).not.toBeNull();
  expect(done["end_time"]).not.toBeNull();
  expect(done["total_run_time"]).toBeGreaterThan(0);
  expect((await statesOf(run.id)).map(({ type }) => type)).toEqual(["PENDING", "RUNNING", "COMPLETED"]);
});

test("of 64 proposals of PENDING at once exactly one is accepted and 63 are told to abort", async () => {
  const run = await aFlowRun({ state: { type: "SCHEDULED" } });
  const answers = await Promise.all(Array.from({ length: 64 }, () => propose(run.id, { type: "PENDING" })));
  expect(answers.filter(({ status }) => status === "ACCEPT")).toHaveLength(1);
  expect(answers.filter(({ status }) => status === "ABORT")).toHaveLength(63);
  expect((await statesOf(run.id)).map(({ type }) => type)).toEqual(["SCHEDULED", "PENDING"]);
  expect(await allStateRows(run.id)).toBe(2);
});

test("mixed proposals at once are decided as some order of them would be", async () => {
  const run = await aFlowRun();
  const proposals = Array.from(
    { length: 24 },
    (_, index) => ["RUNNING", "COMPLETED", "CANCELLING"][index % 3] ?? "RUNNING",
  );
  const answers = await Promise.all(proposals.map((type) => propose(run.id, { type })));
  const written = await statesOf(run.id);
  const accepted = answers.flatMap((answer) => (answer.status === "ACCEPT" ? [answer.state?.id] : []));
  // Every accepted answer is a committed state, once; every committed state beside the first was somebody's answer.
  expect(accepted).toHaveLength(written.length - 1);
  expect(new Set(written.slice(1).map(({ id }) => id))).toEqual(new Set(accepted));
  expect(await allStateRows(run.id)).toBe(written.length);
  // Each step is one that the rules allow from the state before: the same walk, one at a time, is accepted as well.
  const replay = await aFlowRun();
  for (const { type } of written.slice(1)) expect((await propose(replay.id, { type })).status).toBe("ACCEPT");
  expect((await read(run.id)).state_type).toBe(written.at(-1)?.type);
});

test("a transition proposed again under the same transition id is answered by the state it made", async () => {
  const run = await aFlowRun();
  const state = { type: "RUNNING", state_details: { transition_id: crypto.randomUUID() } };
  const first = await propose(run.id, state);
  const again = await propose(run.id, state);
  expect(again).toMatchObject({ status: "REJECT", state: { id: first.state?.id } });
  expect((await read(run.id)).run_count).toBe(1);
});

test("details that this version does not know are passed over, and flags are read as the original reads them", async () => {
  const run = await aFlowRun();
  const state = { type: "RUNNING", state_details: { of_another_version: 1, untrackable_result: "yes" } };
  const { status, body } = await api<SetState>("POST", `/flow_runs/${run.id}/set_state`, { state, force: "true" });
  expect(status).toBe(201);
  expect(body.state).toMatchObject({ type: "RUNNING", state_details: { untrackable_result: true } });
  expect(body.state).not.toHaveProperty("state_details.of_another_version");
  const wrong = { state: { type: "FAILED", of_another_version: 1 }, force: "perhaps" };
  const refused = await api<{ exception_detail: { type: string }[] }>("POST", `/flow_runs/${run.id}/set_state`, wrong);
  expect(refused.body.exception_detail.map(({ type }) => type).toSorted()).toEqual(["bool_parsing", "extra_forbidden"]);
});

test("a failed run with retries left waits for its retry", async () => {
  const run = await aFlowRun({ empirical_policy: { retries: 1, retry_delay: 5 } });
  await propose(run.id, { type: "RUNNING" });
  const failed = await propose(run.id, { type: "FAILED", message: "not yet" });
  expect(failed).toMatchObject({
    status: "REJECT",
    state: { type: "SCHEDULED", name: "AwaitingRetry", message: "not yet" },
  });
  const early = await propose(run.id, { type: "RUNNING" });
  expect(early.status).toBe("WAIT");
});

test("a subflow's state is its parent's task run's state", async () => {
  const parent = await aFlowRun();
  const task = await api<{ id: string }>("POST", "/task_runs/", {
    flow_run_id: parent.id,
    task_key: "child",
    dynamic_key: "0",
  });
  const child = await aFlowRun({ parent_task_run_id: task.body.id });
  await propose(child.id, { type: "RUNNING" });
  await propose(child.id, { type: "COMPLETED" });
  const { body } = await api<{
    state_type: string;
    run_count: number;
    state: { state_details: { child_flow_run_id: string } };
  }>("GET", `/task_runs/${task.body.id}`);
  expect(body).toMatchObject({ state_type: "COMPLETED", run_count: 1 });
  expect(body.state.state_details.child_flow_run_id).toBe(child.id);
});

test("that a result was not stored is said once and kept nowhere", async () => {
  const run = await aFlowRun({ state: { type: "RUNNING" } });
  const task = await api<{ id: string }>("POST", "/task_runs/", { task_key: "task", dynamic_key: "0" });
  const state = { type: "COMPLETED", data: { type: "unpersisted" } };
  expect(await aFlowRun({ state })).toMatchObject({ state: { data: null } });
  for (const path of [`/flow_runs/${run.id}`, `/task_runs/${task.body.id}`]) {
    const answer = await api<{ state: { data: unknown } }>("POST", `${path}/set_state`, { state });
    expect(answer.body.state.data).toEqual({ type: "unpersisted" });
    expect((await api<{ state: { data: unknown } }>("GET", path)).body.state.data).toBeNull();
  }
});

test("an unknown run is answered by 404 in the original's shape", async () => {
  const id = "00000000-0000-4000-8000-00000000dead";
  const answer = await api("POST", `/flow_runs/${id}/set_state`, { state: { type: "RUNNING" } });
  expect(answer).toMatchObject({ status: 404, body: { exception_message: `Flow run with id ${id} not found` } });
});

test("a state change takes one round trip where this isolate made the one before, and two where another did", async () => {
  const run = await aFlowRun();
  const change = async (type: string) => {
    const answer = await api("POST", `/flow_runs/${run.id}/set_state`, { state: { type } }, { "x-sluice-cost": "1" });
    return Number(/round_trips=(\d+)/.exec(answer.headers.get("x-sluice-cost") ?? "")?.[1]);
  };
  expect(await change("RUNNING")).toBe(1);
  await touch(run.id);
  // Decided on what is remembered, refused by D1, read and decided again.
  expect(await change("COMPLETED")).toBe(3);
  await touch(run.id);
  // A refusal is never answered from memory.
  expect(await change("CRASHED")).toBe(1);
  expect(await change("CRASHED")).toBe(1);
});

test("what another isolate has changed is seen, although this one remembers the run", async () => {
  const run = await aFlowRun();
  await propose(run.id, { type: "RUNNING" });
  // As if elsewhere: the run went back to be scheduled.
  await env.DB.prepare(
    "update flow_run set state_type = 'SCHEDULED', updated = updated + 1, infrastructure_pid = null where id = ?",
  )
    .bind(run.id)
    .run();
  await env.DB.prepare(
    "update flow_run_state set type = 'SCHEDULED' where id = (select state_id from flow_run where id = ?)",
  )
    .bind(run.id)
    .run();
  expect(await propose(run.id, { type: "CANCELLING" })).toMatchObject({
    status: "REJECT",
    state: { type: "CANCELLED" },
  });
});

/** Changes a run behind the isolate's back, as another isolate would. */
async function touch(id: string): Promise<void> {
  await env.DB.prepare("update flow_run set updated = updated + 1 where id = ?").bind(id).run();
}
