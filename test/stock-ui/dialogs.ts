/** All dialogs. */
import { BLOCKS } from "./dialogs/blocks.ts";
import { DEPLOYMENTS, SCHEDULES } from "./dialogs/deployments.ts";
import { GLOBAL_LIMITS, TAG_LIMITS } from "./dialogs/limits.ts";
import { RUNS } from "./dialogs/runs.ts";
import type { Dialog } from "./dialogs/scene.ts";
import { VARIABLES } from "./dialogs/variables.ts";
import { WORK_POOLS } from "./dialogs/work-pools.ts";

/** The dialogs of each subject, in the order in which they are played: each goes on with what those before have made. */
export const DIALOGS: readonly (readonly Dialog[])[] = [
  VARIABLES,
  GLOBAL_LIMITS,
  TAG_LIMITS,
  BLOCKS,
  WORK_POOLS,
  RUNS,
  SCHEDULES,
  DEPLOYMENTS,
];
