/** The logs in D1: written as segments, read as records. */
import { type SQL, sql } from "drizzle-orm";
import { readJson, type Statement } from "#db/database";
import { inPortions, shortened } from "#db/long-values";
import { WorkspaceStore } from "#db/workspace-store";
import { log_minute, log_segment, type LogRecord, MINUTE, minuteOf } from "#db/tables/log";
import { task_run } from "#db/tables/task-run";
import { chunksBySize } from "#lib/chunks";
import { type Micros, timeOfId } from "#lib/clock";
import { mapPortions, type Portions, whole } from "#lib/portions";
import { LOG, logClause, type LogFilter, type LogSort } from "#filters/logs";
import type { LogSegment } from "#resources/logs/segments";
import { printTime } from "#wire/dates";
import type { Log } from "#wire/log";
import { each, list, asList, insertRows, isUnreadable } from "#db/sql";

/** A record that was read: the key of its segment, its index in the segment, and its text. */
interface FoundLog {
  run_id: string;
  first_timestamp: Micros;
  digest: string;
  place: number;
  record: string;
}

/** Which logs to read. */
interface LogQuery {
  filter: LogFilter;
  sort: LogSort;
  limit: number;
  offset: number;
}

/** How many segments a search over all runs opens: the newest, or the oldest, that may have matching logs. */
const MAX_OPEN = 5_000;
/** How many characters the rows of a statement have. A large row has its own statement. D1 allows values of 2 MB. */
const MAX_GROUP_CHARACTERS = 300_000;

/** The logs of one workspace. */
export class LogStore extends WorkspaceStore {
  /** Writes segments in one batch. Rows from an earlier try of the same request stay as they are. */
  async insert(segments: readonly LogSegment[]): Promise<void> {
    if (segments.length === 0) return;
    const rows = segments.map((segment) => ({ ...segment, workspace_id: this.workspaceId }));
    const isLarge = (row: LogSegment) => row.records.length > MAX_GROUP_CHARACTERS / 4;
    const statements: Statement[] = rows
      .filter(isLarge)
      .map((row) => this.db.build.insert(log_segment).values(row).onConflictDoNothing());
    const small = rows.filter((row) => !isLarge(row));
    for (const group of chunksBySize(small, MAX_GROUP_CHARACTERS, (row) => row.records.length)) {
      statements.push(insertRows(log_segment, group, { tail: sql`on conflict do nothing` }));
    }
    const minutes = rows.map((row) => [minuteOf(row.first_timestamp), row.run_id]);
    statements.push(sql`insert into ${log_minute} (workspace_id, minute, run_id)
      select ${this.workspaceId}, value ->> 0, value ->> 1 from ${each(minutes)} where true
      on conflict do nothing`);
    await this.db.batch(statements);
  }

  /** Reads a page of logs, in the order of time. */
  async list(query: LogQuery): Promise<Portions<Log>> {
    if (query.limit === 0) return whole([]);
    const candidates = await this.candidates(query);
    const read = (records: SQL) => this.db.rows<FoundLog>(this.page(query, candidates, records));
    const rows = await read(sql`s.records`).catch((error: unknown) => {
      if (!isUnreadable(error)) throw error;
      return read(asList(sql`s.records`));
    });
    const inFull = inPortions(rows, ["record"], keyOf, (keys) => this.readMany(keys));
    return mapPortions(inFull, (some) => some.map((row) => printLog(row.run_id, readJson<LogRecord>(row.record))));
  }

  /** Reads records by their keys. */
  private readMany(keys: readonly string[]): Promise<FoundLog[]> {
    return this.db.rows<FoundLog>(sql`select s.run_id, s.first_timestamp, s.digest, r.key as place, r.value as record
      from json_each(${`[${keys.join(",")}]`}) k
      cross join ${log_segment} s on s.workspace_id = ${this.workspaceId}
        and s.run_id = k.value ->> 0 and s.first_timestamp = k.value ->> 1 and s.digest = k.value ->> 2
      cross join json_each(${asList(sql`s.records`)}) r on r.key = k.value ->> 3`);
  }

