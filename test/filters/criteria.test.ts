import { beforeAll, describe, test } from "vitest";
import { at, type FiltersInput, find, idOf, makeWorld, type Root } from "./world";

beforeAll(makeWorld);

const ids = (names: string) => names.split(" ").map(idOf);
const long = "x".repeat(300);

type Cases<R extends Root> = [filter: NonNullable<FiltersInput[R]>, found: string][];

const FLOWS: Cases<"flows"> = [
  [{}, "f1 f2 f3"],
  [{ id: null, name: null, tags: null, deployment: null }, "f1 f2 f3"],
  [{ id: {} }, "f1 f2 f3"],
  [{ id: { any_: ids("f1 f3 f9") } }, "f1 f3"],
  [{ id: { any_: ids("f2") } }, "f2"],
  [{ id: { any_: [] } }, ""],
  [{ id: { not_any_: ids("f1") } }, "f2 f3"],
  [{ id: { not_any_: [] } }, "f1 f2 f3"],
  [{ id: { any_: ids("f1 f2"), not_any_: ids("f1") } }, "f2"],
  [{ deployment: { is_null_: true } }, "f3"],
  [{ deployment: { is_null_: false } }, "f1 f2"],
  [{ deployment: {} }, "f1 f2 f3"],
  [{ name: { any_: ["Alpha", "gamma"] } }, "f1"],
  [{ name: { like_: "A" } }, "f1 f2 f3"],
  [{ name: { like_: "ALPHA" } }, "f1"],
  [{ name: { like_: "" } }, "f1 f2 f3"],
  [{ name: { any_: ["Alpha", "Gamma"], like_: "mm" } }, "f3"],
  [{ tags: { all_: ["red", "blue"] } }, "f1"],
  [{ tags: { all_: [] } }, "f1 f2 f3"],
  [{ tags: { is_null_: true } }, "f2"],
  [{ tags: { is_null_: false } }, "f1 f3"],
];

