import { expect, test } from "vitest";
import { TELL_COST } from "../support/cost";
import { aFlow, aFlowRun, api, type FlowRun, propose, unique } from "../support/world";

const ids = (runs: FlowRun[]) => runs.map(({ id }) => id);

test("a new run without a state is Pending, and has a random name and its flow's labels", async () => {
  const flow = await aFlow();
  const { status, body } = await api<FlowRun>("POST", "/flow_runs/", { flow_id: flow });
  expect(status).toBe(201);
  expect(body.name).toMatch(/^[a-z]+-[a-z-]+$/);
  expect(body).toMatchObject({
    state_type: "PENDING",
    labels: { "prefect.flow.id": flow },
    parameters: {},
    job_variables: {},
    created_by: null,
    state: { type: "PENDING", state_details: { flow_run_id: body.id, scheduled_time: null } },
  });
  expect((await api("GET", `/flow_runs/${body.id}`)).body).toMatchObject({
    ...body,
    estimated_start_time_delta: expect.any(Number),
  });
});

test("requests with the same idempotency key get the same run, also if they are concurrent", async () => {
  const draft = { flow_id: await aFlow(), idempotency_key: "once" };
  const answers = await Promise.all(Array.from({ length: 8 }, () => api<FlowRun>("POST", "/flow_runs/", draft)));
  expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  const other = await api<FlowRun>("POST", "/flow_runs/", { ...draft, flow_id: await aFlow() });
  expect(other.status).toBe(201);
});

test("a run of an unknown flow is a conflict, and nothing is stored", async () => {
  const name = unique("orphan");
  const answer = await api("POST", "/flow_runs/", { flow_id: crypto.randomUUID(), name });
  expect(answer).toMatchObject({ status: 409, body: { detail: expect.stringContaining("Data integrity conflict") } });
  expect((await api("POST", "/flow_runs/count", { flow_runs: { name: { any_: [name] } } })).body).toBe(0);
});

test("a run of an unknown pool is answered with 404", async () => {
  const answer = await api("POST", "/flow_runs/", { flow_id: await aFlow(), work_pool_name: "nowhere" });
  expect(answer).toMatchObject({ status: 404, body: { detail: 'Work pool "nowhere" not found.' } });
});

test("a change sets the fields that it names, including to null", async () => {
  const run = await aFlowRun({ flow_version: "1" });
  expect((await api("PATCH", `/flow_runs/${run.id}`, { tags: ["b", "b"], infrastructure_pid: "17" })).status).toBe(204);
  expect((await api("GET", `/flow_runs/${run.id}`)).body).toMatchObject({
    name: run.name,
    tags: ["b"],
    infrastructure_pid: "17",
    flow_version: "1",
  });
  await api("PATCH", `/flow_runs/${run.id}`, { flow_version: null });
  expect((await api("GET", `/flow_runs/${run.id}`)).body).toMatchObject({
    flow_version: null,
    infrastructure_pid: "17",
  });
});

test.for([
  ["an unknown field", { colour: "red" }, "extra_forbidden"],
  ["a number for a name", { name: 1 }, "string_type"],
  ["text for tags", { tags: "a" }, "list_type"],
] as const)("%s is refused and changes nothing", async ([, body, type]) => {
  const run = await aFlowRun();
  const answer = await api<{ exception_detail: { type: string }[] }>("PATCH", `/flow_runs/${run.id}`, body);
  expect(answer.status).toBe(422);
  expect(answer.body.exception_detail[0]?.type).toBe(type);
  expect((await api("GET", `/flow_runs/${run.id}`)).body).toMatchObject({ updated: run["updated"] });
});

test("job variables can be set only while the run of a deployment is scheduled", async () => {
  const run = await aFlowRun({ state: { type: "SCHEDULED" } });
  const answer = await api("PATCH", `/flow_runs/${run.id}`, { job_variables: { a: 1 } });
  expect(answer).toMatchObject({ status: 400, body: { detail: "A deployment for the flow run could not be found" } });
  await propose(run.id, { type: "RUNNING" });
  expect((await api("PATCH", `/flow_runs/${run.id}`, { job_variables: { a: 1 } })).body).toMatchObject({
    detail: "Job variables for a flow run in state RUNNING cannot be updated",
  });
});

test("lists, counts and pages have the same runs", async () => {
  const flow = await aFlow();
  const made = [];
  for (const name of ["a", "b", "c"]) made.push(await aFlowRun({ flow_id: flow, name }));
  const flows = { id: { any_: [flow] } };
  const byName = await api<FlowRun[]>("POST", "/flow_runs/filter", { flows, sort: "NAME_DESC" });
  expect(byName.body.map(({ name }) => name)).toEqual(["c", "b", "a"]);
  expect((await api("POST", "/flow_runs/count", { flows })).body).toBe(3);
  const page = await api<{ results: FlowRun[] }>("POST", "/flow_runs/paginate", {
    flows,
    sort: "NAME_ASC",
    limit: 2,
    page: 2,
  });
  expect(page.body).toMatchObject({ count: 3, pages: 2, limit: 2, page: 2 });
  expect(ids(page.body.results)).toEqual([made[2]?.id]);
  const cut = await api<FlowRun[]>("POST", "/flow_runs/filter", { flows, sort: "NAME_ASC", limit: 1, offset: 1 });
  expect(ids(cut.body)).toEqual([made[1]?.id]);
});

test("a list of 50 is one round trip, and reads only the rows of its runs", async () => {
  const flow = await aFlow();
  await Promise.all(Array.from({ length: 60 }, () => aFlowRun({ flow_id: flow })));
  const { headers } = await api("POST", "/flow_runs/filter", { limit: 50, sort: "START_TIME_DESC" }, TELL_COST);
  const cost = headers.get("x-sluice-cost") ?? "";
  expect(cost).toMatch(/round_trips=1;/);
  expect(Number(/rows_read=(\d+)/.exec(cost)?.[1])).toBeLessThanOrEqual(50 * 6);
});
