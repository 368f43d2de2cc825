/** Counts the rows of all tables once a day, and how many bytes they use, for `GET /admin/database`. */
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import { getTableName } from "drizzle-orm";
import {
  block_document,
  block_document_reference,
  block_schema,
  block_schema_reference,
  block_type,
} from "#db/tables/block";
import { data_key } from "#db/tables/data-key";
import { artifact, artifact_collection } from "#db/tables/artifact";
import { concurrency_limit } from "#db/tables/concurrency-limit";
import { deployment, deployment_schedule, deployment_version } from "#db/tables/deployment";
import {
  dead_letter,
  event_archive,
  event_resource,
  event_restored_hour,
  event_segment,
  sweep_mark,
} from "#db/tables/event";
import { flow } from "#db/tables/flow";
import { flow_run, flow_run_count, flow_run_input, flow_run_state, flow_run_state_page } from "#db/tables/flow-run";
import { log_archive, log_minute, log_restored_run, log_segment } from "#db/tables/log";
import { archived_run, run_archive } from "#db/tables/run-archive";
import { saved_search } from "#db/tables/saved-search";
import { task_run, task_run_state_cache } from "#db/tables/task-run";
import { configuration, variable } from "#db/tables/variable";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { DAY, type Micros } from "#lib/clock";
import { log } from "#lib/log";
import { type Census, CENSUS, type Kind, nothingCounted, readCensus } from "#resources/admin/census";
import { keyOf, selectCensus } from "#services/census-store";
import { isFirstOfHour, takeTurn } from "#services/turns";
import type { SweepTools } from "#tools";

/** All tables, in the order in which they are counted, and the kind of their data. */
export const TABLES: readonly (readonly [SQLiteTable, Kind])[] = [
  [flow_run, "flow_runs"],
  [flow_run_state, "flow_runs"],
  [flow_run_state_page, "flow_runs"],
  [flow_run_input, "flow_runs"],
  [archived_run, "flow_runs"],
  [run_archive, "flow_runs"],
  [task_run, "task_runs"],
  [task_run_state_cache, "task_runs"],
  [event_segment, "events"],
  [event_resource, "events"],
  [event_archive, "events"],
  [event_restored_hour, "events"],
  [log_segment, "logs"],
  [log_minute, "logs"],
  [log_archive, "logs"],
  [log_restored_run, "logs"],
  [flow_run_count, "other"],
  [flow, "other"],
  [deployment, "other"],
  [deployment_schedule, "other"],
  [deployment_version, "other"],
  [work_pool, "other"],
  [work_queue, "other"],
  [concurrency_limit, "other"],
  [artifact, "flow_runs"],
  [artifact_collection, "other"],
  [variable, "other"],
  [block_type, "other"],
  [block_schema, "other"],
  [block_schema_reference, "other"],
  [block_document, "other"],
  [block_document_reference, "other"],
  [data_key, "other"],
  [saved_search, "other"],
  [configuration, "other"],
  [dead_letter, "other"],
  [sweep_mark, "other"],
];

/** How many rows a step reads, and how many steps a turn takes: at most 58 million rows a day. */
const ROWS = 5_000;
const STEPS = 8;
/** A count begins a day after the one before. A minute is left, so that it begins in the same hour. */
const EVERY: Micros = DAY - 60_000_000;
/** How many times a step of one row is begun before the row is passed over. */
const MAX_TRIES = 3;

/**
 * Takes one turn of the count. The first turn of an hour begins the next count, if it is due. The mark has the place
 * and all sums, so they move together: a step that is done again, or twice at the same time, counts its rows once. The
 * mark of a count that has ended has its result. Between two counts, a turn reads this one row.
 */
export async function takeCensus(tools: SweepTools, rows = ROWS): Promise<void> {
  await takeTurn(tools, {
    name: CENSUS,
    most: rows,
    steps: STEPS,
    tries: MAX_TRIES,
    begin: (mark) => placeAt(tools.clock(), mark),
    async step({ place, most, note }) {
      await note();
      const census = readCensus(place);
      if (!census?.cursor) throw new Error("the census has no place");
      const next = await countNext(tools, { ...census, cursor: census.cursor }, most);
      return { place: JSON.stringify(next), isEnd: next.cursor === null };
    },
  });
}

/** Where a turn continues; null if no count is due. */
function placeAt(now: Micros, mark: string | null): string | null {
  const census = readCensus(mark);
  if (mark !== null && census?.cursor && tableOf(census.cursor)) return mark;
  if (!isFirstOfHour(now) || (census?.cursor === null && now < census.begun + EVERY)) return null;
  const begun: Census = { begun: now, cursor: firstOf(TABLES[0]), sums: nothingCounted(), last: census?.last ?? null };
  return JSON.stringify(begun);
}

type Cursor = NonNullable<Census["cursor"]>;

const tableOf = ({ table }: Cursor) => TABLES.find(([one]) => getTableName(one) === table);
const firstOf = (next: (typeof TABLES)[number] | undefined): Cursor | null =>
  next ? { table: getTableName(next[0]), after: null } : null;

/** Counts the next rows of a table. After the last row of the last table the count has ended. */
async function countNext(tools: SweepTools, census: Census & { cursor: Cursor }, most: number): Promise<Census> {
  const [table, kind] = tableOf(census.cursor) ?? [];
  if (!table || !kind) throw new Error(`the census does not know the table ${census.cursor.table}`);
  if (most === 0) log(tools, "error", "the census passes over one row, with which no step ends", census.cursor);
  const limit = Math.max(1, most);
  const [page] = await tools.db.rows<Record<string, string | number>>(
    selectCensus(table, census.cursor.after, limit, most === 0),
  );
  const counted = Number(page?.["counted"] ?? 0);
  const { rows, bytes } = census.sums[kind];
  const sums = {
    ...census.sums,
    [kind]: { rows: rows + counted, bytes: bytes + Math.round(Number(page?.["bytes"] ?? 0)) },
  };
  if (page && counted === limit) return { ...census, sums, cursor: { ...census.cursor, after: lastKey(table, page) } };
  const cursor = firstOf(TABLES[TABLES.findIndex(([one]) => one === table) + 1]);
  if (cursor) return { ...census, sums, cursor };
  const last = { begun: census.begun, ended: tools.clock(), size: tools.db.size ?? 0, sums };
  return { begun: census.begun, cursor: null, sums: nothingCounted(), last };
}

const lastKey = (table: SQLiteTable, page: Record<string, string | number>) =>
  keyOf(table).map(({ name }) => page[name] ?? "");