const FLOW_RUNS: Cases<"flow_runs"> = [
  [{}, "r1 r2 r3 r4 r5 r6"],
  [{ id: { any_: ids("r6 r1") } }, "r1 r6"],
  [{ id: { any_: [idOf("r1").toUpperCase().replaceAll("-", "")] } }, "r1"],
  [{ id: { not_any_: ids("r6 r1") } }, "r2 r3 r4 r5"],
  [{ name: { any_: ["sad-marvin"] } }, "r2"],
  [{ name: { like_: "MARVIN" } }, "r2"],
  [{ name: { like_: "under_score" } }, "r3"],
  [{ name: { like_: "under%score" } }, "r3 r4"],
  [{ name: { like_: "r_s" } }, "r3"],
  [{ name: { like_: "r\\_s" } }, "r3"],
  [{ name: { like_: "ärger" } }, "r5"],
  [{ name: { like_: "100\\%" } }, "r5"],
  [{ name: { like_: "back\\\\slash" } }, "r6"],
  [{ name: { like_: "[X]*?" } }, "r6"],
  [{ name: { like_: "*" } }, "r6"],
  [{ name: { like_: long } }, ""],
  [{ name: { like_: `a%${"%".repeat(200)}%marvin` } }, "r2"],
  [{ name: { like_: `S${"%".repeat(60)}t${"%".repeat(60)}_r` } }, "r1"],
  [{ tags: { all_: ["red"] } }, "r1 r3"],
  [{ tags: { all_: ["red", "blue"] } }, "r1"],
  [{ tags: { any_: ["green", "red"] } }, "r1 r3 r4"],
  [{ tags: { any_: [] } }, ""],
  [{ tags: { is_null_: true } }, "r2 r5"],
  [{ tags: { operator: "or_", any_: ["green"], is_null_: true } }, "r2 r4 r5"],
  [{ tags: { any_: ["red"], all_: ["blue"] } }, "r1"],
  [{ deployment_id: { any_: ids("d1 d3") } }, "r1 r3 r6"],
  [{ deployment_id: { any_: ids("d2") } }, "r2"],
  [{ deployment_id: { is_null_: true } }, "r4 r5"],
  [{ deployment_id: { is_null_: false } }, "r1 r2 r3 r6"],
  [{ deployment_id: { operator: "or_", any_: ids("d2"), is_null_: true } }, "r2 r4 r5"],
  [{ work_queue_name: { any_: ["default"] } }, "r1 r2"],
  [{ work_queue_name: { is_null_: true } }, "r3 r4 r5"],
  [{ work_queue_name: { operator: "or_", any_: ["Default-high"], is_null_: true } }, "r3 r4 r5 r6"],
  [{ state: {} }, "r1 r2 r3 r4 r5 r6"],
  [{ state: { type: { any_: ["RUNNING"] } } }, "r2"],
  [{ state: { type: { any_: ["RUNNING", "PENDING"] } } }, "r2 r4"],
  [{ state: { type: { any_: ["SCHEDULED"] } } }, "r3"],
  [{ state: { type: { any_: ["SCHEDULED", "RUNNING"] } } }, "r2 r3"],
  [{ state: { type: { any_: ["COMPLETED", "RUNNING"] } } }, "r1 r2"],
  [{ state: { type: { any_: [] } } }, ""],
  [{ state: { type: { not_any_: ["COMPLETED", "FAILED"] } } }, "r2 r3 r4"],
  [{ state: { type: { not_any_: [] } } }, "r1 r2 r3 r4 r5 r6"],
  [{ state: { type: { any_: ["RUNNING"], not_any_: ["PENDING"] } } }, "r1 r2 r3 r4 r5 r6"],
  [{ state: { type: { any_: ["RUNNING"], not_any_: [] } } }, "r2"],
  [{ state: { name: { any_: ["Late", "Pending"] } } }, "r3 r4"],
  [{ state: { name: { not_any_: ["Late", "Pending"] } } }, "r1 r2 r6"],
  [{ state: { name: { any_: ["Late"], not_any_: ["Running"] } } }, "r1 r2 r3 r4 r5 r6"],
  [{ state: { type: { any_: ["RUNNING"] }, name: { any_: ["Late"] } } }, ""],
  [{ state: { operator: "or_", type: { any_: ["RUNNING"] }, name: { any_: ["Late"] } } }, "r2 r3"],
  [{ state: { operator: "or_", type: { any_: ["SCHEDULED", "PENDING"] }, name: { any_: ["Completed"] } } }, "r1 r3 r4"],
  [{ flow_version: { any_: ["v2", "v3"] } }, "r2"],
  [{ start_time: { before_: at(150) } }, "r1 r4"],
  [{ start_time: { after_: at(400) } }, "r3 r6"],
  [{ start_time: { after_: at(150), before_: at(300) } }, "r2 r4"],
  [{ start_time: { is_null_: true } }, "r3 r4 r5"],
  [{ start_time: { is_null_: false } }, "r1 r2 r6"],
  [{ end_time: { before_: at(200) } }, "r1"],
  [{ end_time: { after_: at(200) } }, "r1 r6"],
  [{ end_time: { is_null_: true } }, "r2 r3 r4 r5"],
  [{ end_time: { is_null_: false } }, "r1 r6"],
  [{ expected_start_time: { before_: at(150) } }, "r1 r4"],
  [{ expected_start_time: { after_: at(400) } }, "r3 r6"],
  [{ next_scheduled_start_time: { before_: at(400) } }, "r3"],
  [{ next_scheduled_start_time: { after_: at(401) } }, ""],
  [{ parent_flow_run_id: { any_: ids("r1") } }, "r4"],
  [{ parent_flow_run_id: { any_: ids("r2") } }, ""],
  [{ parent_flow_run_id: { any_: [] } }, ""],
  [{ parent_task_run_id: { any_: ids("t1 t2") } }, "r4"],
  [{ parent_task_run_id: { is_null_: true } }, "r1 r2 r3 r5 r6"],
  [{ parent_task_run_id: { operator: "or_", any_: ids("t1"), is_null_: true } }, "r1 r2 r3 r4 r5 r6"],
  [{ idempotency_key: { any_: ["key-1", "key-9"] } }, "r1"],
  [{ idempotency_key: { not_any_: ["key-1"] } }, "r2"],
  [{ created_by: { id_: ids("d1") } }, "r1"],
  [{ created_by: { type_: ["AUTOMATION", "DEPLOYMENT"] } }, "r1 r2"],
  [{ created_by: { is_null_: true } }, "r3 r4 r5 r6"],
  [{ created_by: { operator: "or_", id_: ids("d1"), is_null_: true } }, "r1 r3 r4 r5 r6"],
  [{ operator: "or_" }, "r1 r2 r3 r4 r5 r6"],
  [{ operator: "or_", name: { any_: ["sad-marvin"] }, id: { any_: ids("r1") } }, "r1 r2"],
  [{ operator: "or_", name: { any_: ["sad-marvin"] }, id: {} }, "r1 r2 r3 r4 r5 r6"],
  [{ operator: "or_", name: { any_: ["sad-marvin"] }, id: null }, "r2"],
  [
    {
      operator: "or_",
      tags: { operator: "and_", all_: ["red"], any_: ["blue"] },
      deployment_id: { operator: "or_", any_: ids("d3"), is_null_: true },
    },
    "r1 r3 r4 r5",
  ],
  [
    { operator: "and_", tags: { operator: "or_", all_: ["red"], is_null_: true }, deployment_id: { is_null_: false } },
    "r1 r2 r3",
  ],
];

