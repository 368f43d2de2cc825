/** A task run takes a slot of each limit on its tags before it runs. If a limit is full, the client proposes again later. */
import { abort, ANY_STATE, type Rule, statesOf, type TaskRunContext } from "#orchestration/transition";

export const secureTaskConcurrencySlots: Rule<TaskRunContext> = {
  name: "SecureTaskConcurrencySlots",
  from: ANY_STATE,
  to: statesOf("RUNNING"),
  decide({ run: { tags }, slots, leaseId }) {
    if (tags.length === 0) return undefined;
    switch (slots?.kind) {
      case "too small":
        return abort(
          `The concurrency limit on tag "${slots.tags[0]}" is 0 and will deadlock if the task tries to run again.`,
        );
      case "full":
        return {
          kind: "wait",
          // The answer has whole seconds.
          delaySeconds: Math.max(1, Math.round(slots.retry_after_seconds)),
          reason: `Concurrency limit reached for tags: ${slots.tags.join(", ")}`,
        };
      default:
        return { kind: "adjust", effects: [{ kind: "take-tag-slots", tags, lease_id: leaseId }] };
    }
  },
};
