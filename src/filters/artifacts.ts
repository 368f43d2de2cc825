/** The filters of artifacts, and of collections, which are filtered by their latest artifacts. All ids are short. */
import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import * as z from "zod";
import { shortId } from "#db/short/ids";
import { each, list } from "#db/sql";
import { artifact, artifact_collection } from "#db/tables/artifact";
import { flow_run } from "#db/tables/flow-run";
import { Uuid } from "#wire/ids";
import { Bool } from "#wire/scalars";
import type { Filters } from "./joins";
import { anyOf, combinable, contains, criterion, group, noneOf, seek, Values } from "./clause";

/** `any_` of ids. */
const anyShortId = (column: SQLWrapper) => criterion(Values(Uuid), (ids) => hasAnyId(column, ids));

/** The condition that a column has one of the ids. */
function hasAnyId(column: SQLWrapper, ids: readonly string[]): SQL {
  const [id, ...others] = ids;
  const among =
    id !== undefined && others.length === 0
      ? sql`${column} = ${shortId(id)}`
      : sql`${column} in (select ${shortId(sql`value`)} from ${each(ids)})`;
  return seek(column, among);
}

const exists = (column: SQLWrapper) =>
  criterion(Bool, (wanted) => (wanted ? sql`${column} is not null` : sql`${column} is null`));

/** The condition that a column has one of the keys. With one key, the rows are in the order of the rest of an index. */
function hasAnyKey(column: SQLWrapper, keys: readonly string[]): SQL {
  const [key, ...others] = keys;
  const isOne = key !== undefined && others.length === 0;
  return seek(column, isOne ? sql`${column} = ${key}` : sql`${column} in (select value from ${each(keys)})`);
}

const keyOf = (column: SQLWrapper) => ({
  any_: criterion(Values(z.string()), (keys) => hasAnyKey(column, keys)),
  like_: contains(column),
  exists_: exists(column),
});
const type = { any_: anyOf(z.string(), artifact.type), not_any_: noneOf(z.string(), artifact.type) };

export const artifactFilter = combinable("ArtifactFilter", {
  id: group("ArtifactFilterId", { any_: anyShortId(artifact.id) }),
  key: group("ArtifactFilterKey", keyOf(artifact.key)),
  flow_run_id: group("ArtifactFilterFlowRunId", { any_: anyShortId(artifact.flow_run_id) }),
  task_run_id: group("ArtifactFilterTaskRunId", { any_: anyShortId(artifact.task_run_id) }),
  type: group("ArtifactFilterType", type),
});

export const artifactCollectionFilter = combinable("ArtifactCollectionFilter", {
  latest_id: group("ArtifactCollectionFilterLatestId", { any_: anyShortId(artifact.id) }),
  key: group("ArtifactCollectionFilterKey", keyOf(artifact_collection.key)),
  flow_run_id: group("ArtifactCollectionFilterFlowRunId", { any_: anyShortId(artifact.flow_run_id) }),
  task_run_id: group("ArtifactCollectionFilterTaskRunId", { any_: anyShortId(artifact.task_run_id) }),
  type: group("ArtifactCollectionFilterType", type),
});

/**
 * Conditions that follow from filters of other resources by their ids. With them SQLite finds the artifacts through their index on
 * flow runs or task runs, and does not read all artifacts.
 */
export function ofNamed({ flow_runs, task_runs, deployments }: Filters, workspaceId: string): SQL[] {
  const runs = namedBy(flow_runs);
  const tasks = namedBy(task_runs);
  const owners = namedBy(deployments);
  return [
    ...(runs ? [hasAnyId(artifact.flow_run_id, runs)] : []),
    ...(tasks ? [hasAnyId(artifact.task_run_id, tasks)] : []),
    ...(owners ? [isOfDeployments(owners, workspaceId)] : []),
  ];
}

/** Whether the filters of collections lead to few artifacts through an index of artifacts. */
export function namesArtifacts(filters: Filters): boolean {
  const { operator, latest_id, flow_run_id, task_run_id } = filters.artifact_collections ?? {};
  const isNamed = [latest_id, flow_run_id, task_run_id].some((ids) => Array.isArray(ids?.any_));
  return (operator === "and_" && isNamed) || ofNamed(filters, "").length > 0;
}

function isOfDeployments(ids: readonly string[], workspaceId: string): SQL {
  const column = artifact.flow_run_id;
  const runs = sql`select ${shortId(sql`named.id`)} from ${flow_run} named where named.workspace_id = ${workspaceId}
    and named.deployment_id is not null and named.deployment_id in ${list(ids)}`;
  return seek(column, sql`${column} in (${runs})`);
}

/** The ids that a filter names, if each row that it finds has one of them. */
const namedBy = (filter: { operator: string; id?: { any_?: string[] | null } | null } | null | undefined) =>
  filter?.operator === "and_" ? filter.id?.any_ : undefined;
