import { expect, test } from "vitest";
import { aFlow, aFlowRun, api, type FlowRun, type SetState, unique } from "../support/world";

type Results = { results: (SetState & { flow_run_id: string })[] };

async function someRuns(
  count: number,
  fields: Record<string, unknown> = {},
): Promise<{ tag: string; runs: FlowRun[] }> {
  const [tag, flow_id] = [unique("bulk"), await aFlow()];
  const runs = await Promise.all(Array.from({ length: count }, () => aFlowRun({ flow_id, tags: [tag], ...fields })));
  return { tag, runs };
}

const withTag = (tag: string) => ({ tags: { all_: [tag] } });
const idsDown = (runs: FlowRun[]) =>
  runs
    .map(({ id }) => id)
    .toSorted()
    .toReversed();

test("each run has its own result, and the greatest id comes first", async () => {
  const { tag, runs } = await someRuns(23);
  const done = runs[0];
  await api("POST", `/flow_runs/${done?.id}/set_state`, { state: { type: "COMPLETED" } });
  const { status, body } = await api<Results>("POST", "/flow_runs/bulk_set_state", {
    flow_runs: withTag(tag),
    state: { type: "PENDING" },
  });
  expect(status).toBe(200);
  expect(body.results.map(({ flow_run_id }) => flow_run_id)).toEqual(idsDown(runs));
  for (const { flow_run_id, status: verdict, state } of body.results) {
    expect([verdict, state?.name]).toEqual([flow_run_id === done?.id ? "ACCEPT" : "ABORT", "Pending"]);
  }
});

test("with force no rules apply", async () => {
  const { tag, runs } = await someRuns(2, { state: { type: "COMPLETED" } });
  const { body } = await api<Results>("POST", "/flow_runs/bulk_set_state", {
    flow_runs: withTag(tag),
    state: { type: "PENDING", message: "forced" },
    force: true,
  });
  expect(body.results.map(({ status }) => status)).toEqual(["ACCEPT", "ACCEPT"]);
  for (const { id } of runs) expect((await api<FlowRun>("GET", `/flow_runs/${id}`)).body.state_type).toBe("PENDING");
});

test("a bulk operation changes at most 50 runs, and no more than its limit", async () => {
  const { tag, runs } = await someRuns(3);
  const flow_runs = withTag(tag);
  for (const limit of [0, 51, -1, "x"]) {
    expect((await api("POST", "/flow_runs/bulk_delete", { flow_runs, limit })).status).toBe(422);
    expect(
      (await api("POST", "/flow_runs/bulk_set_state", { flow_runs, limit, state: { type: "FAILED" } })).status,
    ).toBe(422);
  }
  expect((await api("POST", "/flow_runs/bulk_set_state", { flow_runs })).status).toBe(422);
  const [first, ...others] = idsDown(runs);
  expect((await api("POST", "/flow_runs/bulk_delete", { flow_runs, limit: 1 })).body).toEqual({ deleted: [first] });
  expect((await api("POST", "/flow_runs/bulk_delete", { flow_runs })).body).toEqual({ deleted: others });
  expect((await api("POST", "/flow_runs/bulk_delete", { flow_runs })).body).toEqual({ deleted: [] });
  expect((await api("POST", "/flow_runs/bulk_set_state", { flow_runs, state: { type: "FAILED" } })).body).toEqual({
    results: [],
  });
});

test("labels are added and changed, and concurrent requests lose no label", async () => {
  const run = await aFlowRun({ labels: { a: "one", b: 1 } });
  const add = (labels: unknown) => api("PATCH", `/flow_runs/${run.id}/labels`, labels);
  const names = Array.from({ length: 20 }, (_, index) => `n.${index} "x"`);
  expect((await add({ b: 2.5, c: false })).status).toBe(204);
  await Promise.all(names.map((name) => add({ [name]: true })));
  const { body } = await api<{ labels: unknown }>("GET", `/flow_runs/${run.id}`);
  expect(body.labels).toEqual({
    "prefect.flow.id": run.flow_id,
    a: "one",
    b: 2.5,
    c: false,
    ...Object.fromEntries(names.map((name) => [name, true])),
  });
});

test.for([[[]], [{ a: [1] }], [{ a: null }], [undefined]])("the labels %j are refused", async ([labels]) => {
  const run = await aFlowRun();
  expect((await api("PATCH", `/flow_runs/${run.id}/labels`, labels)).status).toBe(422);
  expect((await api<FlowRun>("GET", `/flow_runs/${run.id}`)).body["labels"]).toEqual(run["labels"]);
});

test("an unknown run gets no labels", async () => {
  const id = crypto.randomUUID();
  const { status, body } = await api("PATCH", `/flow_runs/${id}/labels`, { a: 1 });
  expect([status, body]).toEqual([404, { exception_message: `Flow run with id ${id} not found` }]);
});
