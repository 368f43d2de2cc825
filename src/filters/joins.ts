/** Filters one resource by other resources. Has the joins between the tables, and makes SQL conditions from filters. */
import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import type * as z from "zod";
import { block_document, block_schema, block_type } from "#db/tables/block";
import { artifact, artifact_collection } from "#db/tables/artifact";
import { deployment } from "#db/tables/deployment";
import { flow } from "#db/tables/flow";
import { flow_run } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { variable } from "#db/tables/variable";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { artifactCollectionFilter, artifactFilter, ofNamed } from "./artifacts";
import { ALWAYS, anyId, anyOf, combine, type Criterion, inWorkspace } from "./clause";
import { blockDocumentFilter, blockSchemaFilter, blockTypeFilter } from "./blocks";
import {
  deploymentFilter,
  flowFilter,
  flowRunFilter,
  namesLiveStates,
  ofAnyFlowRun,
  taskRunFilter,
  variableFilter,
  workPoolFilter,
  workQueueFilter,
} from "./criteria";
import type { Micros } from "#lib/clock";
import { shortWorkspace, uuidText } from "#db/short/ids";
import { mayStartSince } from "#db/task-run-starts";
import { Uuid } from "#wire/ids";
import { inTaskWorkspace, isTaskRunOf, ofFlowRun } from "#db/task-run-keys";

const RESOURCES = {
  flows: { table: flow, filter: flowFilter },
  flow_runs: { table: flow_run, filter: flowRunFilter },
  task_runs: { table: task_run, filter: taskRunFilter },
  deployments: { table: deployment, filter: deploymentFilter },
  work_pools: { table: work_pool, filter: workPoolFilter },
  work_queues: { table: work_queue, filter: workQueueFilter },
  variables: { table: variable, filter: variableFilter },
  block_types: { table: block_type, filter: blockTypeFilter },
  block_schemas: { table: block_schema, filter: blockSchemaFilter },
  block_documents: { table: block_document, filter: blockDocumentFilter },
  artifacts: { table: artifact, filter: artifactFilter },
  // A query for collections joins each with its latest artifact.
  artifact_collections: { table: artifact_collection, filter: artifactCollectionFilter },
};

interface Resource {
  table: { workspace_id: SQLWrapper };
  filter: Criterion;
}

/** The resource of the rows that a query reads. */
export type Root = keyof typeof RESOURCES;

/** The parsed filters of a request, by resource. */
export type Filters = { [R in Root]?: z.output<(typeof RESOURCES)[R]["filter"]["field"]> };

/** The fields of a body with filters, for `embedded({ ...FilterFields, limit: Limit })`. */
export const FilterFields = {
  flows: flowFilter.field,
  flow_runs: flowRunFilter.field,
  task_runs: taskRunFilter.field,
  deployments: deploymentFilter.field,
  work_pools: workPoolFilter.field,
  work_pool_queues: workQueueFilter.field,
};

/** A parsed body with filters. A route for fewer resources has fewer fields. */
export type FilterBody = { [K in keyof typeof FilterFields]?: z.output<(typeof FilterFields)[K]> };

/** Gives the filters of a body, for `whereClause`. On the wire the filter of work queues is `work_pool_queues`. */
export function toFilters(body: FilterBody): Filters {
  const { flows, flow_runs, task_runs, deployments, work_pools, work_pool_queues: work_queues } = body;
  return { flows, flow_runs, task_runs, deployments, work_pools, work_queues };
}

/** A join from a row to rows of another resource: column `there` of those rows equals the column `here` of the row. */
interface Way {
  to: Root;
  here: SQLWrapper;
  there: SQLWrapper;
  /** The condition that the rows are joined, if it is not that these columns are equal. */
  joins?: (workspaceId: string) => SQL;
  /** No index begins with `there`. So the query collects the matching rows once, and does not search for each row. */
  gathered?: boolean;
  onward?: Way[];
}

