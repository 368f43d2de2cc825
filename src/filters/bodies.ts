/** The filters in bodies of requests: one field for each resource. */
import type * as z from "zod";
import { DeploymentFilter } from "./deployments";
import { FlowRunFilter } from "./flow-runs";
import { FlowFilter } from "./flows";
import type { Filters } from "./joins";
import { TaskRunFilter } from "./task-runs";
import { WorkPoolFilter } from "./work-pools";
import { WorkQueueFilter } from "./work-queues";

/** The fields of a body with filters, for `embedded({ ...FilterFields, limit: Limit })`. */
export const FilterFields = {
  flows: FlowFilter.nullish(),
  flow_runs: FlowRunFilter.nullish(),
  task_runs: TaskRunFilter.nullish(),
  deployments: DeploymentFilter.nullish(),
  work_pools: WorkPoolFilter.nullish(),
  work_pool_queues: WorkQueueFilter.nullish(),
};

/** Such a body, parsed. A route for fewer resources leaves the others out. */
export type FilterBody = { [K in keyof typeof FilterFields]?: z.output<(typeof FilterFields)[K]> };

/** Gives the filters of a body, for `whereClause`. On the wire the work queues are `work_pool_queues`. */
export function toFilters({
  flows,
  flow_runs,
  task_runs,
  deployments,
  work_pools,
  work_pool_queues,
}: FilterBody): Filters {
  return { flows, flow_runs, task_runs, deployments, work_pools, work_queues: work_pool_queues };
}
