/** Writes segments of logs to D1. */
import { type SQL, sql } from "drizzle-orm";
import { stored, storedOf } from "#db/packed";
import { columnLists, each } from "#db/sql";
import { log_minute, log_segment, minuteOf } from "#db/tables/log";
import { chunksBySize } from "#lib/chunks";
import type { LogSegment } from "#resources/logs/segments";

/** How many characters the rows of a statement have. A large row has its own statement. D1 allows values of 2 MB. */
const MAX_GROUP_CHARACTERS = 300_000;

const COLUMNS = columnLists(log_segment, { records: storedOf("value ->> '$.records'") });

/** The statements that write segments. A segment that exists stays as it is. */
export function insertSegments(workspaceId: string, segments: readonly LogSegment[], guard: SQL = sql`true`): SQL[] {
  const rows = segments.map((segment) => ({ ...segment, workspace_id: workspaceId }));
  const isLarge = (row: LogSegment) => row.records.length > MAX_GROUP_CHARACTERS / 4;
  const statements = rows.filter(isLarge).map(
    (row) => sql`insert into ${log_segment} (${COLUMNS.columns})
      select ${row.workspace_id}, ${row.run_id}, ${row.first_timestamp}, ${row.digest}, ${row.last_timestamp},
        ${row.min_level}, ${row.max_level}, ${row.record_count}, ${stored(row.records)}
      where ${guard} on conflict do nothing`,
  );
  const small = rows.filter((row) => !isLarge(row));
  for (const group of chunksBySize(small, MAX_GROUP_CHARACTERS, (row) => row.records.length)) {
    statements.push(sql`insert into ${log_segment} (${COLUMNS.columns})
      select ${COLUMNS.values} from ${each(group)} where ${guard} on conflict do nothing`);
  }
  const minutes = rows.map((row) => [minuteOf(row.first_timestamp), row.run_id]);
  statements.push(sql`insert into ${log_minute} (workspace_id, minute, run_id)
    select ${workspaceId}, value ->> 0, value ->> 1 from ${each(minutes)} where ${guard}
    on conflict do nothing`);
  return statements;
}
