/** Finds the segments that may have the logs of a page, by the short columns of segments. Opens no segment. */
import { type SQL, sql } from "drizzle-orm";
import { packedColumn } from "#db/packed";
import { each, list } from "#db/sql";
import { areTaskRuns } from "#db/task-run-keys";
import { log_minute, log_segment, MINUTE, minuteOf } from "#db/tables/log";
import { task_run } from "#db/tables/task-run";
import { WorkspaceStore } from "#db/workspace-store";
import { type Micros, timeOfId } from "#lib/clock";
import { isGiven, type LogFilter, type LogSort } from "#filters/logs";
import { type BundleRow, selectBundlesOf } from "#resources/logs/archived-bundles";
import { type ArchivedLogs, type ArchivedPart, MAX_BUNDLES } from "#resources/logs/archived-logs";
import { endsIn } from "#resources/logs/page-of-logs";
import type { Closed } from "#resources/logs/records";

/** Which logs to read. */
export interface LogQuery {
  filter: LogFilter;
  sort: LogSort;
  limit: number;
  offset: number;
}

/** A segment, or a part in the archive, that may have logs of the page. */
export interface Candidate extends Closed {
  last_timestamp: Micros;
  /** The part; null for a segment. */
  part: ArchivedPart | null;
  /** How many logs of the list are in segments before the first candidate. */
  passed: number;
}

/** The segments of a query that may have matching logs. */
export interface Candidates {
  /** A select of the segments and of archived parts, with the column `is_whole`: whether the short columns show that all records match. */
  select: (parts: readonly ArchivedPart[]) => SQL;
  /** The runs whose logs are wanted. */
  runs: readonly string[];
  /** Whether logs of other runs are wanted too. Of these, only the logs in D1 are found. */
  isOfAllRuns: boolean;
  /** Whether the segments are those of some runs, which a seek of the key finds. */
  isSeek?: boolean;
  /** Whether a segment may be whole. If not, the number of records in a segment tells nothing about a page. */
  isCounted: boolean;
}

/** How many segments a search over all runs opens: the newest, or the oldest, that may have matching logs. */
const MAX_OPEN = 5_000;
/** How many segments a search for the logs of unknown task runs opens. */
const MAX_OPEN_FOR_UNKNOWN = 20_000;
/** How many candidates the first read returns, and each other read. */
const FIRST_CANDIDATES = 250;
const MAX_CANDIDATES = 5_000;
/** How many bytes of packed records come with the first candidates of a read. Most pages need no other read. */
const FIRST_BYTES = 50_000;
/** Times before and after all others. */
const EARLIEST: Micros = -9e18;
const LATEST: Micros = 9e18;

/** The next candidates, whether there are no others, and the bundles that D1 named at the same time. */
interface Found {
  candidates: Candidate[];
  isEnd: boolean;
  bundles: BundleRow[];
}

/** A candidate as D1 gives it. */
type Row = Omit<Candidate, "part"> & { part: number | null };

/** The candidates of one workspace. */
export class LogCandidates extends WorkspaceStore {
  /** Selects the segments that may have matching logs. With the operator "and_", each criterion excludes segments. */
  async of({ filter, sort, limit, offset }: LogQuery): Promise<Candidates> {
    const ofAllRuns = (select: SQL) => ({ select: () => select, runs: [], isOfAllRuns: true });
    if (filter.operator !== "and_")
      return { ...ofAllRuns(this.ofAllRuns(sort, MAX_OPEN, [], sql`0`)), isCounted: false };
    const { timestamp, level, task_run_id: taskRun, text } = filter;
    const conditions: SQL[] = [];
    const whole = [sql`1`];
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
    const isWhole = isOpen ? sql`0` : sql.join(whole, sql` and `);
    const isCounted = !isOpen;
    const runs = filter.flow_run_id?.any_;
    if (runs) {
      const select = (parts: readonly ArchivedPart[]) => this.ofRuns(runs, conditions, isWhole, parts);
      return { select, runs, isOfAllRuns: false, isCounted, isSeek: true };
    }
    if (taskRun?.any_) return { ...(await this.ofTaskRuns(taskRun.any_, conditions)), isCounted };
    // A segment has a record at its first and at its last time, so a page needs at most as many segments as records.
    const most = isOpen || isGiven(level?.ge_) || isGiven(level?.le_) || isGiven(timestamp) ? MAX_OPEN : limit + offset;
    return { ...ofAllRuns(this.ofAllRuns(sort, most, conditions, isWhole, timestamp)), isCounted };
  }

