/** Queues segments again that the queue has not delivered: they were written long ago and are not consumed. */
import { sql } from "drizzle-orm";
import { event_segment } from "#db/tables/event";
import { segmentMessages } from "#events/consumer";
import type { SegmentKey } from "#events/segments";
import { earliestId } from "#events/ordered-ids";
import { chunks } from "#lib/chunks";
import type { Micros } from "#lib/clock";
import type { SweepTools } from "#tools";

/** How long the queue may take: its wait for a batch, and its retries. */
const PATIENCE: Micros = 60_000_000;
/** How many segments one run queues. */
const MAX_SEGMENTS = 2_000;
/** A batch of messages may have 100. */
const MAX_MESSAGES = 100;

/** Sends the keys of segments that wait longer than the queue would take. Consuming one twice changes nothing. */
export async function queueWaitingSegments(tools: SweepTools): Promise<void> {
  const before = earliestId(tools.clock() - PATIENCE);
  const rows = await tools.db.rows<SegmentKey & { workspace_id: string }>(sql`
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
