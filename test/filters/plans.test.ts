import { sql } from "drizzle-orm";
import { describe, test } from "vitest";
import { type FlowRunSort, orderBy } from "#filters/sorts";
import { at, explain, type FiltersInput, idOf, type Root } from "./world";

const SORTED = "USE TEMP B-TREE FOR ORDER BY";

const LISTS: [what: string, filters: FiltersInput["flow_runs"], sort: FlowRunSort, step: string, sorted: boolean][] = [
  ["all, latest start first", {}, "START_TIME_DESC", "flow_run_start (workspace_id=?)", false],
  ["all, earliest start first", {}, "START_TIME_ASC", "flow_run_start (workspace_id=?)", false],
  ["all, by id", {}, "ID_DESC", "PRIMARY KEY (workspace_id=?)", false],
  [
    "a stretch of time",
    { start_time: { after_: at(1), before_: at(2) } },
    "START_TIME_DESC",
    "flow_run_start (workspace_id=? AND <expr>>? AND <expr><?)",
    false,
  ],
  [
    "some ids",
    { id: { any_: [idOf("r1"), idOf("r2")] } },
    "START_TIME_DESC",
    "PRIMARY KEY (workspace_id=? AND id=?)",
    true,
  ],
  [
    "a deployment, by when expected",
    { deployment_id: { any_: [idOf("d1")] } },
    "EXPECTED_START_TIME_DESC",
    "flow_run_deployment (workspace_id=? AND deployment_id=?)",
    true,
  ],
  [
    "a deployment, by start",
    { deployment_id: { any_: [idOf("d1")] } },
    "START_TIME_DESC",
    "flow_run_deployment (workspace_id=? AND deployment_id=?)",
    false,
  ],
  [
    "a stretch of a deployment's time",
    { deployment_id: { any_: [idOf("d1")] }, start_time: { after_: at(1) } },
    "START_TIME_ASC",
    "flow_run_deployment (workspace_id=? AND deployment_id=? AND <expr>>?)",
    false,
  ],
  [
    "some deployments",
    { deployment_id: { any_: [idOf("d1"), idOf("d2")] } },
    "START_TIME_DESC",
    "flow_run_deployment (workspace_id=? AND deployment_id=?)",
    true,
  ],
  [
    "the subflow of a task",
    { parent_task_run_id: { any_: [idOf("t1")] } },
    "START_TIME_DESC",
    "flow_run_parent (workspace_id=? AND parent_task_run_id=?)",
    true,
  ],
  [
    "the subflows of a run",
    { parent_flow_run_id: { any_: [idOf("r1")] } },
    "START_TIME_DESC",
    "flow_run_parent (workspace_id=? AND parent_task_run_id=?)",
    true,
  ],
  [
    "running",
    { state: { type: { any_: ["RUNNING"] } } },
    "START_TIME_DESC",
    "flow_run_live (next_scheduled_start_time=? AND workspace_id=?)",
    true,
  ],
  [
    "scheduled",
    { state: { type: { any_: ["SCHEDULED"] } } },
    "START_TIME_DESC",
    "flow_run_live (next_scheduled_start_time>?)",
    true,
  ],
  [
    "scheduled and due",
    { state: { type: { any_: ["SCHEDULED"] } }, next_scheduled_start_time: { before_: at(1) } },
    "NEXT_SCHEDULED_START_TIME_ASC",
    "flow_run_live (next_scheduled_start_time>? AND next_scheduled_start_time<?)",
    false,
  ],
  [
    "late, by the name of the state",
    { state: { name: { any_: ["Late"] } } },
    "START_TIME_DESC",
    "ended USING INDEX flow_run_ended_as_live",
    true,
  ],
  [
    "expected in a stretch of time",
    { expected_start_time: { after_: at(1), before_: at(2) } },
    "START_TIME_DESC",
    "flow_run_start (workspace_id=? AND <expr>>? AND <expr><?)",
    false,
  ],
  [
    "of a deployment, expected in a stretch of time",
    { deployment_id: { any_: [idOf("d1")] }, expected_start_time: { after_: at(1), before_: at(2) } },
    "START_TIME_DESC",
    "flow_run_deployment (workspace_id=? AND deployment_id=? AND <expr>>? AND <expr><?)",
    false,
  ],
  [
    "scheduled or running",
    { state: { type: { any_: ["SCHEDULED", "RUNNING"] } } },
    "START_TIME_DESC",
    "live USING INDEX flow_run_live",
    true,
  ],
];

