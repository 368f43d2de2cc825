import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { costOf, TELL_COST } from "../support/cost";
import { aFlowRun, api, propose, readFlowRun, type SetState } from "../support/world";

interface StateRow {
  id: string;
  type: string;
}

/** The run's states in D1, in the order of their commits. */
async function statesOf(id: string): Promise<StateRow[]> {
  const { results } = await env.DB.prepare(
    "select s.id, s.type from flow_run r, json_each(r.state_ids) i join flow_run_state s on s.id = i.value where r.id = ? order by i.key",
  )
    .bind(id)
    .all<StateRow>();
  return results;
}

/** The number of the run's state rows, whether the run lists them or not. */
async function allStateRows(id: string): Promise<number> {
  const row = await env.DB.prepare("select count(*) as count from flow_run_state where flow_run_id = ?")
    .bind(id)
    .first<{ count: number }>();
  return row?.count ?? 0;
}

test("the columns of a run change with its states PENDING, RUNNING and COMPLETED", async () => {
  const run = await aFlowRun();
  expect(run).toMatchObject({ state_type: "PENDING", run_count: 0, start_time: null, end_time: null });
  expect((await propose(run.id, { type: "RUNNING" })).status).toBe("ACCEPT");
  expect((await propose(run.id, { type: "COMPLETED" })).status).toBe("ACCEPT");
  const done = await readFlowRun(run.id);
  expect(done).toMatchObject({ state_type: "COMPLETED", state_name: "Completed", run_count: 1 });
  expect(done["start_time"]).not.toBeNull();
  expect(done["end_time"]).not.toBeNull();
  expect(done["total_run_time"]).toBeGreaterThan(0);
  expect((await statesOf(run.id)).map(({ type }) => type)).toEqual(["PENDING", "RUNNING", "COMPLETED"]);
});

test("of 64 concurrent proposals of PENDING exactly one is accepted and 63 are aborted", async () => {
  const run = await aFlowRun({ state: { type: "SCHEDULED" } });
  const answers = await Promise.all(Array.from({ length: 64 }, () => propose(run.id, { type: "PENDING" })));
  expect(answers.filter(({ status }) => status === "ACCEPT")).toHaveLength(1);
  expect(answers.filter(({ status }) => status === "ABORT")).toHaveLength(63);
  expect((await statesOf(run.id)).map(({ type }) => type)).toEqual(["SCHEDULED", "PENDING"]);
  expect(await allStateRows(run.id)).toBe(2);
});

test("different concurrent proposals have the result of one order of them", async () => {
  const run = await aFlowRun();
  const proposals = Array.from(
    { length: 24 },
    (_, index) => ["RUNNING", "COMPLETED", "CANCELLING"][index % 3] ?? "RUNNING",
  );
  const answers = await Promise.all(proposals.map((type) => propose(run.id, { type })));
  const written = await statesOf(run.id);
  const accepted = answers.flatMap((answer) => (answer.status === "ACCEPT" ? [answer.state?.id] : []));
  // Each accepted answer is a different written state, and each written state except the first was an answer.
  expect(accepted).toHaveLength(written.length - 1);
  expect(new Set(written.slice(1).map(({ id }) => id))).toEqual(new Set(accepted));
  expect(await allStateRows(run.id)).toBe(written.length);
  // The rules allow each step: the same steps are accepted one at a time.
  const replay = await aFlowRun();
  for (const { type } of written.slice(1)) expect((await propose(replay.id, { type })).status).toBe("ACCEPT");
  expect((await readFlowRun(run.id)).state_type).toBe(written.at(-1)?.type);
});

test("a transition that is proposed again with its transition id is answered with the state that it created", async () => {
  const run = await aFlowRun();
  const state = { type: "RUNNING", state_details: { transition_id: crypto.randomUUID() } };
  const first = await propose(run.id, state);
  const again = await propose(run.id, state);
  expect(again).toMatchObject({ status: "REJECT", state: { id: first.state?.id } });
  expect((await readFlowRun(run.id)).run_count).toBe(1);
});

test("unknown details are ignored, and flags are parsed as in the original", async () => {
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

test("a failed run with retries left becomes AwaitingRetry", async () => {
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

test("the parent's task run of a subflow gets the state of the subflow", async () => {
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

test("data of the type unpersisted is in the answer, and is not stored", async () => {
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

test("an unknown run is answered with 404 in the original's shape", async () => {
  const id = "00000000-0000-4000-8000-00000000dead";
  const answer = await api("POST", `/flow_runs/${id}/set_state`, { state: { type: "RUNNING" } });
  expect(answer).toMatchObject({ status: 404, body: { exception_message: `Flow run with id ${id} not found` } });
});

test("a state change takes one round trip if this isolate made the change before, and two if another isolate did", async () => {
  const run = await aFlowRun();
  const change = async (type: string) => {
    const answer = await api("POST", `/flow_runs/${run.id}/set_state`, { state: { type } }, TELL_COST);
    return costOf(answer.headers, "round_trips");
  };
  expect(await change("RUNNING")).toBe(1);
  await touch(run.id);
  // The first decision uses the remembered run, and D1 changes nothing. So the run is read and decided again.
  expect(await change("COMPLETED")).toBe(3);
  await touch(run.id);
  // A remembered run alone never causes a refusal.
  expect(await change("CRASHED")).toBe(1);
  expect(await change("CRASHED")).toBe(1);
});

test("a change by another isolate is seen, although this isolate remembers the run", async () => {
  const run = await aFlowRun();
  await propose(run.id, { type: "RUNNING" });
  // As if another isolate had made the run SCHEDULED.
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

/** Changes a run as another isolate would. This isolate does not notice the change. */
async function touch(id: string): Promise<void> {
  await env.DB.prepare("update flow_run set updated = updated + 1 where id = ?").bind(id).run();
}
