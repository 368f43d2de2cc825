import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { aFlowRun, api, type FlowRun, propose, WORKSPACE } from "../support/world";
import { costOf, TELL_COST } from "../support/cost";
import { storedEvents } from "../support/segments";

const TABLES = {
  flow_run_state: "flow_run_id",
  flow_run_input: "flow_run_id",
  task_run: "flow_run_id",
  artifact: "flow_run_id",
  log_segment: "run_id",
  log_minute: "run_id",
  flow_run: "id",
};

/** The number of rows of a run, by table. */
async function leftOf(run: FlowRun): Promise<Record<string, number>> {
  const counts = Object.entries(TABLES).map(async ([table, column]) => {
    const row = await env.DB.prepare(`select count(*) as count from ${table} where ${column} in (?1, unhex(?1, '-'))`)
      .bind(run.id)
      .first<{ count: number }>();
    return [table, row?.count ?? -1] as const;
  });
  return Object.fromEntries(await Promise.all(counts));
}

/** A run with rows in every table. */
async function aFullRun(): Promise<{ run: FlowRun; task: string }> {
  const run = await aFlowRun({ state: { type: "RUNNING" } });
  await propose(run.id, { type: "COMPLETED" });
  await api("POST", `/flow_runs/${run.id}/input`, { key: "k", value: "x" });
  const { body: task } = await api<{ id: string }>("POST", "/task_runs/", {
    flow_run_id: run.id,
    task_key: "t",
    dynamic_key: "0",
  });
  await api("POST", "/logs/", [
    {
      name: "n",
      level: 20,
      message: "m",
      timestamp: "2098-01-01T00:00:00Z",
      flow_run_id: run.id,
      task_run_id: task.id,
    },
  ]);
  await api("POST", "/artifacts/", { key: "k", data: 1, flow_run_id: run.id, task_run_id: task.id });
  return { run, task: task.id };
}

const ALL = {
  flow_run_state: 2,
  flow_run_input: 1,
  task_run: 1,
  artifact: 1,
  log_segment: 1,
  log_minute: 1,
  flow_run: 1,
};
const NONE = {
  flow_run_state: 0,
  flow_run_input: 0,
  task_run: 0,
  artifact: 0,
  log_segment: 0,
  log_minute: 0,
  flow_run: 0,
};

test("a run is deleted with its own rows, and with no others", async () => {
  const [{ run, task }, { run: other }] = [await aFullRun(), await aFullRun()];
  const child = await aFlowRun({ parent_task_run_id: task });
  expect(await leftOf(run)).toEqual(ALL);
  expect((await api("DELETE", `/flow_runs/${run.id}`)).status).toBe(204);
  expect(await leftOf(run)).toEqual(NONE);
  expect(await leftOf(other)).toEqual(ALL);
  expect((await api<FlowRun>("GET", `/flow_runs/${child.id}`)).body["parent_task_run_id"]).toBeNull();
  const again = await api("DELETE", `/flow_runs/${run.id}`);
  expect([again.status, again.body]).toEqual([404, { detail: "Flow run not found" }]);
});

test("a deleted run gets no further state", async () => {
  const run = await aFlowRun();
  await propose(run.id, { type: "RUNNING" });
  await api("DELETE", `/flow_runs/${run.id}`);
  expect((await api("POST", `/flow_runs/${run.id}/set_state`, { state: { type: "COMPLETED" } })).status).toBe(404);
  expect(await leftOf(run)).toEqual(NONE);
});

/** Inserts task runs of a flow run into D1. */
async function aCrowd(run: FlowRun, size: number): Promise<void> {
  await env.DB.prepare(
    `with recursive n(i) as (select 1 union all select i + 1 from n where i < ?3)
    insert into task_run (workspace_id, id, created, updated, name, flow_run_id, task_key, dynamic_key, empirical_policy, tags,
      labels, task_inputs, states, run_count, flow_run_run_count, total_run_time)
    select ?1, 'task-' || i || ?2, 1, 1, 't', ?2, 't', cast(i as text), '{}', '[]', '{}', '{}', '[]', 0, 0, 0 from n`,
  )
    .bind(WORKSPACE, run.id, size)
    .run();
}

test("a run with more task runs than one statement deletes is deleted", { timeout: 60_000 }, async () => {
  const run = await aFlowRun();
  await aCrowd(run, 10_001);
  expect((await api("DELETE", `/flow_runs/${run.id}`)).status).toBe(204);
  expect(await leftOf(run)).toEqual(NONE);
});

test("an unsent event is sent before the run is deleted with its states", async () => {
  const run = await aFlowRun();
  // The process that wrote this state died before it sent the event.
  const id = run.state_id.slice(0, -4) + (run.state_id.endsWith("ffff") ? "0000" : "ffff");
  await env.DB.batch([
    env.DB.prepare(
      `insert into flow_run_state (id, workspace_id, flow_run_id, type, name, timestamp, state_details)
        select ?1, workspace_id, id, 'FAILED', 'Unsent', ?2, '{}' from flow_run where id = ?3`,
    ).bind(id, Date.now() * 1000, run.id),
    env.DB.prepare(
      "update flow_run set state_ids = json_insert(state_ids, '$[#]', ?1), state_id = ?1 where id = ?2",
    ).bind(id, run.id),
  ]);
  expect((await api("DELETE", `/flow_runs/${run.id}`)).status).toBe(204);
  expect(await storedEvents(`"id":"${id}"`)).toHaveLength(1);
});

test("a deletion does not cost more if there are many other runs", async () => {
  const [{ run }, { run: other }] = [await aFullRun(), await aFullRun()];
  await aCrowd(other, 3_000);
  const { headers } = await api("DELETE", `/flow_runs/${run.id}`, undefined, TELL_COST);
  expect(costOf(headers, "rows_read")).toBeLessThan(200);
});

test("runs are deleted at once although the events of their first states are not yet written", async () => {
  const statuses = await Promise.all(
    Array.from({ length: 24 }, async () => {
      const run = await aFlowRun();
      return (await api("DELETE", `/flow_runs/${run.id}`)).status;
    }),
  );
  expect(new Set(statuses)).toEqual(new Set([204]));
});