  /**
   * The statement for a page. To open few segments, the statement first uses the record counts of segments. Segments
   * that end before the page begins are not opened (`begun`), unless a segment on the page overlaps them. Segments that
   * begin after enough records have ended are not opened either (`enough`). Both rules count only segments in which all
   * records match. `records` are the records of the segment `s`.
   */
  private page({ filter, sort, limit, offset }: LogQuery, candidates: SQL, records: SQL): SQL {
    const isAscending = sort === "TIMESTAMP_ASC";
    const near = isAscending ? sql`first_timestamp` : sql`last_timestamp`;
    const far = isAscending ? sql`last_timestamp` : sql`first_timestamp`;
    const direction = isAscending ? sql`asc` : sql`desc`;
    const isBefore = isAscending ? sql`<` : sql`>`;
    const furthest = isAscending ? sql`max` : sql`min`;
    const nearest = isAscending ? sql`min` : sql`max`;
    return sql`with candidate as materialized (${candidates}),
      counted as (
        select ${near} as near, ${far} as far,
          sum(record_count * is_whole) over (order by ${far} ${direction}) as ended,
          sum(record_count) over earlier as passed,
          sum(1 - is_whole) over earlier as partial,
          ${furthest}(${far}) over earlier as reach
        from candidate
        window earlier as (order by ${near} ${direction} rows between unbounded preceding and 1 preceding)
      ),
      begun as (
        select near, passed from counted
        where reach ${isBefore} near and partial = 0 and passed <= ${offset}
        order by near ${isAscending ? sql`desc` : sql`asc`} limit 1
      ),
      enough as (select ${nearest}(far) as far from counted where ended >= ${limit + offset})
      select s.run_id as run_id, s.first_timestamp as first_timestamp, s.digest as digest, r.key as place, ${RECORD}
      from candidate c
      cross join ${log_segment} s on s.workspace_id = ${this.workspaceId}
        and s.run_id = c.run_id and s.first_timestamp = c.first_timestamp and s.digest = c.digest
      cross join json_each(${records}) r
      where r.type = 'object' and not (c.${near} ${isBefore} coalesce((select near from begun), c.${near}))
        and not (coalesce((select far from enough), c.${near}) ${isBefore} c.${near})
        and ${logClause(filter, this.workspaceId)}
      order by ${LOG.timestamp} ${direction}, s.first_timestamp, s.digest, r.key
      limit ${limit} offset ${offset} - coalesce((select passed from begun), 0)`;
  }

  /** Selects the segments that may have matching logs. With the operator "and_", each criterion excludes segments. */
  private async candidates({ filter, sort, limit, offset }: LogQuery): Promise<SQL> {
    const inAll = sql`s.workspace_id = ${this.workspaceId}`;
    const order = sort === "TIMESTAMP_ASC" ? sql`s.first_timestamp` : sql`s.last_timestamp desc`;
    if (filter.operator !== "and_") {
      const all = this.ofMinutes(sort, MAX_OPEN);
      return selectSegments(all, inAll, sql`0`, sql`order by ${order} limit ${MAX_OPEN}`);
    }
    const { timestamp, level, task_run_id: taskRun, text } = filter;
    const runs = filter.flow_run_id?.any_ ?? (taskRun?.any_ ? await this.runsOf(taskRun.any_) : null);
    const conditions = [inAll];
    const whole = [sql`1`];
    if (runs) conditions.push(sql`s.run_id in ${list(runs)}`);
    if (taskRun?.any_) conditions.push(mentions(taskRun.any_));
    /** Adds a bound. `some` is true for a segment with a matching record, `all` for a segment of matching records only. */
    const bound = (value: number | null | undefined, some: string, all: string) => {
      if (!isGiven(value)) return;
      conditions.push(sql`${sql.raw(some)} ${value}`);
      whole.push(sql`${sql.raw(all)} ${value}`);
    };
    bound(timestamp?.after_, "s.last_timestamp >=", "s.first_timestamp >=");
    bound(timestamp?.before_, "s.first_timestamp <=", "s.last_timestamp <=");
    bound(level?.ge_, "s.max_level >=", "s.min_level >=");
    bound(level?.le_, "s.min_level <=", "s.max_level <=");
    // For these criteria the columns of a segment do not show how many of its records match.
    const isOpen = isGiven(taskRun?.any_) || isGiven(taskRun?.is_null_) || isGiven(text);
    if (isOpen) whole.push(sql`0`);
    const isBound = runs !== null || isGiven(taskRun?.any_);
    // A segment has a record at its first and at its last time, so a page needs at most as many segments as records.
    const most = isOpen || isGiven(level?.ge_) || isGiven(level?.le_) || isGiven(timestamp) ? MAX_OPEN : limit + offset;
    return selectSegments(
      isBound ? sql`${log_segment} s` : this.ofMinutes(sort, most, timestamp),
      sql.join(conditions, sql` and `),
      sql.join(whole, sql` and `),
      isBound ? sql`` : sql`order by ${order} limit ${most}`,
    );
  }

