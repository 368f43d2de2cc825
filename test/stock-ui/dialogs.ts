/** All dialogs, in the order in which they are played: some go on with what others have made. */
import { LIMITS } from "./dialogs/limits.ts";
import type { Dialog } from "./dialogs/scene.ts";
import { VARIABLES } from "./dialogs/variables.ts";

export const DIALOGS: readonly Dialog[] = [...VARIABLES, ...LIMITS];
