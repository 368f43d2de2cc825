/**
 * Fixed rows for filters: two rows of most tables, a null in each nullable column, and rows with the same ids in
 * another workspace.
 */
import { env } from "cloudflare:test";
import { type SQL, sql } from "drizzle-orm";
import { SQLiteSyncDialect } from "drizzle-orm/sqlite-core";
import type { z } from "zod";
import { blockDocumentFilter, blockSchemaFilter, blockTypeFilter } from "#filters/blocks";
import {
  deploymentFilter,
  flowFilter,
  flowRunFilter,
  taskRunFilter,
  variableFilter,
  workPoolFilter,
  workQueueFilter,
} from "#filters/criteria";
import { type Filters, type Root as AnyRoot, whereClause } from "#filters/joins";
import { printTime } from "#wire/dates";

export const HOME = "00000000-0000-4000-8000-00000000aaaa";
const NEXT_DOOR = "00000000-0000-4000-8000-00000000bbbb";

/** Artifacts have tests of their own, through their routes. */
export type Root = Exclude<AnyRoot, "artifacts" | "artifact_collections">;

export const TABLES: Record<Root, string> = {
  flows: "flow",
  flow_runs: "flow_run",
  task_runs: "task_run",
  deployments: "deployment",
  work_pools: "work_pool",
  work_queues: "work_queue",
  variables: "variable",
  block_types: "block_type",
  block_schemas: "block_schema",
  block_documents: "block_document",
};

export interface FiltersInput {
  flows?: z.input<typeof flowFilter.field>;
  flow_runs?: z.input<typeof flowRunFilter.field>;
  task_runs?: z.input<typeof taskRunFilter.field>;
  deployments?: z.input<typeof deploymentFilter.field>;
  work_pools?: z.input<typeof workPoolFilter.field>;
  work_queues?: z.input<typeof workQueueFilter.field>;
  variables?: z.input<typeof variableFilter.field>;
  block_types?: z.input<typeof blockTypeFilter.field>;
  block_schemas?: z.input<typeof blockSchemaFilter.field>;
  block_documents?: z.input<typeof blockDocumentFilter.field>;
}

/** The id of a row by its short name: `r1` is the first flow run. */
export function idOf(name: string): string {
  return `00000000-0000-4000-8000-${name.charCodeAt(0).toString(16)}${name.slice(1).padStart(10, "0")}`;
}

function nameOf(id: string): string {
  const tail = id.slice(24);
  return String.fromCharCode(Number.parseInt(tail.slice(0, 2), 16)) + String(Number(tail.slice(2)));
}

/** The text of a time, in seconds since 1970. */
export function at(seconds: number): string {
  return printTime(seconds * 1_000_000);
}

const moment = (seconds: number | undefined) => (seconds === undefined ? null : seconds * 1_000_000);
const thing = (id: string, name: string) => ({ id: idOf(id), name, created: 1, updated: 1 });
const tagged = (id: string, name: string, tags: string[]) => ({ ...thing(id, name), tags: JSON.stringify(tags) });

interface RunTimes {
  expected?: number;
  next?: number;
  start?: number;
  end?: number;
}

