/** The consumers of the queue `events` and of what it gave up: segments that hold work are recorded, once or twice alike. */
import { sql } from "drizzle-orm";
import { z } from "zod";
import { readJson } from "#db/database";
import { dead_letter, event_segment } from "#db/tables/event";
import type { ReceivedEvent } from "#events/event";
import type { Segment, SegmentKey } from "#events/segments";
import { isTaskRunReport, mergeTaskRuns, readTaskRun, recordTaskRuns } from "#events/task-runs";
import type { Tools } from "#tools";
import { UuidText } from "#wire/ids";

/** A message of the queue: keys of segments of one workspace. */
const SegmentsMessage = z.object({
  v: z.literal(1),
  workspace: UuidText,
  segments: z.array(z.object({ id: UuidText, hour: z.int(), bytes: z.int() })),
});
type SegmentsMessage = z.output<typeof SegmentsMessage>;

/** How much of the segments is held in memory at once. */
const MAX_BYTES = 8_000_000;
const RETRY_DELAY_SECONDS = 2;
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

/** Consumes a batch of the queue. What cannot be recorded now comes again by itself. */
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
        for (const { message } of group) message.retry({ delaySeconds: RETRY_DELAY_SECONDS * message.attempts });
      }
    }
  }
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

/** Records what segments tell, and that they are consumed, in one batch. A segment that is consumed already is passed over. */
export async function recordSegments(tools: Tools, keys: readonly SegmentKey[]): Promise<void> {
  let rest = keys;
  while (rest.length > 0) {
    const now: SegmentKey[] = [];
    let bytes = 0;
    for (const key of rest) {
      if (now.length > 0 && bytes + key.bytes > MAX_BYTES) break;
      now.push(key);
      bytes += key.bytes;
    }
    await recordSome(tools, now);
    rest = rest.slice(now.length);
  }
}

async function recordSome(tools: Tools, keys: readonly SegmentKey[]): Promise<void> {
  const rows = await tools.db.rows<{ hour: number; id: string; events: string }>(sql`
    select s.hour, s.id, s.events from json_each(${JSON.stringify(keys)}) k
    cross join ${event_segment} s
    where s.workspace_id = ${tools.workspaceId} and s.hour = k.value->>'hour' and s.id = k.value->>'id' and s.consumed = 0`);
  if (rows.length === 0) return;
  const reports = rows.flatMap((row) => readJson<ReceivedEvent[]>(row.events)).filter(isTaskRunReport);
  const records = reports.flatMap((event) => {
    const record = readTaskRun(event);
    if (!record) console.warn(`event ${event.id} tells of no task run that could be recorded`);
    return record ?? [];
  });
  await tools.db.batch([
    ...recordTaskRuns(tools.workspaceId, mergeTaskRuns(records), tools.clock()),
    markConsumed(tools.workspaceId, rows, 1),
  ]);
}

/** Marks segments as seen to (1), or as given up (2). */
function markConsumed(workspaceId: string, keys: readonly Pick<SegmentKey, "hour" | "id">[], consumed: 1 | 2) {
  const list = JSON.stringify(keys.map(({ hour, id }) => [hour, id]));
  return sql`update ${event_segment} set consumed = ${consumed}
    where workspace_id = ${workspaceId} and consumed = 0
      and (hour, id) in (select value->>0, value->>1 from json_each(${list}))`;
}

/** Keeps what a queue gave up, under the message's own id, so that a repeat keeps it once. The sweep then leaves it alone. */
export async function keepDeadLetters(
  batch: MessageBatch,
  toolsOf: (workspaceId: string) => Tools,
  workspaceId: string,
): Promise<void> {
  for (const message of batch.messages) {
    const parsed = SegmentsMessage.safeParse(message.body);
    const tools = toolsOf(parsed.success ? parsed.data.workspace : workspaceId);
    const letter = {
      id: message.id,
      created: tools.clock(),
      queue: batch.queue,
      message: JSON.stringify(message.body),
    };
    await tools.db.batch([
      tools.db.build.insert(dead_letter).values(letter).onConflictDoNothing(),
      ...(parsed.success ? [markConsumed(tools.workspaceId, parsed.data.segments, 2)] : []),
    ]);
    message.ack();
  }
}