const toFlow = (here: SQLWrapper): Way => ({ to: "flows", here, there: flow.id });
const toWorkPool: Way = { to: "work_pools", here: work_queue.work_pool_id, there: work_pool.id };
const toWorkQueue = (here: SQLWrapper): Way => ({
  to: "work_queues",
  here,
  there: work_queue.id,
  onward: [toWorkPool],
});
const toTaskRuns: Way = {
  to: "task_runs",
  here: flow_run.id,
  there: task_run.flow_run_id,
  joins: (workspaceId) => ofFlowRun(workspaceId, sql`${flow_run.id}`),
};
const fromFlowRun: Way[] = [
  toFlow(flow_run.flow_id),
  // With the plus, SQLite does not search runs by the id of the deployment, unless `ofDeployments` says so.
  { to: "deployments", here: sql`+${flow_run.deployment_id}`, there: deployment.id },
  toWorkQueue(flow_run.work_queue_id),
];
const fromWorkQueue: Way[] = [
  { to: "deployments", here: work_queue.id, there: deployment.work_queue_id, onward: [toFlow(deployment.flow_id)] },
  { to: "flow_runs", here: work_queue.id, there: flow_run.work_queue_id, gathered: true, onward: [toTaskRuns] },
];

/** The runs of an artifact, which has their ids in the short form. */
const fromArtifact: Way[] = [
  {
    to: "flow_runs",
    here: sql.raw(uuidText("artifact.flow_run_id")),
    there: flow_run.id,
    onward: [toFlow(flow_run.flow_id), { to: "deployments", here: flow_run.deployment_id, there: deployment.id }],
  },
  {
    to: "task_runs",
    here: artifact.task_run_id,
    there: task_run.id,
    joins: (workspaceId) => isTaskRunOf(workspaceId, sql.raw(uuidText("artifact.task_run_id")), "task_run"),
  },
];

/** The tree of joins from each root to the other resources. The same row has to match all filters on one branch. */
const WAYS: Record<Root, Way[]> = {
  flows: [
    { to: "deployments", here: flow.id, there: deployment.flow_id, onward: [toWorkQueue(deployment.work_queue_id)] },
    { to: "flow_runs", here: flow.id, there: flow_run.flow_id, gathered: true, onward: [toTaskRuns] },
  ],
  flow_runs: [...fromFlowRun, toTaskRuns],
  task_runs: [
    { to: "flow_runs", here: sql.raw(uuidText("task_run.flow_run_id")), there: flow_run.id, onward: fromFlowRun },
  ],
  deployments: [
    toFlow(deployment.flow_id),
    { to: "flow_runs", here: deployment.id, there: flow_run.deployment_id, onward: [toTaskRuns] },
    toWorkQueue(deployment.work_queue_id),
  ],
  work_pools: [{ to: "work_queues", here: work_pool.id, there: work_queue.work_pool_id, onward: fromWorkQueue }],
  work_queues: [toWorkPool, ...fromWorkQueue],
  variables: [],
  block_types: [{ to: "block_schemas", here: block_type.id, there: block_schema.block_type_id }],
  block_schemas: [],
  block_documents: [
    { to: "block_types", here: block_document.block_type_id, there: block_type.id },
    { to: "block_schemas", here: block_document.block_schema_id, there: block_schema.id },
  ],
  artifacts: fromArtifact,
  artifact_collections: fromArtifact,
};

/** Gives the condition on rows of the root: they are in the workspace and match each given filter, even an empty one. */
export function whereClause(root: Root, filters: Filters, workspaceId: string): SQL {
  const ids = root === "task_runs" ? onlyFlowRunIds(filters) : undefined;
  const joined = ids
    ? [ofAnyFlowRun(workspaceId, ids)]
    : WAYS[root].flatMap((way) => follow(way, filters, workspaceId));
  if (root === "task_runs" && !namesTaskRuns(filters))
    joined.push(inTaskWorkspace(workspaceId), ...startedSince(filters, workspaceId));
  if (root === "flow_runs") joined.push(...ofDeployments(filters, workspaceId), ...ofFlows(filters, workspaceId));
  if (root === "artifacts" || root === "artifact_collections") joined.push(...ofNamed(filters, workspaceId));
  return combine("and_", [...ownClauses(root, filters, workspaceId), ...joined]);
}

/**
 * The condition that a run belongs to one of the deployments that the filter names by id. Through a subquery, SQLite
 * would not use the index on deployments.
 */
