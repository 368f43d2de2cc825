/** A task run that starts again says so in its state's name. */
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