describe("a list of 50 flow runs is read through an index", () => {
  test("for the deployment that the deployments filter names", async ({ expect }) => {
    const filters = { deployments: { id: { any_: [idOf("d1")] } } };
    const plan = await explain("flow_runs", filters, sql`order by ${orderBy("flow_runs", "START_TIME_DESC")} limit 50`);
    expect(plan).toContain("flow_run_deployment (workspace_id=? AND deployment_id=?)");
    expect(plan).not.toContain(SORTED);
  });

  test("for the live runs of the deployment that the deployments filter names", async ({ expect }) => {
    const filters = {
      deployments: { id: { any_: [idOf("d1")] } },
      flow_runs: { state: { name: { any_: ["Scheduled"] } } },
    };
    const plan = await explain("flow_runs", filters, sql`order by ${orderBy("flow_runs", "START_TIME_DESC")} limit 50`);
    expect(plan).toContain("live USING INDEX flow_run_live");
    expect(plan).toContain("SEARCH flow_run USING PRIMARY KEY (workspace_id=? AND id=?)");
  });

  test.for(LISTS)("%s", async ([, flow_runs, sort, step, sorted], { expect }) => {
    const plan = await explain("flow_runs", { flow_runs }, sql`order by ${orderBy("flow_runs", sort)} limit 50`);
    expect(plan).toContain(step);
    expect(plan.includes(SORTED)).toBe(sorted);
  });
});

const COUNTS: [what: string, root: Root, filters: FiltersInput, step: string | string[]][] = [
  [
    "running flow runs",
    "flow_runs",
    { flow_runs: { state: { type: { any_: ["RUNNING", "CANCELLING"] } } } },
    "flow_run_live (next_scheduled_start_time=? AND workspace_id=?)",
  ],
  [
    "scheduled flow runs",
    "flow_runs",
    { flow_runs: { state: { type: { any_: ["SCHEDULED"] } } } },
    "flow_run_live (next_scheduled_start_time>?)",
  ],
  [
    "live flow runs",
    "flow_runs",
    { flow_runs: { state: { type: { any_: ["SCHEDULED", "PENDING"] } } } },
    "live USING INDEX flow_run_live",
  ],
  [
    "task runs of a flow run",
    "task_runs",
    { task_runs: { flow_run_id: { any_: [idOf("r1")] } } },
    ["task_run_flow_run (flow_run_id=?)", "task_run_key (flow_run_id=? AND key_hash>?)"],
  ],
  [
    "task runs of flow runs",
    "task_runs",
    { flow_runs: { id: { any_: [idOf("r1"), idOf("r2")] } } },
    ["task_run_flow_run (flow_run_id=?)", "task_run_key (flow_run_id=? AND key_hash>?)"],
  ],
  [
    "task runs by id",
    "task_runs",
    { task_runs: { id: { any_: [idOf("t1"), idOf("t2")] } } },
    "PRIMARY KEY (workspace_id=? AND id=?)",
  ],
  [
    "flow runs of deployments",
    "flow_runs",
    { deployments: { id: { any_: [idOf("d1"), idOf("d2")] }, tags: { any_: ["a"] } } },
    "flow_run_deployment (workspace_id=? AND deployment_id=?)",
  ],
  [
    "flow runs with tasks",
    "flow_runs",
    { task_runs: {} },
    ["task_run_flow_run (flow_run_id=?)", "task_run_key (flow_run_id=? AND key_hash>?)"],
  ],
  [
    "deployments by id",
    "deployments",
    { deployments: { id: { any_: [idOf("d1")] } } },
    "PRIMARY KEY (workspace_id=? AND id=?)",
  ],
  [
    "deployments of a queue",
    "work_queues",
    { deployments: {} },
    "deployment_work_queue (workspace_id=? AND work_queue_id=?)",
  ],
];

describe("a count reads an index", () => {
  test.for(COUNTS)("%s", async ([, root, filters, step], { expect }) => {
    const plan = await explain(root, filters);
    for (const one of [step].flat()) expect(plan).toContain(one);
  });
});
