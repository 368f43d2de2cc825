/** The rows of `log_archive`: which bundles of the archive have the logs of a run. */
import { type SQL, sql } from "drizzle-orm";
import type { BundleAddress } from "#archive/bundle";
import { each } from "#db/sql";
import { flow_run } from "#db/tables/flow-run";
import { log_archive } from "#db/tables/log";
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

/** Whether the bundle `a` has logs of the flow run `r`. */
export const HAS_LOGS_OF: SQL = sql.raw(`(a.workspace_id = r.workspace_id
  and a.first_start between r.start_time - ${MAX_STRETCH} and r.start_time and a.last_start >= r.start_time
  and instr(a.runs, unhex(replace(r.id, '-', ''))) > 0)`);

/** The bundles with logs of runs that exist, in the order of a page's first logs. */
export function selectBundlesOf(workspaceId: string, runIds: readonly string[], sort: LogSort, most: number): SQL {
  const direction = sql.raw(sort === "TIMESTAMP_ASC" ? "asc" : "desc");
  return sql`select a.id, a.first_start, a.first_timestamp, a.last_timestamp, a.key, a.bytes as object_bytes,
      a.index_at, a.index_digest, json_group_array(r.id) as wanted
    from ${each(runIds)} k
    cross join ${flow_run} r on r.workspace_id = ${workspaceId} and r.id = k.value
    cross join ${log_archive} a on ${HAS_LOGS_OF}
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
