/** How the rest of the code calls the `TaskQueue` object. */
import { objectClient, tell } from "#objects/client";
import { TASK_QUEUE } from "#objects/task-queue/messages";
import type { Tools } from "#tools";
import type { State } from "#wire/state";

/** A client of the workspace's object. */
export const taskQueue = ({ env, workspaceId: workspace, cost }: Tools) =>
  objectClient(TASK_QUEUE, env.TASK_QUEUE, { workspace, name: null }, cost);

/** Puts a background task in the queue, after the commit of its state. May be repeated. If the call fails, a check finds the run in D1. */
export function enqueueTaskRun(
  tools: Tools,
  run: { id: string; task_key: string },
  state: State,
  isRetry: boolean,
): Promise<void> {
  const note = {
    id: run.id,
    task_key: run.task_key,
    state_id: state.id,
    is_retry: isRetry,
    // The time of a first run is from its client's clock, and the run is meant to start at once.
    due: isRetry ? (state.state_details.scheduled_time ?? 0) : 0,
    at: state.timestamp,
  };
  const message = "the task queue's object was not told of a run";
  return tell(tools, message, { task_run_id: run.id }, () => taskQueue(tools).enqueue(note));
}
