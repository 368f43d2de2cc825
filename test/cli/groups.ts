/** The command groups that are compared, in the order in which they run, and those that are not. */
import type { Group } from "./case.ts";
import { artifacts, automations, blocks } from "./groups/blocks.ts";
import { deploy, deployments } from "./groups/deployments.ts";
import { flowRuns, flows, taskRuns } from "./groups/flows.ts";
import { namedLimits, tagLimits, variables } from "./groups/limits.ts";
import { api, events, files, tasks } from "./groups/others.ts";
import { transfer } from "./groups/transfer.ts";
import { storage, workers, workPools, workQueues } from "./groups/work-pools.ts";

export const GROUPS: readonly Group[] = [
  transfer,
  flows,
  flowRuns,
  taskRuns,
  deployments,
  deploy,
  workPools,
  workQueues,
  workers,
  variables,
  tagLimits,
  namedLimits,
  events,
  tasks,
  api,
  files,
  blocks,
  artifacts,
  automations,
  storage,
];

/** Commands that are not compared, by the beginning of their names, and why. */
export const OUTSIDE: Readonly<Record<string, string>> = {
  cloud: "talks to Prefect Cloud",
  dev: "is for the development of Prefect itself",
  "experimental plugins": "reads only what is installed beside the client",
  plugins: "reads only what is installed beside the client",
  sdk: "writes Python code; it reads deployments by the same requests as `prefect deployment ls`",
  "server database": "works on the original's own database",
  "server services": "runs the original's own services",
  "server start": "starts the original",
  "server stop": "stops the original",
  shell: "serves a flow as `prefect flow serve` does",
};

/** Commands that do not end well in this test, and why. */
export const NEVER_WELL: Readonly<Record<string, string>> = {
  "events stream": "ends by Ctrl-C",
  "flow serve": "ends by Ctrl-C",
  "work-pool provision-infra": "makes things in a cloud",
  "work-pool provision-infrastructure": "makes things in a cloud",
  "work-pool storage configure azure-blob-storage": "needs a block of an integration",
};
