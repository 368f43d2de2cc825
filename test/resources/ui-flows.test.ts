/** The routes under /ui/flows and /ui/flow_runs, and what they read. */
import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { DEFAULT_WORKSPACE } from "#env";
import { FilterFields, toFilters, whereClause } from "#filters/joins";
import { NextRunStore } from "#resources/ui/next-runs-store";
import { selectHistoryRuns, selectTaskRunCounts } from "#resources/ui/flow-run-store";
import { costOf, TELL_COST } from "../support/cost";
import { planOf } from "../support/plans";
import { aDeployment, aFlow, aFlowRun, api, propose, unique } from "../support/world";

const HOUR_MS = 3_600_000;
const inHours = (hours: number) => new Date(Date.now() + hours * HOUR_MS).toISOString();
const scheduled = (hours: number) => ({ type: "SCHEDULED", state_details: { scheduled_time: inHours(hours) } });
const NOBODY = "0199f7d4-3c3c-4c3c-8c3c-3c3c3c3c3c3c";

/** Sends a request, and gives its body with the number of rows it read. */
async function ask<T>(path: string, body: unknown): Promise<{ body: T; read: number }> {
  const answer = await api<T>("POST", path, body, TELL_COST);
  expect(answer.status).toBe(200);
  return { body: answer.body, read: costOf(answer.headers, "rows_read") };
}

/** Copies a flow run many times in D1, each copy with its own id, a second apart. */
async function copy(id: string, times: number, secondsApart: number): Promise<void> {
  const changed: Record<string, string> = {
    id: "lower(hex(randomblob(4)) || '-0000-4000-8000-' || hex(randomblob(6)))",
    expected_start_time: `expected_start_time + n.value * ${secondsApart * 1e6}`,
    start_time: `start_time + n.value * ${secondsApart * 1e6}`,
    next_scheduled_start_time: `next_scheduled_start_time + n.value * ${secondsApart * 1e6}`,
    idempotency_key: "null",
  };
  const { results } = await env.DB.prepare("select name from pragma_table_info('flow_run')").all<{ name: string }>();
  const names = results.map(({ name }) => name);
  const values = names.map((name) => changed[name] ?? `r.${name}`).join(", ");
  await env.DB.prepare(
    `insert into flow_run (${names.join(", ")}) select ${values} from flow_run r,
      (with recursive n(value) as (select 1 union all select value + 1 from n where value < ?) select value from n) n
      where r.id = ?`,
  )
    .bind(times, id)
    .run();
}

describe("POST /ui/flows/count-deployments", () => {
  test("counts the deployments of each flow, and of unknown flows none", async () => {
    const [two, none] = [await aFlow(), await aFlow()];
    await aDeployment({ flow_id: two });
    await aDeployment({ flow_id: two });
    const { body, read } = await ask("/ui/flows/count-deployments", { flow_ids: [two, none, NOBODY, two] });
    expect(body).toEqual({ [two]: 2, [none]: 0, [NOBODY]: 0 });
    expect(read).toBeLessThanOrEqual(12);
  });

  test("takes at most 1,000 flows", async () => {
    const ids = Array.from({ length: 1_001 }, () => crypto.randomUUID());
    expect((await api("POST", "/ui/flows/count-deployments", { flow_ids: ids })).status).toBe(422);
    expect((await api("POST", "/ui/flows/count-deployments", { flow_ids: [] })).body).toEqual({});
  });
});

describe("POST /ui/flows/next-runs", () => {
  test("gives the first scheduled run of each flow: of a deployment, without one, and overdue", async () => {
    const [deployed, alone, late, none] = [await aFlow(), await aFlow(), await aFlow(), await aFlow()];
    const deployment = await aDeployment({ flow_id: deployed });
    const run = (flow_id: string, hours: number, more = {}) => aFlowRun({ flow_id, state: scheduled(hours), ...more });
    await run(deployed, 5, { deployment_id: deployment.id });
    const first = await run(deployed, 4, { deployment_id: deployment.id });
    const other = await run(alone, 3);
    await run(late, 1);
    const overdue = await run(late, -2);
    await aFlowRun({ flow_id: none, state: { type: "RUNNING" } });
    const { body } = await ask<Record<string, { id: string } | null>>("/ui/flows/next-runs", {
      flow_ids: [deployed, alone, late, none],
    });
    expect(Object.values(body).map((next) => next?.id)).toEqual([first.id, other.id, overdue.id, undefined]);
    expect(body[deployed]).toEqual({
      id: first.id,
      flow_id: deployed,
      name: first.name,
      state_name: "Scheduled",
      state_type: "SCHEDULED",
      next_scheduled_start_time: first["next_scheduled_start_time"],
    });
  });

  test("of a flow with a deployment is found behind more scheduled runs than it looks at", async () => {
    const flow = await aFlow();
    const deployment = await aDeployment({ flow_id: flow });
    const next = await aFlowRun({ flow_id: flow, deployment_id: deployment.id, state: scheduled(10_000) });
    const before = async () => (await ask<Record<string, unknown>>("/ui/flows/next-runs", { flow_ids: [flow] })).read;
    const template = await aFlowRun({ state: scheduled(100) });
    await copy(template.id, 6_000, 1);
    const few = await before();
    await copy(template.id, 6_000, 2);
    const { body, read } = await ask<Record<string, { id: string }>>("/ui/flows/next-runs", { flow_ids: [flow] });
    expect(body[flow]?.id).toBe(next.id);
    expect([read <= 10_100, read - few <= 10]).toEqual([true, true]);
    await env.DB.prepare("delete from flow_run where name = ?").bind(template.name).run();
  });

  test("reads indexes of deployments and of live runs", async () => {
    let plan = "";
    const db = { rows: async (statement: Parameters<typeof planOf>[0]) => ((plan = await planOf(statement)), []) };
    await new NextRunStore({ db: db as never, workspaceId: DEFAULT_WORKSPACE }).ofFlows([NOBODY], 0);
    expect(plan).toContain("deployment_name (workspace_id=? AND flow_id=?)");
    expect(plan).toContain("flow_run_deployment (workspace_id=? AND deployment_id=? AND <expr>>?)");
    expect(plan).toContain("flow_run_live (next_scheduled_start_time>?)");
    expect(plan).not.toMatch(/SCAN (r|n|d)\b/);
  });
});