function ofDeployments({ deployments, flow_runs }: Filters, workspaceId: string): SQL[] {
  if (deployments?.operator !== "and_") return [];
  // All runs of a deployment may be many more than all runs that have not ended.
  if (flow_runs && namesLiveStates(flow_runs)) return [];
  return anyId(flow_run.deployment_id).clauses(deployments.id?.any_, workspaceId);
}

/** Whether the filters have a beginning for the times of task runs. The key finds the later ones, unless task runs are named. */
export const namesStarts = (filters: Filters): boolean => startOf(filters) !== null;

/** The beginning. */
function startOf({ task_runs: filter }: Filters): Micros | null {
  if (filter?.operator !== "and_") return null;
  const times = [filter.start_time?.after_, filter.expected_start_time?.after_].filter(
    (time) => typeof time === "number",
  );
  return times.length === 0 ? null : Math.max(...times);
}

function startedSince(filters: Filters, workspaceId: string): SQL[] {
  const start = startOf(filters);
  return start === null ? [] : [mayStartSince(workspaceId, start)];
}

/** The condition that a run belongs to one of the flows that the filter names by id. Of other runs the flow is not read. */
function ofFlows({ flows }: Filters, workspaceId: string): SQL[] {
  if (flows?.operator !== "and_") return [];
  return anyOf(Uuid, flow_run.flow_id).clauses(flows.id?.any_, workspaceId);
}

/**
 * Whether the filters name task runs, or the flow runs of task runs, by their ids. The conditions on these ids have the workspace. One
 * more condition on the workspace would make SQLite read the whole workspace.
 */
export function namesTaskRuns(filters: Filters): boolean {
  const { operator, id, flow_run_id: ofRuns } = filters.task_runs ?? {};
  const isNamed = Array.isArray(id?.any_) || (Array.isArray(ofRuns?.any_) && ofRuns.is_null_ !== true);
  return (operator === "and_" && isNamed) || onlyFlowRunIds(filters) !== undefined;
}

/** Whether every flow run of the workspace meets the filters. */
export function asksForAllFlowRuns({ flow_runs, ...beside }: Filters): boolean {
  return !Object.values(beside).some(Boolean) && combine("and_", flowRunFilter.clauses(flow_runs, "")) === ALWAYS;
}

function ownClauses(root: Root, filters: Filters, workspaceId: string): SQL[] {
  if (root === "task_runs") return taskRunFilter.clauses(filters.task_runs, workspaceId);
  const { table, filter }: Resource = RESOURCES[root];
  return [isOwn(table.workspace_id, workspaceId), ...filter.clauses(filters[root], workspaceId)];
}

/** The condition that a row is in the workspace, whose id is short in artifacts and collections. */
const isOwn = (column: SQLWrapper, workspaceId: string): SQL =>
  column === artifact.workspace_id || column === artifact_collection.workspace_id
    ? sql`likelihood(${column} = ${shortWorkspace(workspaceId)}, 0.9)`
    : inWorkspace(column, workspaceId);

/**
 * The condition that a joined row matches the filters of its resource and of the resources that are joined to it. No
 * condition without such filters.
 */
function follow(way: Way, filters: Filters, workspaceId: string): SQL[] {
  const beyond = (way.onward ?? []).flatMap((next) => follow(next, filters, workspaceId));
  if (!filters[way.to] && beyond.length === 0) return [];
  const { table } = RESOURCES[way.to];
  const conditions = [...ownClauses(way.to, filters, workspaceId), ...beyond];
  if (way.gathered)
    return [sql`${way.here} in (select ${way.there} from ${table} where ${combine("and_", conditions)})`];
  const joins = way.joins?.(workspaceId) ?? sql`${way.there} = ${way.here}`;
  return [sql`exists (select 1 from ${table} where ${combine("and_", [joins, ...conditions])})`];
}

/** Prefect: `only_filters_on_id`. If a filter of task runs has only flow run ids, these flow runs need not exist. */
function onlyFlowRunIds({ task_runs: _own, flow_runs: flowRuns, ...beside }: Filters): string[] | undefined {
  if (!flowRuns || Object.values(beside).some(Boolean)) return undefined;
  const { operator: _operator, id, ...rest } = flowRuns;
  const { any_: ids, not_any_: excluded } = id ?? {};
  if (Object.values(rest).some(Boolean) || excluded?.length) return undefined;
  return ids?.length ? ids : undefined;
}
