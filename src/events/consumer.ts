/** The consumers of the queue `events` and of its dead-letter queue. Recording a segment twice changes nothing. */
import * as z from "zod";
import { sql } from "drizzle-orm";
import { event_segment } from "#db/tables/event";
import { insertDeadLetter, isOutage } from "#events/dead-letters";
import { earliestId, type Micros } from "#lib/clock";
import { markSegments, MAX_BYTES, recordSegments } from "#events/record-segments";
import { BYTES, type Segment, type SizedKey } from "#events/segments";
import { isTaskRunReport } from "#events/task-runs";
import { chunks, chunksBySize } from "#lib/chunks";
import { log } from "#lib/log";
import type { SweepTools, Tools } from "#tools";
import { UuidText } from "#wire/ids";

/** A message of the queue: keys of segments of one workspace. */
const SegmentsMessage = z.object({
  v: z.literal(1),
  workspace: UuidText,
  segments: z.array(z.object({ id: UuidText, hour: z.int(), bytes: z.int() })),
});
type SegmentsMessage = z.output<typeof SegmentsMessage>;

const RETRY_DELAY_SECONDS = 2;
/** One less than the number of deliveries after which the queue gives up a message (`max_retries` in wrangler.toml). */
const LAST_ATTEMPT = 5;
/** How many keys a message has at most, because a queue takes messages of 128 KB. */
const MAX_KEYS = 500;

/** Whether a segment has an event that the consumer records. Other segments are not queued. */
export function hasWork(segment: Segment): boolean {
  return segment.events.some(({ event }) => isTaskRunReport(event));
}

/** Returns the messages that make the consumer record segments. */
export function segmentMessages(workspace: string, segments: readonly SizedKey[]): SegmentsMessage[] {
  return chunks(segments, MAX_KEYS).map((keys) => ({ v: 1, workspace, segments: keys }));
}

/** Consumes a batch of the queue. If the segments of a message cannot be recorded now, the message is delivered again. */
export async function consumeSegments(batch: MessageBatch, toolsOf: (workspaceId: string) => Tools): Promise<void> {
  const read = batch.messages.map((message) => ({ message, parsed: SegmentsMessage.safeParse(message.body) }));
  for (const { message, parsed } of read) if (!parsed.success) message.retry();
  const understood = read.flatMap(({ message, parsed }) => (parsed.success ? [{ message, body: parsed.data }] : []));
  for (const [workspaceId, ofWorkspace] of Map.groupBy(understood, ({ body }) => body.workspace)) {
    for (const group of chunksBySize(ofWorkspace, MAX_BYTES, bytesOf)) {
      const keys = group.flatMap(({ body }) => body.segments);
      try {
        await recordSegments(toolsOf(workspaceId), keys);
        for (const { message } of group) message.ack();
      } catch (error) {
        log({ workspaceId }, "error", "segments could not be recorded and come again", { error });
        for (const { message } of group) comeAgain(message, error);
      }
    }
  }
}

/** If the last delivery fails in an outage, the message is acknowledged: the sweep of waiting segments queues its segments again. */
function comeAgain(message: Message, error: unknown): void {
  if (message.attempts >= LAST_ATTEMPT && isOutage(error)) message.ack();
  else message.retry({ delaySeconds: RETRY_DELAY_SECONDS * message.attempts });
}

/** How many bytes the segments of a message take in memory. */
const bytesOf = ({ body }: { body: SegmentsMessage }): number =>
  body.segments.reduce((sum, segment) => sum + segment.bytes, 0);

/** How long the queue may take to deliver a message, with the wait for a batch and the retries. */
const PATIENCE: Micros = 60_000_000;
/** How many segments one turn of the sweep queues. */
const MAX_SEGMENTS = 2_000;
/** How many messages one call may send to the queue. */
const MAX_MESSAGES = 100;

/** Queues again the segments that the queue has not delivered: segments that have waited longer than `PATIENCE`. */
export async function queueWaitingSegments(tools: SweepTools): Promise<void> {
  const before = earliestId(tools.clock() - PATIENCE);
  const rows = await tools.db.rows<SizedKey & { workspace_id: string }>(sql`
    select s.workspace_id, s.hour, s.id, ${BYTES} as bytes from ${event_segment} s
    where s.consumed = 0 and s.id < ${before} order by s.id limit ${MAX_SEGMENTS}`);
  const messages = [...Map.groupBy(rows, (row) => row.workspace_id)].flatMap(([workspace, ofWorkspace]) => {
    const keys = ofWorkspace.map(({ id, hour, bytes }) => ({ id, hour, bytes }));
    return segmentMessages(workspace, keys);
  });
  for (const some of chunks(messages, MAX_MESSAGES)) {
    await tools.env.EVENTS.sendBatch(some.map((body) => ({ body })));
  }
}

/** The name of a dead-letter queue is the name of its source queue with this ending. */
const DEAD = "-dead";

/** Whether a queue holds the messages that another queue gave up. */
export const isDeadQueue = (queue: string): boolean => queue.endsWith(DEAD);

/**
 * Stores the messages that a queue gave up, each once by its id, in the workspace that the message names. A message
 * that cannot be read is stored in `unnamed`. The sweep of waiting segments skips the segments of a stored message.
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
  const name = deadQueue.slice(0, -DEAD.length);
  const queue = { "sluice-events": tools.env.EVENTS, "sluice-actions": tools.env.ACTIONS }[name];
  if (!queue) throw new Error(`there is no queue for what lies in ${deadQueue}`);
  const parsed = SegmentsMessage.safeParse(body);
  if (parsed.success) await tools.db.run(markSegments(tools.workspaceId, parsed.data.segments, 0));
  await queue.send(body);
}