describe("POST /ui/flow_runs/history", () => {
  interface Bar {
    id: string;
    timestamp: string;
    duration: number;
    lateness: number;
  }

  test("has the times of runs: of the start, or of the expected start", async () => {
    const flow = await aFlow();
    const late = await aFlowRun({ flow_id: flow, state: scheduled(-2) });
    const soon = await aFlowRun({ flow_id: flow, state: scheduled(1) });
    const flow_runs = { id: { any_: [late.id, soon.id] } };
    const { body } = await ask<Bar[]>("/ui/flow_runs/history", { flow_runs });
    expect(body.map(({ id }) => id)).toEqual([soon.id, late.id]);
    expect(body[0]).toEqual({
      id: soon.id,
      state_type: "SCHEDULED",
      timestamp: soon["expected_start_time"],
      duration: 0,
      lateness: 0,
    });
    expect(body[1]?.lateness).toBeCloseTo(2 * 3600, -1);
    await propose(late.id, { type: "RUNNING" }, true);
    const [started] = (await ask<Bar[]>("/ui/flow_runs/history", { flow_runs, sort: "NAME_ASC" })).body.filter(
      ({ id }) => id === late.id,
    );
    expect(new Date(started?.timestamp ?? 0).getTime()).toBeGreaterThan(Date.now() - 60_000);
  });

  test.for([{ limit: 1_001 }, { limit: -1 }, { offset: -1 }, { sort: "X" }])("%j is refused", async (body) => {
    expect((await api("POST", "/ui/flow_runs/history", body)).status).toBe(422);
  });

  test("has a run that began long before it was expected", async () => {
    const run = await aFlowRun({ state: scheduled(50_000) });
    await propose(run.id, { type: "RUNNING" }, true);
    const { body } = await ask<Bar[]>("/ui/flow_runs/history", { flow_runs: { name: { any_: [run.name] } } });
    expect(body.map(({ id }) => id)).toEqual([run.id]);
  });

  test("of all runs reads as many rows beside 1,000 runs as beside 5,000", async () => {
    const template = await aFlowRun({ name: unique("history"), state: scheduled(-100) });
    const read = async () => (await ask<Bar[]>("/ui/flow_runs/history", { limit: 50 })).read;
    await copy(template.id, 1_000, 10);
    const few = await read();
    await copy(template.id, 4_000, 10);
    expect(Math.abs((await read()) - few)).toBeLessThanOrEqual(30);
    const { body } = await ask<Bar[]>("/ui/flow_runs/history", { limit: 50, offset: 7 });
    const list = { limit: 50, offset: 7, sort: "EXPECTED_START_TIME_DESC" };
    const listed = await api<Bar[]>("POST", "/flow_runs/filter", list);
    expect(body.map(({ id }) => id)).toEqual(listed.body.map(({ id }) => id));
    await env.DB.prepare("delete from flow_run where name = ?").bind(template.name).run();
  });

  test.for([
    [{}, "flow_run_start (workspace_id=? AND <expr>>?)"],
    [{ deployment_id: { any_: [NOBODY] } }, "flow_run_deployment (workspace_id=? AND deployment_id=? AND <expr>>?)"],
    [{ id: { any_: [NOBODY] } }, "PRIMARY KEY (workspace_id=? AND id=?)"],
  ] as const)("%j is read through an index", async ([filter, step]) => {
    const filters = toFilters({ flow_runs: FilterFields.flow_runs.parse(filter) });
    const where = whereClause("flow_runs", filters, DEFAULT_WORKSPACE);
    const part = { sort: "EXPECTED_START_TIME_DESC", limit: 10, offset: 0 } as const;
    expect(await planOf(selectHistoryRuns(DEFAULT_WORKSPACE, where, part, 0))).toContain(step);
  });
});

describe("POST /ui/flow_runs/count-task-runs", () => {
  const aTask = async (flow_run_id: string) => {
    const task = { flow_run_id, task_key: "t", dynamic_key: crypto.randomUUID() };
    return (await api<{ id: string }>("POST", "/task_runs/", task)).body.id;
  };

  test("counts task runs, without those that stand for subflows", async () => {
    const [parent, idle] = [await aFlowRun(), await aFlowRun()];
    await aTask(parent.id);
    await aTask(parent.id);
    await aFlowRun({ parent_task_run_id: await aTask(parent.id) });
    const { body } = await ask("/ui/flow_runs/count-task-runs", { flow_run_ids: [parent.id, idle.id, NOBODY] });
    expect(body).toEqual({ [parent.id]: 2, [idle.id]: 0, [NOBODY]: 0 });
  });

  test("reads the indexes of the runs' task runs and of subflows", async () => {
    const plan = await planOf(selectTaskRunCounts(DEFAULT_WORKSPACE, [NOBODY]));
    expect(plan).toContain("task_run_key (flow_run_id=? AND key_hash>?)");
    expect(plan).toContain("flow_run_parent (workspace_id=? AND parent_task_run_id=?)");
    expect(plan).not.toMatch(/SCAN task_run|SEARCH task_run USING PRIMARY/);
  });
});
