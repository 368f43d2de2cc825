/** The consumer of the queue `events`: records the segments that hold work. Recording a segment twice changes nothing. */
import { z } from "zod";
import { isOutage } from "#events/dead-letters";
import { MAX_BYTES, recordSegments } from "#events/record-segments";
import type { Segment, SegmentKey } from "#events/segments";
import { isTaskRunReport } from "#events/task-runs";
import type { Tools } from "#tools";
import { UuidText } from "#wire/ids";

/** A message of the queue: keys of segments of one workspace. */
export const SegmentsMessage = z.object({
  v: z.literal(1),
  workspace: UuidText,
  segments: z.array(z.object({ id: UuidText, hour: z.int(), bytes: z.int() })),
});
export type SegmentsMessage = z.output<typeof SegmentsMessage>;

const RETRY_DELAY_SECONDS = 2;
/** One less than the deliveries after which the queue gives a message up (`max_retries` in wrangler.toml). */
const LAST_ATTEMPT = 5;
/** A queue's message may have 128 KB. */
const MAX_KEYS = 500;

/** Whether the consumer has anything to do for an event; segments without such an event are not queued at all. */
export function hasWork(segment: Segment): boolean {
  return segment.events.some(({ event }) => isTaskRunReport(event));
}

/** The messages that bring segments to the consumer. */
export function segmentMessages(workspace: string, segments: readonly SegmentKey[]): SegmentsMessage[] {
  const messages: SegmentsMessage[] = [];
  for (let first = 0; first < segments.length; first += MAX_KEYS) {
    messages.push({ v: 1, workspace, segments: segments.slice(first, first + MAX_KEYS) });
  }
  return messages;
}

/** Consumes a batch of the queue. A message that cannot be recorded now comes again by itself. */
export async function consumeSegments(batch: MessageBatch, toolsOf: (workspaceId: string) => Tools): Promise<void> {
  const read = batch.messages.map((message) => ({ message, parsed: SegmentsMessage.safeParse(message.body) }));
  for (const { message, parsed } of read) if (!parsed.success) message.retry();
  const understood = read.flatMap(({ message, parsed }) => (parsed.success ? [{ message, body: parsed.data }] : []));
  for (const [workspaceId, ofWorkspace] of Map.groupBy(understood, ({ body }) => body.workspace)) {
    const tools = toolsOf(workspaceId);
    for (const group of groups(ofWorkspace)) {
      try {
        await recordSegments(
          tools,
          group.flatMap(({ body }) => body.segments),
        );
        for (const { message } of group) message.ack();
      } catch (error) {
        console.error("segments could not be recorded and come again", error);
        for (const { message } of group) comeAgain(message, error);
      }
    }
  }
}

/** Has a message come again. While the database takes nothing the last try is left out, for the queue would then give the message up; the sweep of waiting segments queues it again. */
function comeAgain(message: Message, error: unknown): void {
  if (message.attempts >= LAST_ATTEMPT && isOutage(error)) message.ack();
  else message.retry({ delaySeconds: RETRY_DELAY_SECONDS * message.attempts });
}

/** Parts messages into groups whose segments are held in memory together. */
function groups<T extends { body: SegmentsMessage }>(messages: readonly T[]): T[][] {
  const parted: T[][] = [];
  let bytes = 0;
  for (const message of messages) {
    const own = message.body.segments.reduce((sum, segment) => sum + segment.bytes, 0);
    const last = parted.at(-1);
    if (last && bytes + own <= MAX_BYTES) {
      last.push(message);
      bytes += own;
    } else {
      parted.push([message]);
      bytes = own;
    }
  }
  return parted;
}
