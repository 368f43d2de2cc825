import { env, runInDurableObject } from "cloudflare:test";
import { sql } from "drizzle-orm";
import { expect, test, vi } from "vitest";
import { workPoolStub } from "#objects/work-pool/client";
import { KEY_FORMS } from "#db/task-run-keys";
import { selectTaskRuns } from "#orchestration/move-task-runs";
import { cancelChildren, selectSubflows, setFlowRunState, UNENDED } from "#orchestration/set-flow-run-state";
import { cancelLeftChildren, cancelStuckRuns } from "#services/cancellation-cleanup";
import { START } from "#services/due";
import { selectStuckCancelling, selectWithChildren } from "#services/sweep-store";
import { aroundCalls } from "../support/around-calls";
import { planOf } from "../support/plans";
import { aFlow, aFlowRun, api, propose, unique, WORKSPACE } from "../support/world";
import { later, MINUTE, SECOND } from "./time";

interface Run {
  id: string;
  state_type: string;
  state_name: string;
  state: { message: string | null };
  [field: string]: unknown;
}

const flowRun = async (id: string) => (await api<Run>("GET", `/flow_runs/${id}`)).body;
const taskRun = async (id: string) => (await api<Run>("GET", `/task_runs/${id}`)).body;

/** A task run of a flow run, in a state of this type. */
async function aTaskRun(flowRunId: string, type = "RUNNING"): Promise<string> {
  const { status, body } = await api<Run>("POST", "/task_runs/", {
    flow_run_id: flowRunId,
    task_key: unique("task"),
    dynamic_key: "0",
    state: { type },
  });
  if (status !== 201) throw new Error(`a task run was refused: ${JSON.stringify(body)}`);
  return body.id;
}

/** A subflow of a flow run, with its parent's task run. */
async function aSubflow(parentId: string, fields: Record<string, unknown> = {}) {
  const wrapper = await aTaskRun(parentId);
  const { id } = await aFlowRun({ parent_task_run_id: wrapper, state: { type: "RUNNING" }, ...fields });
  return { id, wrapper };
}

async function aDeployment(fields: Record<string, unknown> = {}): Promise<string> {
  const body = { name: unique("deployed"), flow_id: await aFlow(), ...fields };
  return (await api<{ id: string }>("POST", "/deployments/", body)).body.id;
}

/** A run that is cancelled only in the database, as if the process had died right after the commit. */
async function aRunCancelledAlone(children: (id: string) => Promise<void>): Promise<string> {
  await env.DB.prepare("delete from sweep_mark where name like 'cancelled runs%'").run();
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  await children(id);
  await later(0, (tools) => {
    // The background work after the commit is dropped.
    const dead = { ...tools, background: (work: Promise<unknown>) => void work.catch(() => undefined) };
    const services = { ...tools.settings.services };
    services.cancellation_cleanup = { ...services.cancellation_cleanup, enabled: false };
    return setFlowRunState({ ...dead, settings: { ...tools.settings, services } }, id, { type: "CANCELLED" });
  });
  return id;
}

test("the task runs and subflows of a cancelled run are also cancelled, at all levels", async () => {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  const [running, pending] = [await aTaskRun(id), await aTaskRun(id, "PENDING")];
  const child = await aSubflow(id);
  const grandchild = await aSubflow(child.id);
  const task = await aTaskRun(grandchild.id);
  expect((await propose(id, { type: "CANCELLED" })).status).toBe("ACCEPT");
  await vi.waitFor(async () => expect(await taskRun(task)).toMatchObject({ state_type: "CANCELLED" }), 5000);
  for (const one of [running, pending, child.wrapper, grandchild.wrapper]) {
    expect(await taskRun(one)).toMatchObject({
      state_type: "CANCELLED",
      state: { message: "The parent flow run was cancelled." },
    });
  }
  for (const one of [child.id, grandchild.id]) {
    expect(await flowRun(one)).toMatchObject({
      state_type: "CANCELLED",
      state: { message: "The parent flow run was cancelled." },
    });
  }
});

