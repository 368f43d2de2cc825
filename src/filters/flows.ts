/** The criteria of flows. */
import { type SQL, sql } from "drizzle-orm";
import * as z from "zod";
import { deployment } from "#db/tables/deployment";
import { flow } from "#db/tables/flow";
import { Uuid } from "#wire/ids";
import { Bool } from "#wire/scalars";
import { anyId, anyOf, combinable, contains, criterion, group, hasAllTags, hasNoTags, noneOf } from "./clause";

export const flowFilter = combinable("FlowFilter", {
  id: group("FlowFilterId", { any_: anyId(flow.id), not_any_: noneOf(Uuid, flow.id) }),
  deployment: combinable("FlowFilterDeployment", { is_null_: criterion(Bool, hasNoDeployment) }),
  name: group("FlowFilterName", { any_: anyOf(z.string(), flow.name), like_: contains(flow.name) }),
  tags: combinable("FlowFilterTags", { all_: hasAllTags(flow.tags), is_null_: hasNoTags(flow.tags) }),
});

export const FlowFilter = flowFilter.schema;
export type FlowFilter = z.output<typeof FlowFilter>;

function hasNoDeployment(wanted: boolean, workspaceId: string): SQL {
  const exists = sql`exists (select 1 from ${deployment} as own where own.workspace_id = ${workspaceId} and own.flow_id = ${flow.id})`;
  return wanted ? sql`not ${exists}` : exists;
}
