/** The orders of lists of resources. */
import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import * as z from "zod";
import { deployment } from "#db/tables/deployment";
import { flow } from "#db/tables/flow";
import { flow_run } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { variable } from "#db/tables/variable";
import { flowRunStart } from "./flow-runs";

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

interface Sorts {
  flow_runs: FlowRunSort;
  task_runs: TaskRunSort;
  flows: FlowSort;
  deployments: DeploymentSort;
  variables: VariableSort;
}

type Keys<S extends string> = Record<S, SQLWrapper>;
type Columns<N extends string> = Record<N, SQLWrapper>;

const runKeys = (
  table: Columns<"id" | "name" | "expected_start_time" | "next_scheduled_start_time" | "end_time">,
): Keys<TaskRunSort> => ({
  ID_DESC: table.id,
  EXPECTED_START_TIME_ASC: table.expected_start_time,
  EXPECTED_START_TIME_DESC: table.expected_start_time,
  NAME_ASC: table.name,
  NAME_DESC: table.name,
  NEXT_SCHEDULED_START_TIME_ASC: table.next_scheduled_start_time,
  END_TIME_DESC: table.end_time,
});

const namedKeys = (table: Columns<"name" | "created" | "updated">): Keys<FlowSort> => ({
  CREATED_DESC: table.created,
  UPDATED_DESC: table.updated,
  NAME_ASC: table.name,
  NAME_DESC: table.name,
});

const ORDERS: { [R in keyof Sorts]: { id: SQLWrapper; keys: Keys<Sorts[R]> } } = {
  flow_runs: {
    id: flow_run.id,
    keys: { START_TIME_ASC: flowRunStart, START_TIME_DESC: flowRunStart, ...runKeys(flow_run) },
  },
  task_runs: { id: task_run.id, keys: runKeys(task_run) },
  flows: { id: flow.id, keys: namedKeys(flow) },
  deployments: { id: deployment.id, keys: namedKeys(deployment) },
  variables: { id: variable.id, keys: namedKeys(variable) },
};

/** Gives the text after `order by`. It ends with the id in the same direction: pages do not overlap, and an index fits. */
export function orderBy<R extends keyof Sorts>(root: R, sort: Sorts[R]): SQL {
  const { id, keys } = ORDERS[root];
  const direction = sort.endsWith("_DESC") ? sql`desc` : sql`asc`;
  const key: SQLWrapper = keys[sort];
  return key === id ? sql`${id} ${direction}` : sql`${key} ${direction}, ${id} ${direction}`;
}