test.for([["COMPLETED"], ["FAILED"], ["CRASHED"]] as const)("a child that is %s does not change", async ([type]) => {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  const child = await aSubflow(id);
  const task = await aTaskRun(id);
  await api("POST", `/task_runs/${task}/set_state`, { state: { type }, force: true });
  await propose(child.id, { type }, true);
  await propose(id, { type: "CANCELLED" });
  await later(0, (tools) => cancelChildren(tools, id));
  expect(await taskRun(task)).toMatchObject({ state_type: type });
  expect(await flowRun(child.id)).toMatchObject({ state_type: type });
});

test.for([
  ["is running", "CANCELLING", { type: "RUNNING" }],
  ["is pending", "CANCELLING", { type: "PENDING" }],
  ["has not started", "CANCELLED", { type: "SCHEDULED" }],
] as const)("a subflow with a deployment that %s becomes %s", async ([, expected, state]) => {
  const deployment_id = await aDeployment();
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  const child = await aSubflow(id, { deployment_id, state });
  await propose(id, { type: "CANCELLED" });
  await vi.waitFor(async () => expect(await flowRun(child.id)).toMatchObject({ state_type: expected }), 5000);
  // The process of the subflow gets one cancellation.
  const before = await flowRun(child.id);
  await later(0, (tools) => cancelChildren(tools, id));
  expect(await flowRun(child.id)).toMatchObject({ state_id: before["state_id"] });
});

test("a run that ends without a cancellation does not change its children", async () => {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  const task = await aTaskRun(id);
  await propose(id, { type: "FAILED" });
  await later(2 * MINUTE, cancelLeftChildren);
  expect(await taskRun(task)).toMatchObject({ state_type: "RUNNING" });
});

test("more children than one page has are all cancelled, in few round trips", async () => {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  const template = await aTaskRun(id);
  const columns =
    (await env.DB.prepare("select * from task_run where id = unhex(?, '-')").bind(template).first()) ?? {};
  const names = Object.keys(columns).filter((name) => name !== "id" && name !== "dynamic_key");
  await env.DB.prepare(
    `insert into task_run (id, dynamic_key, ${names.join(", ")})
      with recursive n(i) as (select 1 union all select i + 1 from n where i < 350)
      select lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
        'n' || i, ${names.join(", ")} from n, task_run where id = ?`,
  )
    .bind(template)
    .run();
  await propose(id, { type: "CANCELLED" });
  const left = () =>
    env.DB.prepare("select count(*) as n from task_run where flow_run_id = unhex(?, '-') and state_type <> 'CANCELLED'")
      .bind(id)
      .first<number>("n");
  await vi.waitFor(async () => expect(await left()).toBe(0), 10_000);
  const { results } = await env.DB.prepare(
    "select json_array_length(states) as states, count(*) as n from task_run where flow_run_id = unhex(?, '-') group by 1",
  )
    .bind(id)
    .all();
  expect(results).toEqual([{ states: 2, n: 351 }]);
});

test("other children are cancelled although one child cannot be cancelled", async () => {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  const [broken, unreadable, well] = [await aTaskRun(id), await aTaskRun(id), await aTaskRun(id)];
  const [brokenFlow, wellFlow] = [await aSubflow(id), await aSubflow(id)];
  const set = (table: string, column: string, value: string, of: string) =>
    env.DB.prepare(`update ${table} set ${column} = ? where id = ?`).bind(value, of).run();
  await set("task_run", "states", "[{", unreadable);
  await env.DB.prepare(
    `create trigger refuses before update on task_run when old.id = '${broken}' begin select raise(abort, 'no'); end`,
  ).run();
  await set("flow_run", "empirical_policy", "[{", brokenFlow.id);
  await propose(id, { type: "CANCELLED" });
  await vi.waitFor(async () => expect(await taskRun(well)).toMatchObject({ state_type: "CANCELLED" }), 5000);
  expect(await flowRun(wellFlow.id)).toMatchObject({ state_type: "CANCELLED" });
  const left = await env.DB.prepare(
    "select id from task_run where flow_run_id = unhex(?, '-') and state_type = 'RUNNING'",
  )
    .bind(id)
    .all<{ id: string }>();
  expect(left.results.map((row) => row.id)).toEqual([broken]);
  await env.DB.prepare("drop trigger refuses").run();
});

