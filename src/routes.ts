/** The table of contents: the routes of every resource. */
import type { Route } from "#http/route";
import { flowRunRoutes } from "#resources/flow-runs/routes";
import { taskRunRoutes } from "#resources/task-runs/routes";
import { variableRoutes } from "#resources/variables/routes";
import { workPoolRoutes } from "#resources/work-pools/routes";
import { workQueueRoutes } from "#resources/work-queues/routes";

export const routes: readonly Route[] = [...flowRunRoutes, ...taskRunRoutes, ...variableRoutes, ...workPoolRoutes, ...workQueueRoutes];