const TASK_RUNS: Cases<"task_runs"> = [
  [{}, "t1 t2 t3 t4 t5"],
  [{ id: { any_: ids("t1 t4") } }, "t1 t4"],
  [{ name: { any_: ["extract"] } }, "t3"],
  [{ name: { like_: "LOAD" } }, "t1 t2"],
  [{ tags: { all_: ["io"] } }, "t1 t3"],
  [{ tags: { is_null_: true } }, "t2 t4 t5"],
  [{ tags: { operator: "or_", all_: ["db"], is_null_: true } }, "t1 t2 t4 t5"],
  [{ state: { type: { any_: ["RUNNING"] } } }, "t3 t5"],
  [{ state: { type: { any_: [] } } }, ""],
  [{ state: { type: {} } }, "t1 t2 t3 t4 t5"],
  [{ state: { name: { any_: ["Cached"] } } }, "t1"],
  [{ state: { operator: "or_", type: { any_: ["PENDING"] }, name: { any_: ["Cached"] } } }, "t1 t4"],
  [{ start_time: { before_: at(140) } }, "t1 t2"],
  [{ start_time: { after_: at(310) } }, "t3 t5"],
  [{ start_time: { is_null_: true } }, "t4"],
  [{ end_time: { before_: at(120) } }, "t1"],
  [{ end_time: { after_: at(121) } }, "t2"],
  [{ end_time: { is_null_: true } }, "t3 t4 t5"],
  [{ expected_start_time: { before_: at(100) } }, "t1"],
  [{ expected_start_time: { after_: at(300) } }, "t3 t5"],
  [{ subflow_runs: { exists_: true } }, "t1"],
  [{ subflow_runs: { exists_: false } }, "t2 t3 t4 t5"],
  [{ subflow_runs: {} }, "t1 t2 t3 t4 t5"],
  [{ flow_run_id: {} }, "t1 t2 t3 t5"],
  [{ flow_run_id: { any_: ids("r1") } }, "t1 t2"],
  [{ flow_run_id: { any_: ids("r1 r2") } }, "t1 t2 t3"],
  [{ flow_run_id: { any_: [] } }, ""],
  [{ flow_run_id: { is_null_: true } }, "t4"],
  [{ flow_run_id: { is_null_: false } }, "t1 t2 t3 t5"],
  [{ flow_run_id: { is_null_: null } }, "t1 t2 t3 t4 t5"],
  [{ flow_run_id: { is_null_: null, any_: ids("r1") } }, "t1 t2"],
  [{ flow_run_id: { operator: "or_", is_null_: true, any_: ids("r1") } }, "t4"],
  [{ operator: "or_", id: { any_: ids("t5") }, name: { like_: "back" } }, "t4 t5"],
];

const DEPLOYMENTS: Cases<"deployments"> = [
  [{}, "d1 d2 d3"],
  [{ id: { any_: ids("d1 d2") } }, "d1 d2"],
  [{ id: { not_any_: ids("d1 d2") } }, "d3"],
  [{ name: { any_: ["Nightly"] } }, "d1"],
  [{ name: { like_: "LY" } }, "d1 d2"],
  [{ flow_or_deployment_name: { like_: "alpha" } }, "d1 d2"],
  [{ flow_or_deployment_name: { like_: "L" } }, "d1 d2 d3"],
  [{ flow_or_deployment_name: { like_: "stranger" } }, ""],
  [{ flow_or_deployment_name: { like_: "" } }, "d1 d2 d3"],
  [{ paused: { eq_: true } }, "d2"],
  [{ paused: { eq_: false } }, "d1 d3"],
  [{ paused: {} }, "d1 d2 d3"],
  [{ tags: { all_: ["prod"] } }, "d1 d3"],
  [{ tags: { any_: ["eu", "us"] } }, "d3"],
  [{ tags: { is_null_: true } }, "d2"],
  [{ work_queue_name: { any_: ["default"] } }, "d1 d2"],
  [{ concurrency_limit: { ge_: 5, le_: 1, is_null_: true } }, "d1 d2 d3"],
  [{ operator: "or_", concurrency_limit: { ge_: 5 }, paused: { eq_: true } }, "d2"],
];

