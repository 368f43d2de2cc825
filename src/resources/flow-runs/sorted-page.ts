/** Finds the runs of a page of a sorted list by as few rows as the indexes allow. */
import { type SQL, sql } from "drizzle-orm";
import { boundOfLastExpected, runsWithoutTime, SINCE_BOUND, START_COLUMNS } from "#db/expected-starts";
import { flow_run } from "#db/tables/flow-run";
import { type FlowRunSort, orderBy } from "#filters/sorts";

/** A page of a sorted list. */
interface Page {
  sort: FlowRunSort;
  limit: number;
  offset: number;
}

/** The sorts that an index gives. */
const INDEXED: ReadonlySet<FlowRunSort> = new Set(["START_TIME_ASC", "START_TIME_DESC", "ID_DESC"]);

/**
 * The same page in another form, with a condition that meets only its runs if the rows must be sorted: then related rows are read for the
 * runs of the page only.
 */
export function narrowed(workspaceId: string, where: SQL, page: Page): { where: SQL; offset: number } {
  if (INDEXED.has(page.sort)) return { where, offset: page.offset };
  const ids = page.sort === "EXPECTED_START_TIME_DESC" ? lastExpected(workspaceId, where, page) : sorted(where, page);
  return { where: sql`${flow_run.workspace_id} = ${workspaceId} and ${flow_run.id} in (${ids})`, offset: 0 };
}

const sorted = (where: SQL, { sort, limit, offset }: Page): SQL =>
  sql`select ${flow_run.id} from ${flow_run} where ${where} order by ${orderBy("flow_runs", sort)} limit ${limit} offset ${offset}`;

/** Runs without any time are last. */
function lastExpected(workspaceId: string, where: SQL, { limit, offset }: Page): SQL {
  const met = sql`met as not materialized (select ${START_COLUMNS} from ${flow_run} where ${where})`;
  return sql`with ${met}, ${boundOfLastExpected(workspaceId, limit + offset)}
    select id from (select * from met where ${SINCE_BOUND} union all select * from met where start is null and likelihood(id in (${runsWithoutTime(workspaceId)}), 0.0001))
    order by expected_start_time desc, id desc limit ${limit} offset ${offset}`;
}
