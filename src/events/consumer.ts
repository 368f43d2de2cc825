/** The consumer of the queue `events`. It records segments; to record one twice changes nothing. */
import { sql } from "drizzle-orm";
import * as z from "zod";
import { event_segment } from "#db/tables/event";
import { isOutage } from "#events/dead-letters";
import { MAX_BYTES, recordSegments } from "#events/record-segments";
import type { Segment, SizedKey } from "#events/segments";
import { isTaskRunReport } from "#events/task-runs";
import { chunks, chunksBySize } from "#lib/chunks";
import { earliestId, type Micros } from "#lib/clock";
import { log } from "#lib/log";
import type { SweepTools, Tools } from "#tools";
import { UuidText } from "#wire/ids";

/** A message of the queue: keys of segments of one workspace. */
export const SegmentsMessage = z.object({
  v: z.literal(1),
  workspace: UuidText,
  segments: z.array(z.object({ id: UuidText, hour: z.int(), bytes: z.int() })),
});
export type SegmentsMessage = z.output<typeof SegmentsMessage>;

const RETRY_DELAY_SECONDS = 2;
/** One less than the number of deliveries after which the queue gives up a message (`max_retries` in wrangler.toml). */
const LAST_ATTEMPT = 5;
/** A queue's message may have 128 KB. */
const MAX_KEYS = 500;

/** Whether a segment has an event that the consumer records. Other segments are not queued. */
export function hasWork(segment: Segment): boolean {
  return segment.events.some(({ event }) => isTaskRunReport(event));
}

/** Gives the messages that tell the consumer of segments. */
export function segmentMessages(workspace: string, segments: readonly SizedKey[]): SegmentsMessage[] {
  return chunks(segments, MAX_KEYS).map((keys) => ({ v: 1, workspace, segments: keys }));
}

/** Consumes a batch of the queue. A message whose segments cannot be recorded now is delivered again. */
export async function consumeSegments(batch: MessageBatch, toolsOf: (workspaceId: string) => Tools): Promise<void> {
  const read = batch.messages.map((message) => ({ message, parsed: SegmentsMessage.safeParse(message.body) }));
  for (const { message, parsed } of read) if (!parsed.success) message.retry();
  const understood = read.flatMap(({ message, parsed }) => (parsed.success ? [{ message, body: parsed.data }] : []));
  for (const [workspaceId, ofWorkspace] of Map.groupBy(understood, ({ body }) => body.workspace)) {
    const tools = toolsOf(workspaceId);
    for (const group of chunksBySize(ofWorkspace, MAX_BYTES, bytesOf)) {
      try {
        await recordSegments(
          tools,
          group.flatMap(({ body }) => body.segments),
        );
        for (const { message } of group) message.ack();
      } catch (error) {
        log(tools, "error", "segments could not be recorded and come again", { error });
        for (const { message } of group) comeAgain(message, error);
      }
    }
  }
}

/** After its last delivery in an outage a message is acknowledged: the sweep of waiting segments queues its segments again. */
function comeAgain(message: Message, error: unknown): void {
  if (message.attempts >= LAST_ATTEMPT && isOutage(error)) message.ack();
  else message.retry({ delaySeconds: RETRY_DELAY_SECONDS * message.attempts });
}

/** What a message's segments take while they are held in memory together. */
const bytesOf = ({ body }: { body: SegmentsMessage }): number =>
  body.segments.reduce((sum, segment) => sum + segment.bytes, 0);

/** How long the queue may take: its wait for a batch, and its retries. */
const PATIENCE: Micros = 60_000_000;
/** How many segments one run queues. */
const MAX_SEGMENTS = 2_000;
/** A batch of messages may have 100. */
const MAX_MESSAGES = 100;

/** Queues the segments again that the queue has not delivered: they wait longer than the queue would take. */
export async function queueWaitingSegments(tools: SweepTools): Promise<void> {
  const before = earliestId(tools.clock() - PATIENCE);
  const rows = await tools.db.rows<SizedKey & { workspace_id: string }>(sql`
    select workspace_id, hour, id, length(events) as bytes from ${event_segment}
    where consumed = 0 and id < ${before} order by id limit ${MAX_SEGMENTS}`);
  const messages = [...Map.groupBy(rows, (row) => row.workspace_id)].flatMap(([workspace, keys]) =>
    segmentMessages(
      workspace,
      keys.map(({ id, hour, bytes }) => ({ id, hour, bytes })),
    ),
  );
  for (const some of chunks(messages, MAX_MESSAGES)) {
    await tools.env.EVENTS.sendBatch(some.map((body) => ({ body })));
  }
}
