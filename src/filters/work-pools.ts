/** The criteria of work pools. */
import * as z from "zod";
import { work_pool } from "#db/tables/work-pool";
import { anyId, anyOf, combinable, group } from "./clause";

export const workPoolFilter = combinable("WorkPoolFilter", {
  id: group("WorkPoolFilterId", { any_: anyId(work_pool.id) }),
  name: group("WorkPoolFilterName", { any_: anyOf(z.string(), work_pool.name) }),
  type: group("WorkPoolFilterType", { any_: anyOf(z.string(), work_pool.type) }),
});

export const WorkPoolFilter = workPoolFilter.schema;
export type WorkPoolFilter = z.output<typeof WorkPoolFilter>;
