/** The state of a task run that runs again has a name that says so. */
import { ANY_STATE, statesOf, type Rule, type RunContext } from "#orchestration/transition";

export const renameReruns: Rule<RunContext> = {
  name: "RenameReruns",
  from: ANY_STATE,
  to: statesOf("RUNNING"),
  decide({ initial, run }) {
    if (!initial || run.run_count === 0) return undefined;
    return { kind: "adjust", name: initial.name === "AwaitingRetry" ? "Retrying" : "Rerunning" };
  },
};
