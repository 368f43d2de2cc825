/** What the rest of the code tells, and asks of, the `TaskQueue` object. */
import { log } from "#lib/log";
import { objectClient, objectName } from "#objects/client";
import type { ConnectedWorker, QueueNote, TaskQueueMethods } from "#objects/task-queue/messages";
import type { Tools } from "#tools";
import type { State } from "#wire/state";

const clientOf = (tools: Tools) =>
  objectClient<TaskQueueMethods>(tools.env.TASK_QUEUE, objectName(tools.workspaceId), tools.cost);

/**
 * Puts a background task in the queue, after the commit of its state. May be repeated. If the object cannot be told,
 * it finds out by itself within a minute of having a task worker to give the run to.
 */
export async function enqueueTaskRun(
  tools: Tools,
  run: { id: string; task_key: string },
  state: State,
  isRetry: boolean,
): Promise<void> {
  try {
    await clientOf(tools).enqueue(tools.workspaceId, {
      id: run.id,
      task_key: run.task_key,
      state_id: state.id,
      is_retry: isRetry,
      // The time of a first run is that of its client's clock, and it is meant to run at once.
      due: isRetry ? (state.state_details.scheduled_time ?? 0) : 0,
      at: state.timestamp,
    });
  } catch (error) {
    log(tools, "error", "the task queue's object was not told of a run", { task_run_id: run.id, error });
  }
}

/** Puts a background task in the queue, as its row has it. Throws where the object cannot be told. */
export async function enqueueNote(tools: Tools, note: QueueNote): Promise<void> {
  await clientOf(tools).enqueue(tools.workspaceId, note);
}

/** The task workers that are connected. */
export function readTaskWorkers(tools: Tools): Promise<ConnectedWorker[]> {
  return clientOf(tools).workers();
}
