/** The list of all routes and WebSocket routes. */
import type { Route } from "#http/route";
import { blockDocumentRoutes } from "#resources/block-documents/routes";
import { blockSchemaRoutes } from "#resources/block-schemas/routes";
import { blockTypeRoutes } from "#resources/block-types/routes";
import { concurrencyLimitRoutes } from "#resources/concurrency-limits/routes";
import { concurrencyLimitV2Routes } from "#resources/concurrency-limits-v2/routes";
import { ownDeploymentRoutes } from "#resources/deployments/own-routes";
import { deploymentRoutes } from "#resources/deployments/routes";
import { eventRoutes, eventSockets } from "#resources/events/routes";
import { flowRunChangeRoutes } from "#resources/flow-runs/change-routes";
import { flowRunGraphRoutes } from "#resources/flow-runs/graph-routes";
import { flowRunInputRoutes } from "#resources/flow-runs/input-routes";
import { flowRunRoutes } from "#resources/flow-runs/routes";
import { flowRoutes } from "#resources/flows/routes";
import { runStateRoutes } from "#resources/run-states/routes";
import { logRoutes } from "#resources/logs/routes";
import { taskRunRoutes, taskRunSockets } from "#resources/task-runs/routes";
import { taskWorkerRoutes } from "#resources/task-workers/routes";
import { adminRoutes } from "#resources/admin/routes";
import { automationRoutes } from "#resources/automations/routes";
import { rootRoutes } from "#resources/root/routes";
import { artifactRoutes } from "#resources/artifacts/routes";
import { collectionRoutes } from "#resources/collections/routes";
import { uiFlowRoutes } from "#resources/ui/flow-routes";
import { uiFlowRunRoutes } from "#resources/ui/flow-run-routes";
import { uiSchemaRoutes } from "#resources/ui/schema-routes";
import { uiTaskRunRoutes } from "#resources/ui/task-run-routes";
import { savedSearchRoutes } from "#resources/saved-searches/routes";
import { variableRoutes } from "#resources/variables/routes";
import { workerSockets, workPoolRoutes } from "#resources/work-pools/routes";
import { poolQueueRoutes, workQueueRoutes } from "#resources/work-pools/queue-routes";

export const routes: readonly Route[] = [
  ...automationRoutes,
  ...rootRoutes,
  ...adminRoutes,
  ...blockDocumentRoutes,
  ...blockSchemaRoutes,
  ...blockTypeRoutes,
  ...concurrencyLimitRoutes,
  ...concurrencyLimitV2Routes,
  ...deploymentRoutes,
  ...ownDeploymentRoutes,
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
  ...artifactRoutes,
  ...savedSearchRoutes,
  ...collectionRoutes,
  ...uiFlowRoutes,
  ...uiFlowRunRoutes,
  ...uiSchemaRoutes,
  ...uiTaskRunRoutes,
  ...variableRoutes,
  ...workPoolRoutes,
  ...poolQueueRoutes,
  ...workQueueRoutes,
];

export const sockets = [...eventSockets, ...taskRunSockets, ...workerSockets];
