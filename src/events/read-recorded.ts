/**
 * Reads task runs after all their reports are recorded. Reports are gathered, written and then recorded by the consumer of a queue,
 * which may take a second. A client reads a task run as soon as its flow returns. So such a read records the reports itself.
 */
import { type SQL, sql } from "drizzle-orm";
import type { Statement } from "#db/database";
import { uuidText } from "#db/short/ids";
import { each } from "#db/sql";
import { isTaskRunOf } from "#db/task-run-keys";
import { type AskedRuns, settleReports } from "#events/emit";
import { CLOSED_SEGMENT, type ClosedSegment, readSegment } from "#events/read-segment";
import { recordSegments } from "#events/record-segments";
import { holdsAny } from "#events/segment-texts";
import { BYTES, segmentsOf, type SizedKey } from "#events/segments";
import { chunksBySize } from "#lib/chunks";
import type { Micros } from "#lib/clock";
import { log } from "#lib/log";
import type { Tools } from "#tools";
import { TERMINAL_TYPES } from "#wire/state";

/** How many runs a read may name. A read that names more runs is a search, and records nothing. */
const MAX_ASKED = 50;
/** How many of the newest waiting segments are searched for a flow run, by a short column. */
const MAX_HEADS = 200;
/** How many of the newest waiting segments are searched for a task run. Some of them are opened. */
const MAX_TEXTS = 20;
/** How many bytes of segments one read records. The consumer of the queue records the other segments. */
const MAX_BYTES = 4_000_000;
/** How long after its end a flow run's reports may still be gathered. */
const AFTERMATH: Micros = 60_000_000;

type Rows = Record<string, unknown>[];

/** The rows of the selects, and what is known about the reports of the named runs. */
interface Look {
  rows: Rows[];
  /** Whether the event stream may be gathering reports of these runs. */
  isAlive: boolean;
  /** Segments that are not recorded yet and may have reports of these runs. */
  waiting: Waiting[];
}

interface Waiting extends SizedKey {
  /** Whether the segment has reports of these runs. If not, only its events can tell. */
  isSure: number;
}

/**
 * Runs selects in one round trip, after the reports of the named runs are recorded. If the runs have ended and no report waits, there
 * is only this round trip; nearly all reads are like this. A failure to record is logged, and the selects still run.
 */
export async function readRecorded(tools: Tools, asked: AskedRuns, reads: readonly Statement[]): Promise<Rows[]> {
  const named = (asked.flowRunIds?.length ?? 0) + (asked.taskRunIds?.length ?? 0);
  if (named === 0 || named > MAX_ASKED || tools.db.isForReads) return tools.db.readAll(reads);
  let look = await readAndLook(tools, asked, reads);
  if (look.isAlive && (await settleReports(tools, asked))) look = await readAndLook(tools, asked, reads);
  const waiting = await withReports(tools, asked, look.waiting);
  if (waiting.length === 0) return look.rows;
  await recordOnce(tools, waiting);
  return tools.db.readAll(reads);
}

async function readAndLook(tools: Tools, asked: AskedRuns, reads: readonly Statement[]): Promise<Look> {
  const results = await tools.db.readAll([lookFor(tools.workspaceId, asked, tools.clock()), ...reads]);
  const [found = [], ...rows] = results;
  // The rows of `lookFor`.
  const looked = found as unknown as (Waiting | { id: null })[];
  const waiting = looked.flatMap((row) => (row.id === null ? [] : row));
  return { rows, isAlive: waiting.length < looked.length, waiting };
}

