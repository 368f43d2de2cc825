/** Every scenario, in the order in which they are played. */
import type { Scenario } from "./play.ts";
import { admin } from "./scenarios/admin.ts";
import { artifacts } from "./scenarios/artifacts.ts";
import { automations } from "./scenarios/automations.ts";
import { badArtifacts, badAutomations, badBlocks, badInput } from "./scenarios/bad-input.ts";
import { badRequests, badRequestsOfAutomations } from "./scenarios/bad-requests.ts";
import { blockFilters } from "./scenarios/block-filters.ts";
import { blocks } from "./scenarios/blocks.ts";
import { globalLimits, tagLimits } from "./scenarios/concurrency-limits.ts";
import { criteria } from "./scenarios/criteria.ts";
import { deploymentFilters, deploymentRuns, deployments, deploymentSchedules } from "./scenarios/deployments.ts";
import { events, lifecycleEvents, resourceEvents } from "./scenarios/events.ts";
import { flowRunFilters } from "./scenarios/flow-run-filters.ts";
import { flowRuns } from "./scenarios/flow-runs.ts";
import { flows } from "./scenarios/flows.ts";
import { limitEdges } from "./scenarios/limit-edges.ts";
import { logs } from "./scenarios/logs.ts";
import { orchestration, slots } from "./scenarios/orchestration.ts";
import { resultStorage } from "./scenarios/result-storage.ts";
import { savedSearches } from "./scenarios/saved-searches.ts";
import { deployedGrid, flowRunGrid, namedGrid, taskRunGrid } from "./scenarios/set-state-grid.ts";
import { runStates, taskRunFilters, taskRuns } from "./scenarios/task-runs.ts";
import { taskWorkers } from "./scenarios/task-workers.ts";
import { templates } from "./scenarios/templates.ts";
import { ui } from "./scenarios/ui.ts";
import { updates } from "./scenarios/updates.ts";
import { variables } from "./scenarios/variables.ts";
import { poolPolls, poolQueues, workers, workPools, workQueues } from "./scenarios/work-pools.ts";

export const scenarios: Scenario[] = [
  variables,
  flows,
  flowRuns,
  flowRunFilters,
  flowRunGrid,
  deployedGrid,
  taskRunGrid,
  namedGrid,
  deployments,
  deploymentSchedules,
  deploymentRuns,
  deploymentFilters,
  criteria,
  updates,
  workPools,
  poolQueues,
  workers,
  poolPolls,
  workQueues,
  taskRuns,
  taskRunFilters,
  runStates,
  orchestration,
  slots,
  logs,
  badInput,
  badBlocks,
  badArtifacts,
  badAutomations,
  badRequests,
  badRequestsOfAutomations,
  admin,
  events,
  lifecycleEvents,
  resourceEvents,
  artifacts,
  blocks,
  blockFilters,
  resultStorage,
  tagLimits,
  globalLimits,
  limitEdges,
  savedSearches,
  automations,
  ui,
  templates,
  taskWorkers,
];