const WORK_POOLS: Cases<"work_pools"> = [
  [{}, "p1 p2 p3"],
  [{ id: { any_: ids("p1 p3") } }, "p1 p3"],
  [{ name: { any_: ["k8s", "local"] } }, "p1 p2"],
  [{ type: { any_: ["process"] } }, "p2 p3"],
  [{ operator: "or_", name: { any_: ["k8s"] }, id: { any_: ids("p3") } }, "p1 p3"],
];

const WORK_QUEUES: Cases<"work_queues"> = [
  [{}, "q1 q2 q3 q4"],
  [{ id: { any_: ids("q2") } }, "q2"],
  [{ name: { any_: ["default"] } }, "q1 q3"],
  [{ name: { startswith_: ["DEF"] } }, "q1 q2 q3"],
  [{ name: { startswith_: ["default-", "under\\_"] } }, "q2 q4"],
  [{ name: { startswith_: ["efault"] } }, ""],
  [{ name: { startswith_: [] } }, "q1 q2 q3 q4"],
  [{ name: { startswith_: [...Array.from({ length: 300 }, (_, index) => `no ${index}${long}`), "under_"] } }, "q4"],
  [{ operator: "or_", id: { any_: ids("q4") }, name: { any_: ["default"] } }, "q1 q3 q4"],
];

const VARIABLES: Cases<"variables"> = [
  [{}, "v1 v2 v3"],
  [{ id: { any_: ids("v1 v2") } }, "v1 v2"],
  [{ name: { any_: ["region"] } }, "v1"],
  [{ name: { like_: "region_" } }, "v2"],
  [{ tags: { all_: ["x"] } }, "v1 v3"],
  [{ tags: { is_null_: true } }, "v2"],
  [{ operator: "or_", name: { like_: "stage" }, tags: { is_null_: true } }, "v2 v3"],
];

const BLOCK_TYPES: Cases<"block_types"> = [
  [{}, "b1 b2"],
  [{ name: { like_: "PUMP" } }, "b1 b2"],
  [{ name: { like_: "ing" } }, "b2"],
  [{ name: { like_: "" } }, "b1 b2"],
  [{ slug: { any_: ["pump", "none"] } }, "b1"],
  [{ slug: { any_: [] } }, ""],
];

const BLOCK_SCHEMAS: Cases<"block_schemas"> = [
  [{}, "s1 s2 s3"],
  [{ id: { any_: ids("s2 s3") } }, "s2 s3"],
  [{ block_type_id: { any_: ids("b1") } }, "s1 s2"],
  [{ version: { any_: ["1.0"] } }, "s1 s3"],
  [{ block_capabilities: { all_: ["read"] } }, "s1 s2"],
  [{ block_capabilities: { all_: ["write", "read"] } }, "s1"],
  [{ block_capabilities: { all_: [] } }, "s1 s2 s3"],
  [{ block_capabilities: { all_: ["rea"] } }, ""],
  [{ operator: "or_", version: { any_: ["2.0"] }, block_type_id: { any_: ids("b2") } }, "s2 s3"],
];

const BLOCK_DOCUMENTS: Cases<"block_documents"> = [
  [{}, "o1 o2 o3"],
  [{ is_anonymous: null }, "o1 o2 o3 o4"],
  [{ is_anonymous: {} }, "o1 o2 o3 o4"],
  [{ is_anonymous: { eq_: true } }, "o4"],
  [{ id: { any_: ids("o1 o4") } }, "o1"],
  [{ id: { any_: ids("o1 o4") }, is_anonymous: null }, "o1 o4"],
  [{ block_type_id: { any_: ids("b2") } }, "o3"],
  [{ name: { any_: ["main"] } }, "o1 o3"],
  [{ name: { like_: "PAR" } }, "o2"],
  [{ operator: "or_", id: { any_: ids("o4") } }, "o1 o2 o3 o4"],
];