const run = (id: string, name: string, tags: string[], state: [string | null, string | null], times: RunTimes) => ({
  ...tagged(id, name, tags),
  labels: "{}",
  empirical_policy: "{}",
  state_type: state[0],
  state_name: state[1],
  run_count: 0,
  expected_start_time: moment(times.expected),
  next_scheduled_start_time: moment(times.next),
  start_time: moment(times.start),
  end_time: moment(times.end),
  total_run_time: 0,
});
const flowRun = (row: ReturnType<typeof run>, rest: Record<string, string | null>) => ({
  ...row,
  parameters: "{}",
  context: "{}",
  auto_scheduled: 0,
  state_ids: "[]",
  flow_version: null,
  deployment_id: null,
  work_queue_id: null,
  work_queue_name: null,
  idempotency_key: null,
  created_by: null,
  parent_task_run_id: null,
  ...rest,
});
const taskRun = (row: ReturnType<typeof run>, flowRunId: string | null) => ({
  ...row,
  flow_run_id: flowRunId,
  task_key: row.id,
  dynamic_key: "0",
  task_inputs: "{}",
  states: "[]",
  flow_run_run_count: 0,
});
const deployment = (id: string, name: string, tags: string[], flow: string, queue: string | null, paused: number) => ({
  ...tagged(id, name, tags),
  flow_id: idOf(flow),
  paused,
  status: "READY",
  job_variables: "{}",
  parameters: "{}",
  enforce_parameter_schema: 0,
  labels: "{}",
  work_queue_id: queue && idOf(queue),
  work_queue_name: queue === "q2" ? "Default-high" : queue && "default",
});
const pool = (id: string, name: string, type: string) => ({
  ...thing(id, name),
  type,
  base_job_template: "{}",
  storage_configuration: "{}",
  is_paused: 0,
});
const queue = (id: string, name: string, poolId: string) => ({
  ...thing(id, name),
  work_pool_id: idOf(poolId),
  is_paused: 0,
  priority: 1,
  status: "READY",
});
const blockType = (id: string, name: string, slug: string) => ({ ...thing(id, name), slug, is_protected: 0 });
const blockSchema = (id: string, type: string, version: string, capabilities: string[]) => ({
  id: idOf(id),
  created: 1,
  updated: 1,
  checksum: `sha256:${id}`,
  version,
  block_type_id: idOf(type),
  capabilities: JSON.stringify(capabilities),
  fields: "{}",
});
const blockDocument = (id: string, name: string, schema: string, type: string, isAnonymous = 0) => ({
  ...thing(id, name),
  is_anonymous: isAnonymous,
  block_type_id: idOf(type),
  block_type_name: type,
  block_schema_id: idOf(schema),
  data: "{}",
  secrets: "[]",
});
export const FLOW_RUNS = [
  flowRun(
    run("r1", "Swift-Otter", ["red", "blue"], ["COMPLETED", "Completed"], { expected: 90, start: 100, end: 200 }),
    {
      flow_id: idOf("f1"),
      flow_version: "v1",
      deployment_id: idOf("d1"),
      work_queue_id: idOf("q1"),
      work_queue_name: "default",
      idempotency_key: "key-1",
      created_by: JSON.stringify({ id: idOf("d1"), type: "DEPLOYMENT", display_value: "Nightly" }),
    },
  ),
  flowRun(run("r2", "sad-marvin", [], ["RUNNING", "Running"], { expected: 300, start: 300 }), {
    flow_id: idOf("f1"),
    flow_version: "v2",
    deployment_id: idOf("d2"),
    work_queue_id: idOf("q3"),
    work_queue_name: "default",
    idempotency_key: "key-2",
    created_by: JSON.stringify({ id: idOf("x1"), type: "AUTOMATION" }),
  }),
  flowRun(run("r3", "under_score", ["red"], ["SCHEDULED", "Late"], { expected: 400, next: 400 }), {
    flow_id: idOf("f2"),
    deployment_id: idOf("d3"),
  }),
  flowRun(run("r4", "underscore", ["green"], ["PENDING", "Pending"], { expected: 150 }), {
    flow_id: idOf("f2"),
    parent_task_run_id: idOf("t1"),
  }),
  flowRun(run("r5", "ÄRGER 100%", [], [null, null], {}), { flow_id: idOf("f1") }),
  flowRun(
    run("r6", "back\\slash [x]*?", ["blue"], ["FAILED", "Crashed hard"], { expected: 450, start: 500, end: 600 }),
    {
      flow_id: idOf("f1"),
      deployment_id: idOf("d1"),
      work_queue_id: idOf("q2"),
      work_queue_name: "Default-high",
    },
  ),
];

export const TASK_RUNS = [
  taskRun(
    run("t1", "Load-1", ["io", "db"], ["COMPLETED", "Cached"], { expected: 100, start: 110, end: 120 }),
    idOf("r1"),
  ),
  taskRun(run("t2", "load-2", [], ["FAILED", "Failed"], { expected: 130, start: 140, end: 150 }), idOf("r1")),
  taskRun(run("t3", "extract", ["io"], ["RUNNING", "Running"], { expected: 300, start: 310 }), idOf("r2")),
  taskRun(run("t4", "background", [], ["PENDING", "Pending"], {}), null),
  taskRun(run("t5", "ghost", [], ["RUNNING", "Running"], { expected: 320, start: 330 }), idOf("r9")),
];

