/** The table of contents: the routes of every resource. */
import type { Route } from "#http/route";
import { concurrencyLimitRoutes } from "#resources/concurrency-limits/routes";
import { concurrencyLimitV2Routes } from "#resources/concurrency-limits-v2/routes";
import { missedRunsRoutes } from "#resources/deployments/missed-runs-routes";
import { reliabilityRoutes } from "#resources/deployments/reliability-routes";
import { deploymentRoutes } from "#resources/deployments/routes";
import { deploymentVersionRoutes } from "#resources/deployments/version-routes";
import { eventRoutes } from "#resources/events/routes";
import { flowRunChangeRoutes } from "#resources/flow-runs/change-routes";
import { flowRunGraphRoutes } from "#resources/flow-runs/graph-routes";
import { flowRunInputRoutes } from "#resources/flow-runs/input-routes";
import { flowRunRoutes } from "#resources/flow-runs/routes";
import { flowRoutes } from "#resources/flows/routes";
import { runStateRoutes } from "#resources/run-states/routes";
import { logRoutes } from "#resources/logs/routes";
import { taskRunRoutes } from "#resources/task-runs/routes";
import { taskWorkerRoutes } from "#resources/task-workers/routes";
import { adminRoutes } from "#resources/admin/routes";
import { automationRoutes } from "#resources/automations/routes";
import { rootRoutes } from "#resources/root/routes";
import { collectionRoutes } from "#resources/collections/routes";
import { variableRoutes } from "#resources/variables/routes";
import { workPoolRoutes } from "#resources/work-pools/routes";
import { poolQueueRoutes, workQueueRoutes } from "#resources/work-pools/queue-routes";

export const routes: readonly Route[] = [
  ...automationRoutes,
  ...rootRoutes,
  ...adminRoutes,
  ...concurrencyLimitRoutes,
  ...concurrencyLimitV2Routes,
  ...deploymentRoutes,
  ...deploymentVersionRoutes,
  ...missedRunsRoutes,
  ...reliabilityRoutes,
  ...eventRoutes,
  ...flowRunChangeRoutes,
  ...flowRunGraphRoutes,
  ...flowRunInputRoutes,
  ...flowRunRoutes,
  ...logRoutes,
  ...flowRoutes,
  ...runStateRoutes,
  ...taskRunRoutes,
  ...taskWorkerRoutes,
  ...collectionRoutes,
  ...variableRoutes,
  ...workPoolRoutes,
  ...poolQueueRoutes,
  ...workQueueRoutes,
];