/** Returns the segments that have reports of the named runs. Opens the segments of which this is not sure. */
async function withReports(tools: Tools, asked: AskedRuns, waiting: readonly Waiting[]): Promise<SizedKey[]> {
  const found = new Map(waiting.flatMap((segment) => (segment.isSure ? [[segment.id, segment]] : [])));
  const unsure = waiting.filter(({ id }) => !found.has(id));
  const holds = holdsAny((asked.taskRunIds ?? []).map((id) => `prefect.task-run.${id}`));
  for (const some of chunksBySize(unsure, MAX_BYTES, ({ bytes }) => bytes)) {
    const rows = await tools.db.rows<ClosedSegment>(
      sql`select ${CLOSED_SEGMENT} from ${segmentsOf(tools.workspaceId, some)}`,
    );
    const holding = new Set(rows.filter((row) => readSegment(row, holds).length > 0).map(({ id }) => id));
    for (const segment of some) if (holding.has(segment.id)) found.set(segment.id, segment);
  }
  return [...found.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/**
 * Returns a row without an id if one of the runs has not ended or has just ended. Also returns a row for each waiting
 * segment with reports of one of the runs, oldest first.
 */
function lookFor(workspaceId: string, { flowRunIds = [], taskRunIds = [] }: AskedRuns, now: Micros): SQL {
  if (taskRunIds.length === 0) return lookForFlowRuns(workspaceId, flowRunIds, now);
  if (flowRunIds.length === 0) return lookForTaskRuns(workspaceId, taskRunIds);
  return sql`select * from (${lookForFlowRuns(workspaceId, flowRunIds, now)})
    union select * from (${lookForTaskRuns(workspaceId, taskRunIds)}) order by 2`;
}

function lookForFlowRuns(workspaceId: string, ids: readonly string[], now: Micros): SQL {
  const asked = each(ids);
  return sql`select null as hour, null as id, null as bytes, 1 as isSure where exists (
      select 1 from ${asked} asked left join flow_run r on r.workspace_id = ${workspaceId} and r.id = asked.value
      where r.id is null or (r.start_time is not null and coalesce(r.end_time, ${now}) >= ${now - AFTERMATH})
    )
    union all select hour, id, bytes, 1 from ${newest(workspaceId, MAX_HEADS)} where exists (
      select 1 from json_each(s.resources) told where told.value in (select 'prefect.flow-run.' || value from ${asked})
    ) order by 2`;
}

function lookForTaskRuns(workspaceId: string, ids: readonly string[]): SQL {
  const asked = each(ids);
  return sql`select null as hour, null as id, null as bytes, 1 as isSure where exists (
      select 1 from ${asked} asked left join task_run t on ${isTaskRunOf(workspaceId, sql`asked.value`, "t")}
      where t.id is null or t.state_type is null or t.state_type not in ${TERMINAL}
    )
    union all select hour, id, bytes, 0 from ${newest(workspaceId, MAX_TEXTS)} where exists (
      select 1 from ${asked} asked left join task_run t on ${isTaskRunOf(workspaceId, sql`asked.value`, "t")}
      where t.id is null or exists (
        select 1 from json_each(s.resources) told
        where told.value in ('prefect.task-run.' || asked.value, 'prefect.flow-run.' || ${sql.raw(uuidText("t.flow_run_id"))}))
    ) order by 2`;
}

const TERMINAL = sql.raw(`('${[...TERMINAL_TYPES].join("', '")}')`);

/** The newest waiting segments. The unary plus makes SQLite use only the index of waiting segments. */
function newest(workspaceId: string, limit: number): SQL {
  return sql`(select s.hour, s.id, s.resources, ${BYTES} as bytes from event_segment s
    where s.consumed = 0 and +s.workspace_id = ${workspaceId} order by s.id desc limit ${sql.raw(String(limit))}) s`;
}

/** How long a request waits for a segment that another request records, and how often it checks. */
const PATIENCE_MS = 2_000;
const STEP_MS = 10;

/**
 * The segments that requests of this isolate are recording, with the start time of each. Requests share no promise: if
 * a request waits for the promise of an ended request, the runtime ends the waiting request, too. An ended request
 * leaves its entries, which count only for `PATIENCE_MS`.
 */
const inHand = new Map<string, number>();

/** Records the segments that no other request of this isolate is recording, and waits for the other segments. */
async function recordOnce(tools: Tools, keys: readonly SizedKey[]): Promise<void> {
  const isInHand = ({ id }: SizedKey) => Date.now() - (inHand.get(id) ?? 0) < PATIENCE_MS;
  const others = keys.filter(isInHand);
  const free = keys.filter((key) => !others.includes(key));
  const [own = []] = chunksBySize(free, MAX_BYTES, ({ bytes }) => bytes);
  for (const { id } of own) inHand.set(id, Date.now());
  try {
    await recordSegments(tools, own);
  } catch (error) {
    log(tools, "error", "segments could not be recorded for a read and are left to the queue", { error });
  } finally {
    for (const { id } of own) inHand.delete(id);
  }
  while (others.some(isInHand)) await new Promise((resolve) => setTimeout(resolve, STEP_MS));
}
