/**
 * Reads of runs that may be in the archive. A read first asks D1. Only if D1 does not have a run that the request
 * names, the run is looked for in the archive. If it is there, the same read runs again over its rows.
 */
import { type SQL, sql } from "drizzle-orm";
import { each } from "#db/sql";
import { flow_run } from "#db/tables/flow-run";
import { AccompaniedDatabase, ChangedDatabase } from "#db/views";
import type { TaskRunRow } from "#db/rows/task-runs";
import { readStates } from "#db/short/states";
import { ApiError } from "#lib/api-error";
import { chunks } from "#lib/chunks";
import type { Portions } from "#lib/portions";
import { type ArchivedRun, findArchivedRuns } from "#resources/flow-runs/archived-run";
import { archivedView } from "#resources/flow-runs/archived-view";
import type { Tools } from "#tools";

interface Options {
  /** Whether the read is also about the subflows of the runs, which may be in the archive too. */
  withSubflows?: boolean;
}

/** A read that throws 404 if the run does not exist. */
export async function orArchived<T>(
  tools: Tools,
  id: string,
  read: (tools: Tools) => Promise<T>,
  options: Options = {},
): Promise<T> {
  try {
    return await read(tools);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
    const archived = await inArchive(tools, [id], [id], options);
    if (!archived) throw error;
    return read(archived);
  }
}

/** A read whose answer lacks the runs that do not exist. It learns in the same round trip which runs D1 has. */
export async function withArchived<T>(
  tools: Tools,
  ids: readonly string[],
  read: (tools: Tools) => Promise<T>,
  options: Options = {},
): Promise<T> {
  if (!isFirst(tools)) return read(tools);
  const db = new AccompaniedDatabase(tools.db, selectWhether(sql`not`, tools.workspaceId, ids));
  const answer = await read({ ...tools, db });
  const archived = await inArchive(tools, idsOf(db.take()), ids, options);
  return archived ? read(archived) : answer;
}

/** The same for a read that gives a list in portions. If a run moves while the list is sent, the next portion is read in the archive. */
export async function listWithArchived<T>(
  tools: Tools,
  ids: readonly string[],
  read: (tools: Tools) => Promise<Portions<T>>,
  options: Options = {},
): Promise<Portions<T>> {
  if (!isFirst(tools)) return read(tools);
  const db = new AccompaniedDatabase(tools.db, selectWhether(sql`not`, tools.workspaceId, ids));
  const portions = await read({ ...tools, db });
  const missing = idsOf(db.found);
  const archived = await inArchive(tools, missing, ids, options);
  if (archived) return read(archived);
  return portions.map((portion, place) => async () => {
    const items = await portion();
    if (db.found.length <= missing.length) return items;
    const own = await inArchive(tools, idsOf(db.found), ids, options);
    const again = own && (await read(own))[place];
    return again ? again() : items;
  });
}

/** Whether this is the first look at runs that may be in the archive. */
const isFirst = ({ archive, db }: Tools): boolean => archive !== null && !db.isForReads;

const idsOf = (rows: readonly Record<string, unknown>[]) => rows.map(({ id }) => String(id));

/**
 * Tools that read the archived runs among `ids`, beside the runs `named` that are in D1. Null if none of `ids` exists. A run that was
 * restored since D1 was asked is in D1 now.
 */
async function inArchive(
  tools: Tools,
  ids: readonly string[],
  named: readonly string[],
  { withSubflows = false }: Options,
): Promise<Tools | null> {
  if (!tools.archive || ids.length === 0) return null;
  const db = new AccompaniedDatabase(tools.db, selectWhether(sql``, tools.workspaceId, ids));
  const runs = await findArchivedRuns({ ...tools, db }, ids);
  if (runs.length === 0) return db.take().length > 0 ? tools : null;
  const subflows = withSubflows ? await archivedSubflows(tools, runs) : [];
  const view = archivedView(tools.workspaceId, [...runs, ...subflows], named);
  return { ...tools, db: new ChangedDatabase(tools.db, view) };
}

/** The ids of runs that are in D1, or with `not` the others. */
function selectWhether(not: SQL, workspaceId: string, ids: readonly string[]): SQL {
  return sql`select asked.value as id from ${each(ids)} asked where ${not} exists (
    select 1 from ${flow_run} r where r.workspace_id = ${workspaceId} and r.id = asked.value)`;
}

/** How many subflows of archived runs are looked for in the archive, and how many are in memory at once. */
const MAX_SUBFLOWS = 200;
const MAX_AT_ONCE = 5;

/** The archived subflows of archived runs, without their task runs. A task run that stands for a subflow has the subflow's id in its states. */
async function archivedSubflows(tools: Tools, runs: readonly ArchivedRun[]): Promise<ArchivedRun[]> {
  const rows = runs.flatMap((run) => run.rows.task_run) as unknown as TaskRunRow[];
  const states = rows.flatMap(readStates);
  const ids = new Set(states.flatMap(({ state_details }) => state_details.child_flow_run_id ?? []));
  for (const { id } of runs) ids.delete(id);
  const subflows: ArchivedRun[] = [];
  for (const some of chunks([...ids].slice(0, MAX_SUBFLOWS), MAX_AT_ONCE)) {
    for (const run of await findArchivedRuns(tools, some))
      subflows.push({ ...run, rows: { ...run.rows, task_run: [] } });
  }
  return subflows;
}
