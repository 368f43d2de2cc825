import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { aFlowRun, api, type FlowRun, WORKSPACE } from "../support/world";
import { costOf, TELL_COST } from "../support/cost";
import { MOST_READ, readLarge } from "../large/support";

interface Node {
  kind: string;
  id: string;
  label: string;
  state_type: string;
  parents: { id: string }[];
  children: { id: string }[];
  encapsulating: { id: string }[];
}

interface Graph {
  start_time: string | null;
  end_time: string | null;
  root_node_ids: string[];
  nodes: [string, Node][];
  states: { id: string; type: string }[];
}

const result = (id: string) => ({ input_type: "task_run", id });

async function aTask(
  run: FlowRun,
  name: string,
  task_inputs: Record<string, unknown[]> = {},
  state = { type: "RUNNING" },
) {
  const { body } = await api<{ id: string }>("POST", "/task_runs/", {
    flow_run_id: run.id,
    name,
    task_key: name,
    dynamic_key: name,
    task_inputs,
    state,
  });
  return body.id;
}

const graphOf = async (run: FlowRun, query = "") =>
  (await api<Graph>("GET", `/flow_runs/${run.id}/graph-v2${query}`)).body;
const idsOf = (edges: { id: string }[] | undefined) => (edges ?? []).map(({ id }) => id);

test("task runs are nodes in the order of their starts, with one edge for each used result", async () => {
  const run = await aFlowRun({ state: { type: "RUNNING" } });
  const a = await aTask(run, "a");
  const b = await aTask(run, "b", {
    p: [
      { input_type: "parameter", name: "p" },
      { input_type: "constant", type: "int" },
    ],
  });
  const c = await aTask(run, "c", { x: [result(b)], y: [result(a)] });
  const d = await aTask(run, "d", { x: [result(c), result(c)], z: [result(c)], __parents__: [result(a)] });
  const graph = await graphOf(run);
  expect(graph.nodes.map(([id]) => id)).toEqual([a, b, c, d]);
  expect(graph.root_node_ids).toEqual([a, b]);
  const edges = graph.nodes.map(([, node]) => [idsOf(node.parents), idsOf(node.children), idsOf(node.encapsulating)]);
  expect(edges).toEqual([
    [[], [c], []],
    [[], [c], []],
    [[a, b], [d], []],
    [[c], [], [a]],
  ]);
  expect(graph.states).toMatchObject([{ id: run.state_id, type: "RUNNING" }]);
  expect(graph.nodes[0]?.[1]).toMatchObject({ kind: "task-run", label: "a", state_type: "RUNNING", artifacts: [] });
});

test("a subflow replaces its task run", async () => {
  const run = await aFlowRun({ state: { type: "RUNNING" } });
  const first = await aTask(run, "first");
  const wrapper = await aTask(run, "wrapper", { x: [result(first)] });
  const flow = (await api<{ id: string; name: string }>("POST", "/flows/", { name: `child-${crypto.randomUUID()}` }))
    .body;
  const child = await aFlowRun({ flow_id: flow.id, parent_task_run_id: wrapper, state: { type: "RUNNING" } });
  const { nodes } = await graphOf(run);
  expect(nodes.map(([id]) => id)).toEqual([first, child.id]);
  expect(nodes[1]?.[1]).toMatchObject({
    kind: "flow-run",
    label: `${flow.name} / ${child.name}`,
    parents: [{ id: first }],
  });
});

test("nodes that ended before `since` are left out, and their edges are kept", async () => {
  const run = await aFlowRun({ state: { type: "RUNNING" } });
  const old = await aTask(run, "old", {}, { type: "COMPLETED" });
  const fresh = await aTask(run, "fresh", { x: [result(old)] });
  await env.DB.prepare("update task_run set start_time = 1000000, end_time = 2000000 where id = unhex(?, '-')")
    .bind(old)
    .run();
  const since = await graphOf(run, "?since=1970-01-01T00:00:03Z");
  expect(since.nodes.map(([id, node]) => [id, idsOf(node.parents)])).toEqual([[fresh, [old]]]);
  expect((await graphOf(run, "?since=1970-01-01T00:00:02Z")).nodes.map(([id]) => id)).toEqual([old, fresh]);
});

/** Inserts completed task runs into D1. Each uses the results of the `before` task runs before it. */
async function aCrowd(run: FlowRun, size: number, before: number): Promise<void> {
  await env.DB.prepare(
    `with recursive n(i) as (select 1 union all select i + 1 from n where i < ?3)
    insert into task_run (workspace_id, id, created, updated, name, flow_run_id, task_key, dynamic_key, empirical_policy, tags,
      labels, task_inputs, state_type, states, run_count, flow_run_run_count, start_time, end_time, total_run_time)
    select ?1, 'task-' || i || ?2, 1, 1, 't' || i, ?2, 't', cast(i as text), '{}', '[]', '{}',
      json_object('x', (
        with recursive p(i) as (select max(1, n.i - cast(?4 as integer)) where ?4 > 0 and n.i > 1 union all select i + 1 from p where i < n.i - 1)
        select json_group_array(json_object('input_type', 'task_run', 'id', 'task-' || p.i || ?2)) from p)),
      'COMPLETED', '[]', 1, 1, i, i, 0 from n`,
  )
    .bind(WORKSPACE, run.id, size, before)
    .run();
}

