import { expect, test } from "vitest";
import { aFlowRun, api, propose } from "../support/world";

interface State {
  id: string;
  type: string;
  timestamp: string;
  data: unknown;
  message: string | null;
}

test("the states of a flow run are listed oldest first, each as in the answer of set_state", async () => {
  const run = await aFlowRun();
  const running = await propose(run.id, { type: "RUNNING" });
  const done = await propose(run.id, { type: "COMPLETED", message: "m", data: { deep: [1, null] } });
  const { body: states } = await api<State[]>("GET", `/flow_run_states/?flow_run_id=${run.id}`);
  expect(states.map(({ id }) => id)).toEqual([run.state_id, running.state?.id, done.state?.id]);
  expect(states.map(({ timestamp }) => timestamp)).toEqual(states.map(({ timestamp }) => timestamp).toSorted());
  expect(states[2]).toEqual(done.state);
  expect((await api("GET", `/flow_run_states/${done.state?.id}`)).body).toEqual(done.state);
});

test("the states of a task run are listed oldest first, each as in the answer of set_state", async () => {
  const run = await aFlowRun({ state: { type: "RUNNING" } });
  const { body: task } = await api<{ id: string }>("POST", "/task_runs/", {
    flow_run_id: run.id,
    task_key: "t",
    dynamic_key: "0",
    state: { type: "PENDING" },
  });
  await api("POST", `/task_runs/${task.id}/set_state`, { state: { type: "RUNNING" } });
  const { body: end } = await api<{ state: State }>("POST", `/task_runs/${task.id}/set_state`, {
    state: { type: "FAILED", message: "no", data: [1] },
  });
  const { body: states } = await api<State[]>("GET", `/task_run_states/?task_run_id=${task.id}`);
  expect(states.map(({ type }) => type)).toEqual(["PENDING", "RUNNING", "FAILED"]);
  expect(states[2]).toEqual(end.state);
  expect((await api("GET", `/task_run_states/${end.state.id}`)).body).toEqual(end.state);
});

test.for(["flow_run_states", "task_run_states"])("/%s lists no unknown states", async (path) => {
  const unknown = await api("GET", `/${path}/${crypto.randomUUID()}`);
  expect([unknown.status, unknown.body]).toEqual([404, { detail: "Flow run state not found" }]);
  const kind = path === "flow_run_states" ? "flow_run_id" : "task_run_id";
  expect((await api("GET", `/${path}/?${kind}=${crypto.randomUUID()}`)).body).toEqual([]);
  for (const query of ["", `?${kind}=x`]) {
    const refused = await api<{ exception_detail: unknown[] }>("GET", `/${path}/${query}`);
    expect(refused.status).toBe(422);
    expect(refused.body.exception_detail).toMatchObject([{ loc: ["query", kind] }]);
  }
});