  /**
   * Reads the next candidates of a page, in the order of their first records. Segments that end before the page begins
   * are left out (`begun`), unless a segment on the page overlaps them. The rule uses the record counts of segments, and
   * counts only segments in which all records match. The page may end before the last candidate, or need more of them:
   * the candidates after `last`. The parts are those of `archived`. They are right if the bundles of the
   * answer are those that `archived` knows.
   */
  async read(
    { sort, offset }: LogQuery,
    { select, runs, isCounted, isSeek }: Candidates,
    archived: ArchivedLogs | null,
    last?: Candidate,
  ): Promise<Found> {
    const parts = archived?.parts ?? [];
    const { near, far } = endsIn(sort);
    const [nearest, furthest] = [sql.raw(near), sql.raw(far)];
    const isAscending = sort === "TIMESTAMP_ASC";
    const [direction, back, isBefore, max] = isAscending
      ? [sql`asc`, sql`desc`, sql`<`, sql`max`]
      : [sql`desc`, sql`asc`, sql`>`, sql`min`];
    const hasParts = parts.length > 0;
    const order = sql`${nearest} ${direction}, run_id, first_timestamp, digest${hasParts ? sql`, part is null` : sql``}`;
    const counted = sql`
      counted as (
        select ${nearest} as near,
          sum(record_count) over earlier as passed,
          sum(1 - is_whole) over earlier as partial,
          ${max}(${furthest}) over earlier as reach
        from candidate
        window earlier as (order by ${nearest} ${direction} rows between unbounded preceding and 1 preceding)
      ),
      begun as (
        select near, passed from counted
        where reach ${isBefore} near and not partial and passed <= ${offset}
        order by near ${back} limit 1
      ),`;
    const onPage = sql`not (${nearest} ${isBefore} coalesce((select near from begun), ${nearest}))`;
    const isFirst = last === undefined && isCounted;
    const most = last ? MAX_CANDIDATES : FIRST_CANDIDATES;
    // Without `materialized` a seek gives the candidates in the order of the key, and only the columns that are used.
    const materialized = isSeek && !hasParts ? sql`not materialized` : sql`materialized`;
    const page = sql`
      with candidate as ${materialized} (${select(parts)}), ${isFirst ? counted : sql``}
      wanted as (
        select * from candidate where ${last ? isAfter(last, sort) : isFirst ? onPage : sql`1`}
        order by ${order} limit ${most}
      ),
      sized as (select *, sum(bytes) over (order by ${order} rows unbounded preceding) as bytes_until from wanted)
      select run_id, first_timestamp, digest, last_timestamp, bytes, part,
        ${isFirst ? sql`coalesce((select passed from begun), 0)` : sql`0`} as passed,
        iif(part is null and bytes_until <= ${FIRST_BYTES}, (
          select ${packedColumn("s.records")} from ${log_segment} s where s.workspace_id = ${this.workspaceId}
            and s.run_id = sized.run_id and s.first_timestamp = sized.first_timestamp and s.digest = sized.digest
        ), null) as packed
      from sized order by ${order}`;
    // Both are read in one transaction, so logs that move meanwhile are in one of the stores.
    const [rows, bundles = []] =
      archived && runs.length > 0
        ? await this.db.readAll([page, selectBundlesOf(this.workspaceId, runs, sort, MAX_BUNDLES + 1)])
        : [await this.db.rows<Record<string, unknown>>(page)];
    const candidates = (rows as unknown as Row[]).map(({ part, ...row }): Candidate => ({
      ...row,
      part: parts[part ?? -1] ?? null,
    }));
    return { candidates, isEnd: candidates.length < most, bundles: bundles as unknown as BundleRow[] };
  }

  private ofRuns(
    runIds: readonly string[],
    conditions: readonly SQL[],
    isWhole: SQL,
    parts: readonly ArchivedPart[],
  ): SQL {
    const [id, ...others] = runIds;
    // A single run is compared with `=`, because then the key also gives the order of the segments.
    const inRuns = id !== undefined && others.length === 0 ? sql`s.run_id = ${id}` : sql`s.run_id in ${list(runIds)}`;
    const all = [sql`s.workspace_id = ${this.workspaceId} and ${inRuns}`, ...conditions];
    const segments = selectSegments(sql`${log_segment} s`, all, isWhole);
    if (parts.length === 0) return segments;
    const archived = selectSegments(sql`(${selectParts(parts)}) s`, [sql`1`, ...conditions], isWhole, true);
    return sql`${segments} union all ${archived}`;
  }

