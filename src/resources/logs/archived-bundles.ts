/** The rows of `log_archive`: which bundles of the archive have the logs of a run. */
import { type SQL, sql } from "drizzle-orm";
import type { BundleAddress } from "#archive/bundle";
import { shortId, shortWorkspace } from "#db/short/ids";
import { each } from "#db/sql";
import { flow_run } from "#db/tables/flow-run";
import { log_archive } from "#db/tables/log";
import { archived_run } from "#db/tables/run-archive";
import { DAY, type Micros } from "#lib/clock";
import type { LogSort } from "#filters/logs";
import { endsIn } from "#resources/logs/page-of-logs";

/** How far apart the starts of the runs in a bundle are at most. So the bundles that may have a run are found by its start. */
export const MAX_STRETCH: Micros = DAY / 4;

/** A bundle, as D1 knows it. */
export interface BundleRow {
  id: string;
  first_start: Micros;
  first_timestamp: Micros;
  last_timestamp: Micros;
  key: string;
  /** The size of the object. */
  object_bytes: number;
  index_at: number;
  index_digest: string;
  /** JSON array: the ids of the wanted runs that have logs in the bundle. */
  wanted: string;
}

/** Whether the bundle `a` has logs of a flow run. The id and the start of the run are expressions. */
export const hasLogsOf = (
  workspaceId: string,
  runId: string,
  start: string,
): SQL => sql`(a.workspace_id = ${workspaceId}
  and ${sql.raw(`a.first_start between ${start} - ${MAX_STRETCH} and ${start} and a.last_start >= ${start}
    and instr(a.runs, unhex(${runId}, '-')) > 0`)})`;

/** The archived run `q` with this id, an expression. */
export const isArchivedRun = (workspaceId: string, runId: string): SQL =>
  sql`(q.workspace_id = ${shortWorkspace(workspaceId)} and q.id = ${shortId(sql.raw(runId))})`;

/** Whether a flow run exists, in D1 or in the archive. The id is an expression. */
export const isRun = (workspaceId: string, runId: string): SQL =>
  sql`(exists (select 1 from ${flow_run} r where r.workspace_id = ${workspaceId} and r.id = ${sql.raw(runId)})
    or exists (select 1 from ${archived_run} q where ${isArchivedRun(workspaceId, runId)}))`;

/** The bundles with logs of runs that exist, in the order of a page's first logs. */
export function selectBundlesOf(workspaceId: string, runIds: readonly string[], sort: LogSort, most: number): SQL {
  const direction = sql.raw(sort === "TIMESTAMP_ASC" ? "asc" : "desc");
  return sql`with run as materialized (
      select k.value as id, coalesce(
        (select r.start_time from ${flow_run} r where r.workspace_id = ${workspaceId} and r.id = k.value),
        (select q.start from ${archived_run} q where ${isArchivedRun(workspaceId, "k.value")})) as start
      from ${each(runIds)} k)
    select a.id, a.first_start, a.first_timestamp, a.last_timestamp, a.key, a.bytes as object_bytes,
      a.index_at, a.index_digest, json_group_array(run.id) as wanted
    from run cross join ${log_archive} a on ${hasLogsOf(workspaceId, "run.id", "run.start")}
    group by a.first_start, a.id order by a.${sql.raw(endsIn(sort).near)} ${direction}, a.id limit ${most}`;
}

/** The address of a bundle's object. */
export function addressOf({ key, object_bytes: bytes, index_at, index_digest }: BundleRow): BundleAddress {
  return { key, bytes, index_at, index_digest };
}

/** The time of the first and of the last archived log in a window, or null. */
export function selectEnds(workspaceId: string, after: Micros | null, before: Micros | null): SQL {
  return sql`select min(a.first_timestamp) as first, max(a.last_timestamp) as last from ${log_archive} a
    where a.workspace_id = ${workspaceId}
      ${after === null ? sql`` : sql`and a.last_timestamp >= ${after}`}
      ${before === null ? sql`` : sql`and a.first_timestamp <= ${before}`}`;
}

/** The hexadecimal digits of a run in the column `runs`. */
export const digitsOf = (runId: string): string => runId.replaceAll("-", "");
