/**
 * The ids of a run's states. The newest ids are in the run's row. The others are in pages, which only runs with very
 * many states have. A run's row is read and written with each state, so it must stay small.
 */
import { type SQL, sql } from "drizzle-orm";
import { readJson } from "#db/database";
import { asList } from "#db/sql";
import { flow_run, flow_run_state, flow_run_state_page } from "#db/tables/flow-run";
import { chunks } from "#lib/chunks";

/** How many ids a run's row has before the older half becomes a page. */
const MAX_IN_ROW = 1_000;
const LEFT_IN_ROW = MAX_IN_ROW / 2;
/** How many ids a page has at most. A row that is older than the pages may have 50,000 ids. */
const MAX_IN_PAGE = 5_000;
/** The length of an id as JSON, with its comma. */
const ID_CHARACTERS = 39;

/** The ids in the row of a run `r`. */
const OWN_IDS = asList(sql.raw("r.state_ids"));

/**
 * Adds a state's id to the ids of a run. `row` is the run before its update. Returns the row's new value, as text and as an SQL
 * expression for the update, and the statements that make pages of the older ids. In the batch these statements come after the update.
 */
export function keepStateId(workspaceId: string, row: { id: string; state_ids: string }, stateId: string) {
  const statements: SQL[] = [];
  if (row.state_ids.length < MAX_IN_ROW * ID_CHARACTERS) {
    const before = row.state_ids.slice(0, -1);
    return {
      assignment: sql`json_insert(state_ids, '$[#]', ${stateId})`,
      state_ids: `${before}${before === "[" ? "" : ","}"${stateId}"]`,
      statements,
    };
  }
  const ids = readJson<string[]>(row.state_ids);
  const older = ids.slice(0, -LEFT_IN_ROW);
  const state_ids = JSON.stringify([...ids.slice(-LEFT_IN_ROW), stateId]);
  const ofRun = sql`workspace_id = ${workspaceId} and flow_run_id = ${row.id}`;
  for (const some of chunks(older, MAX_IN_PAGE)) {
    const page = JSON.stringify(some);
    // The page is written only if the update was written, and only once, even if the batch is repeated.
    statements.push(sql`insert into ${flow_run_state_page} (workspace_id, flow_run_id, ordinal, state_ids)
      select ${workspaceId}, ${row.id},
        coalesce((select max(ordinal) + 1 from ${flow_run_state_page} where ${ofRun}), 0), ${page}
      where exists (select 1 from ${flow_run} where workspace_id = ${workspaceId} and id = ${row.id} and state_id = ${stateId})
        and not exists (select 1 from ${flow_run_state_page} where ${ofRun} and state_ids = ${page})`);
  }
  return { assignment: sql`${state_ids}`, state_ids, statements };
}

/** The ids of the states of runs, as a subquery with `id` and `place`. `place` orders the states of a run. `runs` is a condition on a run `r`. */
export function stateIdsOf(runs: SQL): SQL {
  return sql`(
    select listed.value as id, 1000000000000 + listed.key as place from ${flow_run} r join json_each(${OWN_IDS}) listed where ${runs}
    union all
    select listed.value, ${MAX_IN_PAGE} * page.ordinal + listed.key from ${flow_run} r
      join ${flow_run_state_page} page on page.workspace_id = r.workspace_id and page.flow_run_id = r.id
      join json_each(page.state_ids) listed where ${runs})`;
}

/** The id of the first state of a run `r`. */
export const FIRST_STATE_ID = sql`(coalesce((select page.state_ids from flow_run_state_page page
  where page.workspace_id = r.workspace_id and page.flow_run_id = r.id and page.ordinal = 0), ${OWN_IDS}) ->> '$[0]')`;

/** The id of the state of a run `r` before a state `st`; null if `st` is the first state. */
export const STATE_ID_BEFORE = sql`coalesce(
  (select prior.value from json_each(${OWN_IDS}) own join json_each(${OWN_IDS}) prior on prior.key = own.key - 1
    where own.value = st.id),
  (select coalesce(
      (select prior.value from json_each(page.state_ids) prior where prior.key = own.key - 1),
      (select earlier.state_ids ->> '$[#-1]' from flow_run_state_page earlier where earlier.workspace_id = r.workspace_id
        and earlier.flow_run_id = r.id and earlier.ordinal = page.ordinal - 1))
    from flow_run_state_page page join json_each(page.state_ids) own
    where page.workspace_id = r.workspace_id and page.flow_run_id = r.id and own.value = st.id),
  (select last.state_ids ->> '$[#-1]' from flow_run_state_page last where last.workspace_id = r.workspace_id
    and last.flow_run_id = r.id and st.id = ${OWN_IDS} ->> '$[0]' order by last.ordinal desc limit 1))`;

/** Whether a run `r` has pages. */
export const HAS_PAGES = sql.raw(`exists (select 1 from flow_run_state_page page
  where page.workspace_id = r.workspace_id and page.flow_run_id = r.id)`);

/**
 * Deletes the states and the pages of runs. In a batch these statements come before the deletion of the runs, because
 * the rows of the runs have the ids.
 */
export function deleteStatesOf(runs: SQL): SQL[] {
  return [
    sql`delete from ${flow_run_state} where id in (select listed.id from ${stateIdsOf(runs)} listed)`,
    sql`delete from ${flow_run_state_page} where (workspace_id, flow_run_id) in (select r.workspace_id, r.id from ${flow_run} r where ${runs})`,
  ];
}

/** Deletes the states of the oldest page of each run, then those pages. */
export function deleteOldestPage(runs: SQL): SQL[] {
  const oldest = sql`select page.workspace_id, page.flow_run_id, min(page.ordinal) as ordinal from ${flow_run} r
    join ${flow_run_state_page} page on page.workspace_id = r.workspace_id and page.flow_run_id = r.id where ${runs}
    group by page.workspace_id, page.flow_run_id`;
  return [
    sql`delete from ${flow_run_state} where id in (select listed.value from ${flow_run_state_page} p, json_each(p.state_ids) listed
      where (p.workspace_id, p.flow_run_id, p.ordinal) in (${oldest}))`,
    sql`delete from ${flow_run_state_page} where (workspace_id, flow_run_id, ordinal) in (${oldest})`,
  ];
}
