/** The consumer of the messages that queues gave up, and how a message goes back to its queue. */
import { SegmentsMessage } from "#events/consumer";
import { insertDeadLetter } from "#events/dead-letters";
import { markSegments } from "#events/record-segments";
import { log } from "#lib/log";
import type { Tools } from "#tools";

/** A dead queue has the name of the queue whose messages it holds, and this ending. */
const DEAD = "-dead";

/** Whether a queue holds messages that another queue gave up. */
export const isDeadQueue = (queue: string): boolean => queue.endsWith(DEAD);

/**
 * Keeps the messages that a queue gave up, each once under its id, in the workspace that it names. A message that cannot be read
 * is kept in `unnamed`. The sweep of waiting segments passes over the segments of a message that is kept.
 */
export async function keepDeadLetters(
  batch: MessageBatch,
  toolsOf: (workspaceId: string) => Tools,
  unnamed: string,
): Promise<void> {
  for (const message of batch.messages) {
    try {
      const parsed = SegmentsMessage.safeParse(message.body);
      const tools = toolsOf(parsed.success ? parsed.data.workspace : unnamed);
      const reason = "the queue gave it up after all its tries";
      await tools.db.batch([
        insertDeadLetter(tools, { queue: batch.queue, key: message.id, reason, message: message.body }),
        ...(parsed.success ? [markSegments(tools.workspaceId, parsed.data.segments, 2)] : []),
      ]);
      message.ack();
    } catch (error) {
      log({}, "error", "a message that a queue gave up could not be kept and comes again", { error });
      message.retry();
    }
  }
}

/** Sends a message back to the queue that gave it up, and marks its segments as waiting again. */
export async function sendBack(tools: Tools, deadQueue: string, body: unknown): Promise<void> {
  const queue = { "sluice-events": tools.env.EVENTS, "sluice-actions": tools.env.ACTIONS }[
    deadQueue.slice(0, -DEAD.length)
  ];
  if (!queue) throw new Error(`there is no queue for what lies in ${deadQueue}`);
  const parsed = SegmentsMessage.safeParse(body);
  if (parsed.success) await tools.db.run(markSegments(tools.workspaceId, parsed.data.segments, 0));
  await queue.send(body);
}
