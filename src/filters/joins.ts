/** How filters of one resource narrow another: the ways between tables, and the one function that walks them. */
import { type SQL, sql } from "drizzle-orm";
import { flow } from "#db/tables/flow";
import { flow_run } from "#db/tables/flow-run";
import { ALWAYS, combine, type Group } from "./clause";
import { flowRunFilter, type FlowRunFilter } from "./flow-runs";
import { flowFilter, type FlowFilter } from "./flows";

export interface Filters {
  flows?: FlowFilter | null | undefined;
  flow_runs?: FlowRunFilter | null | undefined;
}
export type Root = "flows" | "flow_runs";

const TABLES = { flows: flow, flow_runs: flow_run };

/** The condition for rows of the root: in the workspace, and met by every filter that is given. */
export function whereClause(root: Root, filters: Filters, workspaceId: string): SQL {
  const table = TABLES[root];
  const own = root === "flow_runs" ? flowRunFilter.clause(filters.flow_runs, workspaceId) : flowFilter.clause(filters.flows, workspaceId);
  return combine("and_", [sql`${table.workspace_id} = ${workspaceId}`, own ?? ALWAYS]);
}
