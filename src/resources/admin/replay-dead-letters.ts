/** Replaying dead letters: each goes back to the work that failed with it. */
import { z } from "zod";
import { reasonOf } from "#events/dead-letters";
import { isDeadQueue, sendBack } from "#events/dead-queues";
import { writeAgain } from "#events/emit";
import type { ReceivedEvent } from "#events/event";
import { sendEventOf } from "#events/outbox";
import { recordLetter } from "#events/record-segments";
import { requeueTaskRun } from "#resources/task-runs/queued-runs";
import type { DeadLetterStore, DeadLetterWithMessage } from "#resources/admin/dead-letters";
import { deleteFlowRuns } from "#resources/flow-runs/delete-flow-run";
import type { Tools } from "#tools";

/** What came of a replay. */
export const DeadLetterReplay = z
  .object({
    id: z.string(),
    /** Whether it worked, and the letter is gone. */
    replayed: z.boolean(),
    /** Why it did not work; the letter stays, with this reason. */
    reason: z.string().nullable(),
  })
  .meta({ id: "DeadLetterReplay" });
export type DeadLetterReplay = z.output<typeof DeadLetterReplay>;

/** The work of each queue, once more; it throws where it fails. Each may be done twice. */
const WORK: Readonly<Record<string, (tools: Tools, message: unknown) => Promise<unknown>>> = {
  // Written by the object that takes events.
  events: (tools, message) => writeAgain(tools, message as ReceivedEvent),
  outbox: (tools, message) => sendEventOf(tools, idIn(message, "state_id")),
  "task-runs": recordLetter,
  "task-queue": (tools, message) => requeueTaskRun(tools, idIn(message, "task_run_id")),
  "retention-runs": (tools, message) => deleteFlowRuns(tools, [idIn(message, "flow_run_id")]),
};

/** Replays a letter: where that works the letter is removed, where it fails it stays with the new reason. */
export async function replayDeadLetter(
  tools: Tools,
  store: DeadLetterStore,
  { id, queue, message }: DeadLetterWithMessage,
): Promise<DeadLetterReplay> {
  try {
    const work = WORK[queue];
    if (work) await work(tools, message);
    else if (isDeadQueue(queue)) await sendBack(tools, queue, message);
    else throw new Error(`nothing replays what failed in ${queue}`);
  } catch (error) {
    const reason = reasonOf(error).slice(0, 2_000);
    await store.noteReason(id, reason);
    return { id, replayed: false, reason };
  }
  await store.drop({ ids: [id] });
  return { id, replayed: true, reason: null };
}

function idIn(message: unknown, name: string): string {
  return z.object({ [name]: z.string() }).parse(message)[name] ?? "";
}
