/** The sort orders of lists. */
import { getTableColumns, type SQL, type SQLWrapper, sql } from "drizzle-orm";
import * as z from "zod";
import { uuidText } from "#db/short/ids";
import { block_document } from "#db/tables/block";
import { artifact, artifact_collection } from "#db/tables/artifact";
import { deployment } from "#db/tables/deployment";
import { flow } from "#db/tables/flow";
import { flow_run } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { variable } from "#db/tables/variable";
import { flowRunStart } from "#db/expected-starts";

const RUN_SORTS = [
  "EXPECTED_START_TIME_ASC",
  "EXPECTED_START_TIME_DESC",
  "NAME_ASC",
  "NAME_DESC",
  "NEXT_SCHEDULED_START_TIME_ASC",
  "END_TIME_DESC",
] as const;
const NAMED_SORTS = ["CREATED_DESC", "UPDATED_DESC", "NAME_ASC", "NAME_DESC"] as const;

export const FlowRunSort = z
  .enum(["ID_DESC", "START_TIME_ASC", "START_TIME_DESC", ...RUN_SORTS])
  .meta({ id: "FlowRunSort" });
export type FlowRunSort = z.output<typeof FlowRunSort>;
export const TaskRunSort = z.enum(["ID_DESC", ...RUN_SORTS]).meta({ id: "TaskRunSort" });
export type TaskRunSort = z.output<typeof TaskRunSort>;
export const FlowSort = z.enum(NAMED_SORTS).meta({ id: "FlowSort" });
export type FlowSort = z.output<typeof FlowSort>;
export const DeploymentSort = z.enum(NAMED_SORTS).meta({ id: "DeploymentSort" });
export type DeploymentSort = z.output<typeof DeploymentSort>;
export const VariableSort = z
  .enum(["CREATED_DESC", "UPDATED_DESC", "NAME_DESC", "NAME_ASC"])
  .meta({ id: "VariableSort" });
export type VariableSort = z.output<typeof VariableSort>;
const ARTIFACT_SORTS = ["CREATED_DESC", "UPDATED_DESC", "ID_DESC", "KEY_DESC", "KEY_ASC"] as const;
export const ArtifactSort = z.enum(ARTIFACT_SORTS).meta({ id: "ArtifactSort" });
export type ArtifactSort = z.output<typeof ArtifactSort>;
export const ArtifactCollectionSort = z.enum(ARTIFACT_SORTS).meta({ id: "ArtifactCollectionSort" });
export type ArtifactCollectionSort = z.output<typeof ArtifactCollectionSort>;

export const BlockDocumentSort = z
  .enum(["NAME_DESC", "NAME_ASC", "BLOCK_TYPE_AND_NAME_ASC"])
  .meta({ id: "BlockDocumentSort" });
type BlockDocumentSort = z.output<typeof BlockDocumentSort>;

/** The order of documents. Of two documents with the same name, the order is that of their ids. */
export function orderOfDocuments(sort: BlockDocumentSort): SQL {
  const { name, block_type_name, id } = block_document;
  if (sort === "BLOCK_TYPE_AND_NAME_ASC") return sql`${block_type_name}, ${name}, ${id}`;
  return sort === "NAME_DESC" ? sql`${name} desc, ${id} desc` : sql`${name}, ${id}`;
}

interface Sorts {
  flow_runs: FlowRunSort;
  task_runs: TaskRunSort;
  flows: FlowSort;
  deployments: DeploymentSort;
  variables: VariableSort;
  artifacts: ArtifactSort;
  artifact_collections: ArtifactCollectionSort;
}

/** The column that a sort names. */
type Column<S extends string> = S extends `${infer Name}_ASC` | `${infer Name}_DESC` ? Lowercase<Name> : never;

const COLUMNS: { [R in keyof Sorts]: Record<Column<Sorts[R]> | "id", SQLWrapper> } = {
  flow_runs: { ...getTableColumns(flow_run), start_time: flowRunStart },
  task_runs: { ...getTableColumns(task_run), id: sql.raw(uuidText("task_run.id")) },
  flows: flow,
  deployments: deployment,
  variables: variable,
  // The ids of artifacts have the order of their creation.
  artifacts: { ...getTableColumns(artifact), created: artifact.id },
  artifact_collections: { ...getTableColumns(artifact_collection), updated: artifact.updated },
};

/** Gives the text after `order by`. The last column is the id, in the same direction. So pages do not overlap, and an index can give the order. */
export function orderBy<R extends keyof Sorts>(root: R, sort: Sorts[R]): SQL {
  const columns: { id: SQLWrapper; [name: string]: SQLWrapper } = COLUMNS[root];
  const { id, [sort.replace(/_(ASC|DESC)$/, "").toLowerCase()]: key = id } = columns;
  const direction = sort.endsWith("_DESC") ? sql`desc` : sql`asc`;
  return key === id ? sql`${id} ${direction}` : sql`${key} ${direction}, ${id} ${direction}`;
}
