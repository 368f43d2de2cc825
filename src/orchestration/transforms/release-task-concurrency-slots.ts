/** A task run gives back the slots of its tags' limits when it runs no more. */
import { statesOf, type TaskRunContext, type Transform } from "#orchestration/transition";

const HOLDING = statesOf("RUNNING", "CANCELLING");

export const releaseTaskConcurrencySlots: Transform<TaskRunContext> = {
  name: "ReleaseTaskConcurrencySlots",
  apply({ initial, run: { tags } }, proposed) {
    if (!initial || tags.length === 0 || HOLDING.has(proposed.type)) return undefined;
    return { effects: [{ kind: "release-tag-slots", tags }] };
  },
};