const under = <R extends Root>(root: R, cases: Cases<R>) => ({
  root,
  cases: cases.map(([filter, found]) => ({ filter, found })),
});

describe.for([
  under("flows", FLOWS),
  under("flow_runs", FLOW_RUNS),
  under("task_runs", TASK_RUNS),
  under("deployments", DEPLOYMENTS),
  under("work_pools", WORK_POOLS),
  under("work_queues", WORK_QUEUES),
  under("variables", VARIABLES),
  under("block_types", BLOCK_TYPES),
  under("block_schemas", BLOCK_SCHEMAS),
  under("block_documents", BLOCK_DOCUMENTS),
])("the filter of $root", ({ root, cases }) => {
  test.for(cases)("$filter finds '$found'", async ({ filter, found }, { expect }) => {
    expect(await find(root, { [root]: filter })).toBe(found);
  });
});

test("block types and documents are found by their schemas, and documents by their types", async ({ expect }) => {
  const block_schemas: FiltersInput["block_schemas"] = { version: { any_: ["2.0"] } };
  expect(await find("block_types", { block_schemas })).toBe("b1");
  expect(await find("block_documents", { block_documents: {}, block_schemas })).toBe("o2");
  expect(await find("block_documents", { block_documents: {}, block_types: { slug: { any_: ["pump"] } } })).toBe(
    "o1 o2",
  );
});

test("without a filter all rows of the workspace are found", async ({ expect }) => {
  expect(await find("flow_runs", {})).toBe("r1 r2 r3 r4 r5 r6");
});

test("lists may have more values than a statement can bind", async ({ expect }) => {
  const many = Array.from({ length: 500 }, (_, index) => idOf(`r${index}`));
  expect(await find("flow_runs", { flow_runs: { id: { any_: many } } })).toBe("r1 r2 r3 r4 r5 r6");
});

test("every criterion of every resource at once is still one statement", async ({ expect }) => {
  const some = ids("x1 x2");
  const span = { before_: at(1), after_: at(2) };
  const id = { any_: some, not_any_: some };
  const name = { any_: ["x", "y"], like_: long };
  const tags: NonNullable<FiltersInput["flows"]>["tags"] = { operator: "or_", all_: ["x", "y"], is_null_: true };
  const filters: FiltersInput = {
    flows: { operator: "or_", id, deployment: { is_null_: true }, name, tags },
    flow_runs: {
      operator: "or_",
      id,
      name,
      tags: { ...tags, any_: ["x"] },
      deployment_id: { any_: some, is_null_: false },
      work_queue_name: { any_: ["x"], is_null_: false },
      state: { type: { any_: ["RUNNING", "SCHEDULED"] }, name: { not_any_: ["x"] } },
      flow_version: { any_: ["x"] },
      start_time: { ...span, is_null_: true },
      end_time: { ...span, is_null_: true },
      expected_start_time: span,
      next_scheduled_start_time: span,
      parent_flow_run_id: { any_: some },
      parent_task_run_id: { any_: some, is_null_: true },
      idempotency_key: { any_: ["x"], not_any_: ["x"] },
      created_by: { id_: some, type_: ["x"], is_null_: true },
    },
    task_runs: {
      operator: "or_",
      id: { any_: some },
      name,
      tags,
      state: { type: { any_: ["RUNNING"] }, name: { any_: ["x"] } },
      start_time: { ...span, is_null_: true },
      end_time: { ...span, is_null_: true },
      expected_start_time: span,
      subflow_runs: { exists_: true },
      flow_run_id: { any_: some },
    },
    deployments: {
      operator: "or_",
      id,
      name,
      flow_or_deployment_name: { like_: long },
      paused: { eq_: true },
      tags: { ...tags, any_: ["x"] },
      work_queue_name: { any_: ["x"] },
    },
    work_pools: { operator: "or_", id: { any_: some }, name: { any_: ["x"] }, type: { any_: ["x"] } },
    work_queues: { operator: "or_", id: { any_: some }, name: { any_: ["x"], startswith_: [long, "x"] } },
  };
  const roots = ["flows", "flow_runs", "task_runs", "deployments", "work_pools", "work_queues"] as const;
  const found = await Promise.all(roots.map((root) => find(root, filters)));
  expect(found).toEqual(roots.map(() => ""));
});