test("10,000 nodes are shown, one more is too many", { timeout: 60_000 }, async () => {
  const run = await aFlowRun({ state: { type: "RUNNING" } });
  await aCrowd(run, 10_000, 3);
  const { nodes } = await graphOf(run);
  expect(nodes).toHaveLength(10_000);
  expect(idsOf(nodes[9_999]?.[1].parents)).toEqual([9_997, 9_998, 9_999].map((number) => `task-${number}${run.id}`));
  expect((await api<unknown[]>("GET", `/flow_runs/${run.id}/graph`)).body).toHaveLength(10_000);
  await aTask(run, "one more");
  for (const path of ["graph", "graph-v2"]) {
    const refused = await api("GET", `/flow_runs/${run.id}/${path}`);
    expect([refused.status, refused.body]).toEqual([
      400,
      { detail: `The graph of flow run ${run.id} has more than 10000 nodes.` },
    ]);
  }
  expect((await graphOf(run, "?since=2020-01-01T00:00:00Z")).nodes).toHaveLength(1);
});

test("a plain graph has all states, however large, and is read in portions", { timeout: 60_000 }, async () => {
  const run = await aFlowRun({ state: { type: "RUNNING" } });
  await aCrowd(run, 12, 0);
  const state = { id: "s", type: "COMPLETED", name: "Completed", timestamp: 1, message: null, state_details: {} };
  const states = JSON.stringify([{ ...state, data: "x".repeat(1_900_000) }]);
  const fill = env.DB.prepare(
    "update task_run set states = ?, state_id = 's' where flow_run_id = unhex(?, '-') and cast(dynamic_key as int) <= ?",
  );
  await fill.bind(states, run.id, 12).run();
  const { body: graph, largest } = await readLarge("GET", `/flow_runs/${run.id}/graph`);
  const tasks = graph as unknown as { name: string; state: { data: string } }[];
  expect(tasks.map((task) => task.state.data.length)).toEqual(Array(12).fill(1_900_000));
  expect(largest).toBeLessThan(MOST_READ);
  expect((await graphOf(run)).nodes).toHaveLength(12);
});

test("a graph with too many edges for an answer is refused", { timeout: 60_000 }, async () => {
  const run = await aFlowRun({ state: { type: "RUNNING" } });
  await aCrowd(run, 600, 600);
  const refused = await api<{ detail: string }>("GET", `/flow_runs/${run.id}/graph-v2`);
  expect([refused.status, refused.body.detail]).toEqual([
    400,
    `The graph of flow run ${run.id} has more than 100000 edges.`,
  ]);
});

test("a graph does not cost more if there are many other runs", async () => {
  const run = await aFlowRun({ state: { type: "RUNNING" } });
  const first = await aTask(run, "first");
  await aFlowRun({ parent_task_run_id: await aTask(run, "second", { x: [result(first)] }) });
  await aCrowd(await aFlowRun(), 3_000, 0);
  for (const path of ["graph", "graph-v2"]) {
    const { headers } = await api("GET", `/flow_runs/${run.id}/${path}`, undefined, TELL_COST);
    expect(costOf(headers, "rows_read")).toBeLessThan(100);
  }
});

test("the plain graph lists for each task run the task runs that give its inputs", async () => {
  const run = await aFlowRun({ state: { type: "RUNNING" } });
  const a = await aTask(run, "a", { n: [{ input_type: "constant", type: "int" }] });
  const b = await aTask(run, "b", { x: [result(a), result(a)], y: [result(a)] });
  const { body } = await api<Record<string, unknown>[]>("GET", `/flow_runs/${run.id}/graph`);
  expect(body).toMatchObject([
    { id: a, name: "a", upstream_dependencies: [], untrackable_result: false, state: { type: "RUNNING" } },
    { id: b, name: "b", upstream_dependencies: [result(a)], total_run_time: 0, end_time: null },
  ]);
});

test("an unknown run has no graph", async () => {
  const id = crypto.randomUUID();
  const answers = await Promise.all(["graph", "graph-v2"].map((path) => api("GET", `/flow_runs/${id}/${path}`)));
  expect(answers.map(({ status, body }) => [status, body])).toEqual([
    [404, { exception_message: `Flow run with id ${id} not found` }],
    [404, { exception_message: `Flow run ${id} not found` }],
  ]);
});
