/**
 * Records the reports in segments as task runs. Recording a report twice changes nothing. A bad report becomes a dead
 * letter, and the other reports are still recorded.
 */
import { type SQL, sql } from "drizzle-orm";
import * as z from "zod";
import type { Statement } from "#db/database";
import { type Packed, unpack } from "#db/packed";
import { event_segment } from "#db/tables/event";
import { insertDeadLetter, isOutage, keepDeadLetter, reasonOf } from "#events/dead-letters";
import type { ReceivedEvent } from "#events/event";
import { EVENTS, listed, openSegment, type SegmentKey, segmentsOf, type SizedKey } from "#events/segments";
import { isTaskRunReport, readTaskRun, recordTaskRuns, type TaskRunRecord } from "#events/task-runs";
import { chunks, chunksBySize } from "#lib/chunks";
import { inHalves } from "#lib/halving";
import { checkDepth } from "#lib/json";
import type { Tools } from "#tools";
import { log } from "#lib/log";

/** How many bytes of segments are in memory at once. */
export const MAX_BYTES = 8_000_000;
/** The `queue` of these dead letters. Their message is the event, or the key of a segment that cannot be read. */
const LETTERS = "task-runs";
/** How many dead letters one batch writes. */
const MAX_LETTERS = 50;

/** A report that can be recorded. */
interface Report {
  event: ReceivedEvent;
  record: TaskRunRecord;
}

/** A segment that was read: the reports that can be recorded, the dead letters of the other reports, and the new value of `consumed`. */
interface ReadSegment {
  key: SegmentKey;
  reports: Report[];
  letters: Statement[];
  consumed: 1 | 2;
}

/** Records the reports of segments that are not consumed, and marks these segments as consumed. Throws in an outage (`isOutage`). */
export async function recordSegments(tools: Tools, keys: readonly SizedKey[]): Promise<void> {
  for (const some of chunksBySize(keys, MAX_BYTES, ({ bytes }) => bytes)) await recordSome(tools, some);
}

async function recordSome(tools: Tools, keys: readonly SizedKey[]): Promise<void> {
  const rows = await tools.db.rows<SegmentKey & { events: Packed }>(sql`
    select s.hour, s.id, ${EVENTS} as events from ${segmentsOf(tools.workspaceId, keys)} where s.consumed = 0`);
  const segments = rows.map(({ events, ...key }) => readReports(tools, key, events));
  const readable = segments.filter(({ letters }) => letters.length === 0);
  if (!(await recordAtOnce(tools, readable))) for (const segment of readable) await recordBySteps(tools, segment);
  for (const segment of segments) if (!readable.includes(segment)) await recordBySteps(tools, segment);
}

/** Records segments in one batch. Returns false if that failed permanently. */
async function recordAtOnce(tools: Tools, segments: readonly ReadSegment[]): Promise<boolean> {
  if (segments.length === 0) return true;
  try {
    const keys = segments.map(({ key }) => key);
    const reports = segments.flatMap((segment) => segment.reports);
    await tools.db.batch([...statementsOf(tools, reports), markSegments(tools.workspaceId, keys, 1)]);
    return true;
  } catch (error) {
    if (isOutage(error)) throw error;
    log(tools, "error", "segments could not be recorded together and are recorded one by one", { error });
    return false;
  }
}

/** Records a segment that has a bad report. Writes first the good reports, then the dead letters, then the mark that the segment is consumed. */
async function recordBySteps(tools: Tools, { key, reports, letters, consumed }: ReadSegment): Promise<void> {
  await inHalves(
    reports,
    async (some) => void (await tools.db.batch(statementsOf(tools, some))),
    ({ event }, error) => keepDeadLetter(tools, letterOf(event, reasonOf(error))),
    { isPassing: isOutage },
  );
  for (const some of chunks(letters, MAX_LETTERS)) await tools.db.batch(some);
  await tools.db.run(markSegments(tools.workspaceId, [key], consumed));
}

function statementsOf({ workspaceId, clock }: Tools, reports: readonly Report[]): Statement[] {
  const records = reports.map(({ record }) => record);
  return recordTaskRuns(workspaceId, records, clock());
}

const letterOf = (event: ReceivedEvent, reason: string) => ({ queue: LETTERS, key: event.id, reason, message: event });

function readReports(tools: Tools, key: SegmentKey, packed: Packed): ReadSegment {
  try {
    const { events, isTooDeep } = openSegment(unpack(packed));
    // Only our code writes segments.
    const read = (events as ReceivedEvent[])
      .filter(isTaskRunReport)
      .map((event) => ({ event, record: readReport(event, isTooDeep) }));
    return {
      key,
      reports: read.flatMap(({ event, record }) => ("wrong" in record ? [] : { event, record })),
      letters: read.flatMap(({ event, record }) =>
        "wrong" in record ? insertDeadLetter(tools, letterOf(event, record.wrong)) : [],
      ),
      consumed: 1,
    };
  } catch (error) {
    const letter = { queue: LETTERS, key: key.id, reason: reasonOf(error), message: { segment: key } };
    return { key, reports: [], letters: [insertDeadLetter(tools, letter)], consumed: 2 };
  }
}

/** Reads a report. A report that cannot be read, for any reason, must not fail the other reports. */
function readReport(event: ReceivedEvent, isTooDeep: boolean): TaskRunRecord | { wrong: string } {
  try {
    if (isTooDeep) checkDepth(JSON.stringify(event));
    return readTaskRun(event);
  } catch (error) {
    return { wrong: reasonOf(error) };
  }
}

/** Records the event or the segment of a dead letter. Throws if it still cannot be recorded. */
export async function recordLetter(tools: Tools, message: unknown): Promise<void> {
  const segment = SegmentMessage.safeParse(message);
  if (segment.success) return recordSegmentAgain(tools, segment.data.segment);
  // `letterOf` wrote this message.
  const record = readTaskRun(message as ReceivedEvent);
  if ("wrong" in record) throw new Error(record.wrong);
  await tools.db.batch(recordTaskRuns(tools.workspaceId, [record], tools.clock()));
}

const SegmentMessage = z.object({ segment: z.object({ id: z.string(), hour: z.number() }) });

async function recordSegmentAgain(tools: Tools, key: SegmentKey): Promise<void> {
  await tools.db.run(markSegments(tools.workspaceId, [key], 0));
  await recordSegments(tools, [{ ...key, bytes: MAX_BYTES }]);
  const segment = segmentsOf(tools.workspaceId, [key]);
  const [row] = await tools.db.rows<{ consumed: number }>(sql`select s.consumed from ${segment}`);
  // After a day a segment moves to the archive.
  if (!row) throw new Error("the segment is not in the database any more");
  if (row.consumed !== 1) throw new Error("the segment still cannot be read");
}

/** Returns the statement that marks waiting segments as consumed (1) or as given up (2), or given-up segments as waiting (0). */
export function markSegments(workspaceId: string, keys: readonly SegmentKey[], consumed: 0 | 1 | 2): SQL {
  const before = sql.raw(consumed === 0 ? "2" : "0");
  return sql`update ${event_segment} set consumed = ${consumed}
    where workspace_id = ${workspaceId} and consumed = ${before} and (hour, id) in ${listed(keys)}`;
}