test("the sweep cancels the children of a run if the process died right after the cancellation", async () => {
  let [task, subflow] = ["", ""];
  await aRunCancelledAlone(async (id) => {
    task = await aTaskRun(id);
    subflow = (await aSubflow(id)).id;
  });
  // The sweep waits a minute for the work after the commit.
  await later(0, cancelLeftChildren);
  expect(await taskRun(task)).toMatchObject({ state_type: "RUNNING" });
  await later(MINUTE + SECOND, cancelLeftChildren);
  expect(await taskRun(task)).toMatchObject({ state_type: "CANCELLED" });
  expect(await flowRun(subflow)).toMatchObject({ state_type: "CANCELLED" });
});

test("the second walk finds a task run that is reported after the end of its cancelled run", async () => {
  const id = await aRunCancelledAlone(async () => {});
  await later(2 * MINUTE, cancelLeftChildren);
  const task = await aTaskRun(id);
  await later(30 * MINUTE, cancelLeftChildren);
  expect(await taskRun(task)).toMatchObject({ state_type: "RUNNING" });
  await later(62 * MINUTE, cancelLeftChildren);
  expect(await taskRun(task)).toMatchObject({ state_type: "CANCELLED" });
});

test("two concurrent walks cancel a child once", async () => {
  let task = "";
  await aRunCancelledAlone(async (id) => {
    task = await aTaskRun(id);
  });
  await later(2 * MINUTE, (tools) => Promise.all([cancelLeftChildren(tools), cancelLeftChildren(tools)]));
  const states = (await api<unknown[]>("GET", `/task_run_states/?task_run_id=${task}`)).body;
  expect(states).toHaveLength(2);
});

test("a run that has been Cancelling for too long becomes Cancelled, and not before", async () => {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  await propose(id, { type: "CANCELLING" });
  await later(299 * SECOND, cancelStuckRuns);
  expect(await flowRun(id)).toMatchObject({ state_type: "CANCELLING" });
  await later(301 * SECOND, (tools) => Promise.all([cancelStuckRuns(tools), cancelStuckRuns(tools)]));
  expect(await flowRun(id)).toMatchObject({ state_type: "CANCELLED", state_name: "Cancelled" });
  const { results } = await env.DB.prepare("select type from flow_run_state where flow_run_id = ? order by id")
    .bind(id)
    .all();
  expect(results.map(({ type }) => type)).toEqual(["RUNNING", "CANCELLING", "CANCELLED"]);
});

test("the maximum time of a cancellation is a setting", async () => {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  await propose(id, { type: "CANCELLING" });
  await later(6 * SECOND, (tools) => {
    const cancellation_cleanup = { enabled: true, cancelling_timeout_seconds: 5 };
    const services = { ...tools.settings.services, cancellation_cleanup };
    return cancelStuckRuns({ ...tools, settings: { ...tools.settings, services } });
  });
  expect(await flowRun(id)).toMatchObject({ state_type: "CANCELLED" });
});

test("the children of a run with a timed-out cancellation are also cancelled", async () => {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  const task = await aTaskRun(id);
  await propose(id, { type: "CANCELLING" });
  await later(301 * SECOND, cancelStuckRuns);
  expect(await taskRun(task)).toMatchObject({ state_type: "CANCELLED" });
});

