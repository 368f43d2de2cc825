/** Replays dead letters: the work that failed with a letter is done again. */
import * as z from "zod";
import { reasonOf } from "#events/dead-letters";
import { isDeadQueue, sendBack } from "#events/consumer";
import { writeAgain } from "#events/emit";
import type { ReceivedEvent } from "#events/event";
import { sendEventOf } from "#events/outbox";
import { recordLetter } from "#events/record-segments";
import { requeueTaskRun } from "#resources/task-runs/queued-runs";
import type { DeadLetterStore, DeadLetterWithMessage } from "#resources/admin/dead-letters";
import { deleteFlowRuns } from "#resources/flow-runs/delete-flow-run";
import type { Tools } from "#tools";

/** The result of a replay. */
export const DeadLetterReplay = z
  .object({
    id: z.string(),
    /** Whether the replay succeeded. Then the letter is removed. */
    replayed: z.boolean(),
    /** The reason why the replay failed. The letter stays, with this reason. */
    reason: z.string().nullable(),
  })
  .meta({ id: "DeadLetterReplay" });
export type DeadLetterReplay = z.output<typeof DeadLetterReplay>;

/** The work of each queue. It throws where it fails. To do it twice changes nothing. */
const WORK: Readonly<Record<string, (tools: Tools, message: unknown) => Promise<unknown>>> = {
  // The `EventStream` object writes these letters.
  events: (tools, message) => writeAgain(tools, message as ReceivedEvent),
  outbox: (tools, message) => sendEventOf(tools, idIn(message, "state_id")),
  "task-runs": recordLetter,
  "task-queue": (tools, message) => requeueTaskRun(tools, idIn(message, "task_run_id")),
  "retention-runs": (tools, message) => deleteFlowRuns(tools, [idIn(message, "flow_run_id")]),
};

/** Replays a letter. If the replay succeeds, the letter is removed; if it fails, the letter stays with the new reason. */
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
