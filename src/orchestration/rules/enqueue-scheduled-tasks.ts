/** A SCHEDULED background task goes into its queue. A task that awaits a retry goes before new ones. */
import { ANY_STATE, statesOf, type Rule, type TaskRunContext } from "#orchestration/transition";

export const enqueueScheduledTasks: Rule<TaskRunContext> = {
  name: "EnqueueScheduledTasks",
  from: ANY_STATE,
  to: statesOf("SCHEDULED"),
  after(_context, written) {
    if (!written.state_details.deferred) return undefined;
    return { effects: [{ kind: "enqueue-task-run", retry: written.name === "AwaitingRetry" }] };
  },
};
