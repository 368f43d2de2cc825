/** Every scenario, in the order in which they are played. */
import type { Scenario } from "./play.ts";
import { variables } from "./scenarios/variables.ts";

export const scenarios: Scenario[] = [variables];