  /**
   * The segments of the newest or oldest minutes of a window, as many minutes as have `most` runs with logs together.
   * Each such run has at least one log. A minute counts as a whole, because its runs have no order in time.
   */
  private ofAllRuns(
    sort: LogSort,
    most: number,
    conditions: readonly SQL[],
    isWhole: SQL,
    window?: LogFilter["timestamp"],
  ): SQL {
    const { after_, before_ } = window ?? {};
    const own = sql`workspace_id = ${this.workspaceId}`;
    const since = sql`minute >= ${isGiven(after_) ? minuteOf(after_) : EARLIEST}`;
    const until = sql`minute <= ${isGiven(before_) ? before_ : LATEST}`;
    const [furthest, direction, isWithin, rest, order] =
      sort === "TIMESTAMP_DESC"
        ? [sql`min`, sql`desc`, sql`>=`, until, sql`s.last_timestamp desc`]
        : [sql`max`, sql`asc`, sql`<=`, since, sql`s.first_timestamp`];
    // Of two bounds on one side, SQLite would use only the first one to search the key.
    const from = sql`(select run_id, minute from ${log_minute} where ${own} and ${rest} and minute ${isWithin} (
        select ${furthest}(minute) from (
          select minute from ${log_minute} where ${own} and ${since} and ${until} order by minute ${direction} limit ${most}))) m
      cross join ${log_segment} s on s.workspace_id = ${this.workspaceId} and s.run_id = m.run_id
        and s.first_timestamp >= m.minute and s.first_timestamp < m.minute + ${MINUTE}`;
    return sql`${selectSegments(from, [sql`s.workspace_id = ${this.workspaceId}`, ...conditions], isWhole)}
      order by ${order} limit ${most}`;
  }

  /**
   * The segments that may have logs of task runs. These are the segments of the flow runs of the task runs. The row of a
   * task run is written after its first logs, or is missing, so a task run may be unknown. Then its flow run is unknown
   * too, and the first `MAX_OPEN_FOR_UNKNOWN` segments since the time in its id are searched. If an id has no time, the newest
   * segments are searched.
   */
  private async ofTaskRuns(
    ids: readonly string[],
    conditions: readonly SQL[],
  ): Promise<Pick<Candidates, "select" | "runs" | "isOfAllRuns">> {
    const rows = await this.db.rows<{ id: string; flow_run_id: string | null }>(
      sql`select id, flow_run_id from ${task_run} where ${areTaskRuns(this.workspaceId, ids)}`,
    );
    // Logs of a task run without a flow run are in segments of the task run.
    const runs = [...new Set(rows.flatMap((row) => row.flow_run_id ?? []))];
    const ofRuns = (parts: readonly ArchivedPart[]) => this.ofRuns([...ids, ...runs], conditions, sql`0`, parts);
    const known = new Set(rows.map(({ id }) => id));
    const unknown = ids.filter((id) => !known.has(id));
    if (unknown.length === 0) return { select: ofRuns, runs, isOfAllRuns: false };
    const begins = unknown.map((id) => (id[VERSION_AT] === "7" ? timeOfId(id) : Number.NaN));
    const since = begins.reduce((a, b) => Math.min(a, b)) - MINUTE;
    const others = Number.isNaN(since)
      ? this.ofAllRuns("TIMESTAMP_DESC", MAX_OPEN_FOR_UNKNOWN, conditions, sql`0`)
      : this.ofAllRuns("TIMESTAMP_ASC", MAX_OPEN_FOR_UNKNOWN, conditions, sql`0`, { after_: since });
    const select = (parts: readonly ArchivedPart[]) =>
      sql`select * from (${ofRuns(parts)}) union select * from (${others})`;
    return { select, runs, isOfAllRuns: true };
  }
}

/** The position of the version's digit in an id. */
const VERSION_AT = 14;

function selectSegments(from: SQL, where: readonly SQL[], isWhole: SQL, isArchived = false): SQL {
  const others = isArchived ? sql`s.bytes, s.part` : sql`octet_length(s.records) as bytes, null as part`;
  return sql`select s.run_id, s.first_timestamp, s.digest, s.last_timestamp, s.record_count,
      ${others}, (${isWhole}) as is_whole
    from ${from} where ${sql.join([...where], sql` and `)}`;
}

/** The parts as rows with the short columns of segments. */
function selectParts(parts: readonly ArchivedPart[]): SQL {
  const rows = parts.map(({ entry, header }) => [
    header.run_id,
    header.first_timestamp,
    header.digest,
    header.last_timestamp,
    header.min_level,
    header.max_level,
    header.record_count,
    entry.length,
  ]);
  return sql`select value ->> 0 as run_id, value ->> 1 as first_timestamp, value ->> 2 as digest,
      value ->> 3 as last_timestamp, value ->> 4 as min_level, value ->> 5 as max_level, value ->> 6 as record_count,
      value ->> 7 as bytes, key as part
    from ${each(rows)}`;
}

/** The condition on the candidates after `last`, in the order of a page. The first part is for the search of the key. */
function isAfter(last: Candidate, sort: LogSort): SQL {
  const { near } = endsIn(sort);
  const time = sql.raw(near);
  const isBeyond = sort === "TIMESTAMP_ASC" ? sql`>` : sql`<`;
  return sql`${time} ${isBeyond}= ${last[near]} and (${time} ${isBeyond} ${last[near]}
    or (run_id, first_timestamp, digest) > (${last.run_id}, ${last.first_timestamp}, ${last.digest}))`;
}