  /**
   * The segments of the first minutes of a window, as many minutes as have `most` runs with logs together. Each such
   * run has at least one log. A minute counts as a whole, because its runs have no order in time.
   */
  private ofMinutes(sort: LogSort, most: number, window?: LogFilter["timestamp"]): SQL {
    const { after_, before_ } = window ?? {};
    const inWindow = sql`workspace_id = ${this.workspaceId}
      and minute between ${isGiven(after_) ? minuteOf(after_) : EARLIEST} and ${isGiven(before_) ? before_ : LATEST}`;
    const [furthest, direction, isWithin] =
      sort === "TIMESTAMP_DESC" ? [sql`min`, sql`desc`, sql`>=`] : [sql`max`, sql`asc`, sql`<=`];
    return sql`(select run_id, minute from ${log_minute} where ${inWindow} and minute ${isWithin} (
        select ${furthest}(minute) from (
          select minute from ${log_minute} where ${inWindow} order by minute ${direction} limit ${most}))) m
      cross join ${log_segment} s on s.workspace_id = ${this.workspaceId} and s.run_id = m.run_id
        and s.first_timestamp >= m.minute and s.first_timestamp < m.minute + ${MINUTE}`;
  }

  /** The runs that have the segments with the logs of these task runs. Null if a task run is unknown. */
  private async runsOf(taskRunIds: readonly string[]): Promise<string[] | null> {
    const rows = await this.db.rows<{ flow_run_id: string | null }>(
      sql`select flow_run_id from ${task_run} where workspace_id = ${this.workspaceId} and id in ${list(taskRunIds)}`,
    );
    if (rows.length < new Set(taskRunIds).size) return null;
    return [...taskRunIds, ...rows.flatMap((row) => row.flow_run_id ?? [])];
  }
}

/** Times before and after all others. */
const EARLIEST: Micros = -9e18;
const LATEST: Micros = 9e18;

const isGiven = <T>(value: T | null | undefined): value is T => value !== null && value !== undefined;

/** The condition that a segment's text contains one of the ids. */
function mentions(ids: readonly string[]): SQL {
  return sql`exists (select 1 from ${each(ids)} as wanted
    where s.run_id = wanted.value or instr(s.records, wanted.value) > 0)`;
}

function selectSegments(from: SQL, where: SQL, whole: SQL, rest: SQL): SQL {
  return sql`select s.run_id, s.first_timestamp, s.digest, s.last_timestamp, s.record_count, (${whole}) as is_whole
    from ${from} where ${where} ${rest}`;
}

const RECORD = sql.raw(shortened("r.value", "record"));

const keyOf = ({ run_id, first_timestamp, digest, place }: FoundLog) =>
  JSON.stringify([run_id, first_timestamp, digest, place]);

/** Gives a log as answers show it. Its id is a UUIDv7, which has its creation time. Missing fields are empty. */
export function printLog(runId: string, record: Partial<LogRecord>): Log {
  const log = { ...EMPTY_LOG, ...record };
  const created = printTime(timeOfId(log.id));
  return {
    id: log.id,
    created,
    updated: created,
    name: log.name,
    level: log.level,
    message: log.message,
    timestamp: printTime(log.timestamp),
    flow_run_id: log.no_flow_run ? null : runId,
    task_run_id: log.task_run_id ?? null,
  };
}

const EMPTY_LOG: LogRecord = {
  id: "00000000-0000-0000-0000-000000000000",
  name: "",
  level: 0,
  message: "",
  timestamp: 0,
};
