/** Every scenario, in the order in which they are played. */
import type { Scenario } from "./play.ts";
import { flows } from "./scenarios/flows.ts";
import { deployedGrid, flowRunGrid, namedGrid, taskRunGrid } from "./scenarios/set-state-grid.ts";
import { variables } from "./scenarios/variables.ts";

export const scenarios: Scenario[] = [variables, flows, flowRunGrid, deployedGrid, taskRunGrid, namedGrid];