type Row = Record<string, string | number | null>;
const WORLD: [string, Row[]][] = [
  [
    "flow",
    [tagged("f1", "Alpha", ["red", "blue"]), tagged("f2", "beta_2", []), tagged("f3", "Gamma", ["blue"])].map(
      (row) => ({ ...row, labels: "{}" }),
    ),
  ],
  ["work_pool", [pool("p1", "k8s", "kubernetes"), pool("p2", "local", "process"), pool("p3", "idle", "process")]],
  [
    "work_queue",
    [
      queue("q1", "default", "p1"),
      queue("q2", "Default-high", "p1"),
      queue("q3", "default", "p2"),
      queue("q4", "under_score", "p2"),
    ],
  ],
  [
    "deployment",
    [
      deployment("d1", "Nightly", ["prod"], "f1", "q1", 0),
      deployment("d2", "hourly", [], "f1", "q3", 1),
      deployment("d3", "loose", ["eu", "prod"], "f2", null, 0),
    ],
  ],
  ["flow_run", FLOW_RUNS],
  ["task_run", TASK_RUNS],
  ["variable", [tagged("v1", "region", ["x"]), tagged("v2", "REGION_EU", []), tagged("v3", "stage", ["x", "y"])]],
  ["block_type", [blockType("b1", "Pump", "pump"), blockType("b2", "pumping Station", "pumping-station")]],
  [
    "block_schema",
    [
      blockSchema("s1", "b1", "1.0", ["read", "write"]),
      blockSchema("s2", "b1", "2.0", ["read"]),
      blockSchema("s3", "b2", "1.0", []),
    ],
  ],
  [
    "block_document",
    [
      blockDocument("o1", "main", "s1", "b1"),
      blockDocument("o2", "spare", "s2", "b1"),
      blockDocument("o3", "main", "s3", "b2"),
      blockDocument("o4", "anonymous-4", "s1", "b1", 1),
    ],
  ],
];

/** Inserts the rows into both workspaces. A filter of the first workspace must not find a row of the second. */
export async function makeWorld(): Promise<void> {
  const strange = (row: Row, index: number): Row => ({
    ...row,
    ...("name" in row && { name: `stranger${index}` }),
    ...("tags" in row && { tags: '["stranger"]' }),
  });
  const statements = WORLD.flatMap(([table, rows]) =>
    rows.flatMap((row, index) => [insert(table, HOME, row), insert(table, NEXT_DOOR, strange(row, index))]),
  );
  await env.DB.batch(statements);
}

function insert(table: string, workspaceId: string, row: Row): D1PreparedStatement {
  const columns = ["workspace_id", ...Object.keys(row)];
  const marks = columns.map(() => "?").join(", ");
  return env.DB.prepare(`insert into ${table} (${columns.join(", ")}) values (${marks})`).bind(
    workspaceId,
    ...Object.values(row),
  );
}

function statement(query: SQL): D1PreparedStatement {
  const { sql: text, params } = new SQLiteSyncDialect().sqlToQuery(query);
  return env.DB.prepare(text).bind(...params);
}

/** The filters, parsed as in a route. */
export function parse(filters: FiltersInput): Filters {
  return {
    flows: flowFilter.field.parse(filters.flows),
    flow_runs: flowRunFilter.field.parse(filters.flow_runs),
    task_runs: taskRunFilter.field.parse(filters.task_runs),
    deployments: deploymentFilter.field.parse(filters.deployments),
    work_pools: workPoolFilter.field.parse(filters.work_pools),
    work_queues: workQueueFilter.field.parse(filters.work_queues),
    variables: variableFilter.field.parse(filters.variables),
    block_types: blockTypeFilter.field.parse(filters.block_types),
    block_schemas: blockSchemaFilter.field.parse(filters.block_schemas),
    block_documents: blockDocumentFilter.field.parse(filters.block_documents),
  };
}

function select(root: Root, filters: FiltersInput, rest: SQL): SQL {
  return sql`select id from ${sql.identifier(TABLES[root])} where ${whereClause(root, parse(filters), HOME)} ${rest}`;
}

/** The short names of the found rows, ordered by id unless an order is given. */
export async function find(root: Root, filters: FiltersInput, order: SQL = sql`id`): Promise<string> {
  const { results } = await statement(select(root, filters, sql`order by ${order}`)).all<{ id: string }>();
  return results.map(({ id }) => nameOf(id)).join(" ");
}

/** The query plan, with a line for each step. */
export async function explain(root: Root, filters: FiltersInput, rest: SQL = sql``): Promise<string> {
  const { results } = await statement(sql`explain query plan ${select(root, filters, rest)}`).all<{ detail: string }>();
  return results.map(({ detail }) => detail).join("\n");
}
