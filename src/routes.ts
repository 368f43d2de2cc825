/** The table of contents: the routes of every resource. */
import type { Route } from "#http/route";
import { deploymentRoutes } from "#resources/deployments/routes";
import { eventRoutes } from "#resources/events/routes";
import { flowRunStateRoutes } from "#resources/flow-run-states/routes";
import { flowRunBulkRoutes } from "#resources/flow-runs/bulk";
import { flowRunDeletionRoutes } from "#resources/flow-runs/delete-flow-run";
import { flowRunGraphRoutes } from "#resources/flow-runs/graph";
import { flowRunHistoryRoutes } from "#resources/flow-runs/history";
import { flowRunInputRoutes } from "#resources/flow-runs/input";
import { flowRunLabelRoutes } from "#resources/flow-runs/labels";
import { flowRunLatenessRoutes } from "#resources/flow-runs/lateness";
import { flowRunResumeRoutes } from "#resources/flow-runs/resume";
import { flowRunRoutes } from "#resources/flow-runs/routes";
import { flowRoutes } from "#resources/flows/routes";
import { taskRunStateRoutes } from "#resources/task-run-states/routes";
import { taskRunHistoryRoutes } from "#resources/task-runs/history";
import { taskRunRoutes } from "#resources/task-runs/routes";
import { variableRoutes } from "#resources/variables/routes";
import { workPoolRoutes } from "#resources/work-pools/routes";
import { workQueueRoutes } from "#resources/work-queues/routes";

export const routes: readonly Route[] = [
  ...deploymentRoutes,
  ...eventRoutes,
  ...flowRunStateRoutes,
  ...flowRunBulkRoutes,
  ...flowRunDeletionRoutes,
  ...flowRunGraphRoutes,
  ...flowRunHistoryRoutes,
  ...flowRunInputRoutes,
  ...flowRunLabelRoutes,
  ...flowRunLatenessRoutes,
  ...flowRunResumeRoutes,
  ...flowRunRoutes,
  ...flowRoutes,
  ...taskRunStateRoutes,
  ...taskRunHistoryRoutes,
  ...taskRunRoutes,
  ...variableRoutes,
  ...workPoolRoutes,
  ...workQueueRoutes,
];