/** A pool, and the clean-up messages of its object for workers. */
async function aPool(type = "process") {
  const { body } = await api<{ id: string; name: string }>("POST", "/work_pools/", { name: unique("pool"), type });
  const kept = () =>
    runInDurableObject(workPoolStub(env, WORKSPACE, body.name), (_, state) =>
      state.storage.sql.exec("select * from cleanup").toArray(),
    );
  return { name: body.name, kept };
}

/** A run of a pool that is Cancelling. */
async function aCancellingRun(work_pool_name: string): Promise<string> {
  const deployment = await aDeployment({ work_pool_name });
  const run = (await api<Run>("POST", `/deployments/${deployment}/create_flow_run`, {})).body;
  for (const type of ["PENDING", "RUNNING"]) await propose(run.id, { type });
  await api("PATCH", `/flow_runs/${run.id}`, { infrastructure_pid: "host:7" });
  expect(await propose(run.id, { type: "CANCELLING" })).toMatchObject({ status: "ACCEPT" });
  return run.id;
}

test("workers get one clean-up message for a timed-out cancellation, also after several turns", async () => {
  const pool = await aPool();
  const id = await aCancellingRun(pool.name);
  await env.DB.prepare("delete from sweep_mark where name like 'cancelled runs%'").run();
  await later(301 * SECOND, cancelStuckRuns);
  await later(10 * MINUTE, cancelLeftChildren);
  const kept = await pool.kept();
  expect(kept).toHaveLength(1);
  expect(JSON.stringify(kept[0])).toContain(id);
  expect(JSON.stringify(kept[0])).toContain("host:7");
});

test("a clean-up message that was not sent because the process died is sent by the walk over the states", async () => {
  const pool = await aPool();
  const id = await aCancellingRun(pool.name);
  await env.DB.prepare("delete from sweep_mark where name like 'cancelled runs%'").run();
  await later(301 * SECOND, async (tools) => {
    const db = aroundCalls(tools.db, async (name, call) => {
      const run = name === "rows" ? await flowRun(id) : null;
      // The process ends between the commit and the message.
      if (run?.state_type === "CANCELLED") throw new Error("gone");
      return call();
    });
    const complaints = vi.spyOn(console, "error").mockReturnValue(undefined);
    await cancelStuckRuns({ ...tools, db });
    complaints.mockRestore();
  });
  expect(await flowRun(id)).toMatchObject({ state_type: "CANCELLED" });
  expect(await pool.kept()).toEqual([]);
  await later(7 * MINUTE, cancelLeftChildren);
  expect(await pool.kept()).toHaveLength(1);
});

test("a pool without workers gets no clean-up message", async () => {
  const pool = await aPool("kubernetes:push");
  const id = await aCancellingRun(pool.name);
  await later(301 * SECOND, cancelStuckRuns);
  expect(await flowRun(id)).toMatchObject({ state_type: "CANCELLED" });
  expect(await pool.kept()).toEqual([]);
});

test("sweeps find their rows through an index", async () => {
  const stuck = await planOf(selectStuckCancelling(1, { round: START, most: 200 }));
  expect(stuck).toMatch(/SEARCH r USING INDEX flow_run_halted \(state_type=\? AND state_timestamp<\?\)/);
  const children = await planOf(selectWithChildren((id) => sql`${id} > 'a' and ${id} <= 'b'`));
  const plans = [
    stuck,
    children,
    ...(await Promise.all(KEY_FORMS.map((form) => planOf(selectSubflows(WORKSPACE, WORKSPACE, form))))),
    ...(await Promise.all(KEY_FORMS.map((form) => planOf(selectTaskRuns(WORKSPACE, WORKSPACE, UNENDED, form))))),
  ];
  for (const plan of plans) expect(plan).not.toMatch(/SCAN|TEMP B-TREE/);
  expect(children).toMatch(/SEARCH st USING PRIMARY KEY \(id>\? AND id<\?\)/);
  expect(children).toMatch(/SEARCH c USING INDEX flow_run_parent/);
});
