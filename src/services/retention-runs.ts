/**
 * Removes flow runs that ended long ago, with their states, task runs, inputs and logs. Off by default; a setting switches it on. If there
 * is an archive, the runs move there instead.
 */
import { type SQL, sql } from "drizzle-orm";
import { ArchiveUnreachable } from "#archive/bucket";
import { list } from "#db/sql";
import { flow_run } from "#db/tables/flow-run";
import { log_restored_run } from "#db/tables/log";
import { task_run } from "#db/tables/task-run";
import { isTaskRunOf } from "#db/task-run-keys";
import { isOutage, keepDeadLetter, reasonOf } from "#events/dead-letters";
import { ApiError } from "#lib/api-error";
import { chunks } from "#lib/chunks";
import type { Micros } from "#lib/clock";
import { inHalves } from "#lib/halving";
import { log } from "#lib/log";
import { isMoving } from "#events/retention";
import { moveFlowRuns } from "#resources/flow-runs/archived-move";
import { deleteFlowRuns } from "#resources/flow-runs/delete-flow-run";
import { type Page, type Place, takeRound } from "#services/retention-rounds";
import type { SweepTools, Tools } from "#tools";
import { TERMINAL_TYPES } from "#wire/state";

/** How many runs one transaction removes at most, because other transactions wait for it. */
const MAX_AT_ONCE = 50;
/** A time later than all others. */
const NEVER: Micros = 9e18;

const START = sql.raw(`coalesce(r."start_time", r."expected_start_time")`);

/**
 * Removes runs past their retention: runs that ended before the cutoff and are not a subflow of another run. A run
 * begins before it ends, so a round seeks the runs that started before the cutoff. A run that ended before its expected
 * start may have a later start. Another round looks for such runs once a day.
 */
export async function removeOldRuns(tools: SweepTools): Promise<void> {
  const { types, retention_period, batch_size, loop_seconds, orphan_cleanup_loop_seconds } =
    tools.settings.services.db_vacuum;
  if (!types.includes("flow_runs")) return;
  const cutoff = (begun: Micros): Micros => begun - retention_period * 1_000_000;
  const hasRuns = (stretch: SQL) =>
    sql`exists (select 1 from ${flow_run} r where r.workspace_id = w.id and ${START} ${stretch})`;
  const rounds = [
    { name: "runs", everySeconds: loop_seconds, from: () => -NEVER, until: cutoff },
    { name: "runs that never began", everySeconds: orphan_cleanup_loop_seconds, from: cutoff, until: () => NEVER },
  ];
  for (const { name, everySeconds, from, until } of rounds) {
    await takeRound(tools, {
      name,
      everySeconds,
      table: flow_run,
      isOutage: (error) => error instanceof ArchiveUnreachable,
      hasWork: ({ begun }) => hasRuns(sql`between ${from(begun)} and ${until(begun)}`),
      work: (own, { begun, after, most }) =>
        removePage(own, { from: from(begun), until: until(begun), cutoff: cutoff(begun), after, most, batch_size }),
    });
  }
}

/**
 * The runs `r` that are old enough to be removed. A subflow is removed after its parent, when the parent's task run no longer exists. A
 * run that was restored from the archive stays for a time.
 */
function isOld({ workspaceId, cutoff, now }: { workspaceId: string; cutoff: Micros; now: Micros }): SQL {
  return sql`(r.state_type in ${list([...TERMINAL_TYPES])} and r.end_time < ${cutoff}
    and (r.parent_task_run_id is null or not exists (
      select 1 from ${task_run} t where ${isTaskRunOf(workspaceId, sql`r.parent_task_run_id`, "t")}))
    and not exists (select 1 from ${log_restored_run} x
      where x.workspace_id = r.workspace_id and x.run_id = r.id and x.until > ${now}))`;
}

interface Stretch extends Pick<Page, "after" | "most"> {
  from: Micros;
  until: Micros;
  cutoff: Micros;
  batch_size: number;
}

interface Row {
  id: string;
  start: Micros;
  is_old: number;
}

/**
 * Removes the old runs among the next runs. If a page removed all its old runs, the next page reads the same stretch
 * again, because the subflows of the removed runs have no parent now.
 */
async function removePage(tools: Tools, stretch: Stretch): Promise<Place | null> {
  const looked = await tools.db.rows<Row>(selectRuns(tools.workspaceId, { ...stretch, now: tools.clock() }));
  const isEnd = looked.length < Math.max(1, stretch.most);
  const old = stretch.most === 0 ? [] : looked.filter(({ is_old }) => is_old === 1).slice(0, stretch.batch_size);
  if (old.length === 0) return placeAfter(looked, isEnd);
  // A move makes its own transactions.
  const atOnce = movesRuns(tools) ? stretch.batch_size : Math.min(stretch.batch_size, MAX_AT_ONCE);
  let removed = 0;
  for (const some of chunks(old, atOnce)) {
    const ids = some.map(({ id }) => id);
    removed += await removeRuns(tools, ids, stretch.cutoff);
  }
  if (removed === old.length) return stretch.after ?? { at: stretch.from, id: "" };
  // A run that could not be removed does not block other runs. The next round finds the run again.
  const last = looked.findIndex(({ id }) => id === old.at(-1)?.id) + 1;
  return placeAfter(looked.slice(0, last), last === looked.length && isEnd);
}

/** Whether runs move to the archive. */
const movesRuns = (tools: Tools): boolean => isMoving(tools) && tools.settings.archive.runs;

/**
 * Removes runs. Returns how many runs were removed. A run that cannot be removed is kept as a dead letter, and the others are removed.
 * Throws if the archive cannot be reached.
 */
async function removeRuns(tools: Tools, ids: readonly string[], cutoff: Micros): Promise<number> {
  const { archive, workspaceId } = tools;
  const only = isOld({ workspaceId, cutoff, now: tools.clock() });
  const remove = (some: readonly string[]) =>
    archive !== null && movesRuns(tools)
      ? moveFlowRuns({ ...tools, archive }, some, only)
      : deleteFlowRuns(tools, some, only);
  let removed = 0;
  try {
    await inHalves(
      ids,
      async (some) => {
        removed += (await remove(some)).length;
      },
      (id, error) => {
        const item = { queue: "retention-runs", key: id, reason: reasonOf(error), message: { flow_run_id: id } };
        return keepDeadLetter(tools, item);
      },
      { isPassing: (error) => isOutage(error) || error instanceof ApiError },
    );
  } catch (error) {
    if (error instanceof ArchiveUnreachable) throw error;
    log(tools, "error", "old runs could not be removed", { error });
  }
  return removed;
}

function placeAfter(looked: readonly Row[], isEnd: boolean): Place | null {
  const last = looked.at(-1);
  return last && !isEnd ? { at: last.start, id: last.id } : null;
}

/** The next runs that started in a stretch of time, by the index of start times, and whether they are old. */
export function selectRuns(
  workspaceId: string,
  { from, until, cutoff, now, after, most }: Omit<Stretch, "batch_size"> & { now: Micros },
): SQL {
  const rest = after ? sql`and ${START} >= ${after.at} and (${START} > ${after.at} or r.id > ${after.id})` : sql``;
  return sql`select r.id as id, ${START} as start, ${isOld({ workspaceId, cutoff, now })} as is_old from ${flow_run} r
    where r.workspace_id = ${workspaceId} and ${START} >= ${from} and ${START} < ${until} ${rest}
    order by ${START}, r.id limit ${Math.max(1, most)}`;
}
