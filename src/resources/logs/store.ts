/** The logs in D1: written as segments, read as records. */
import { sql } from "drizzle-orm";
import type { Statement } from "#db/database";
import { inPortions } from "#db/long-values";
import { stored, storedOf } from "#db/packed";
import { columnLists, each } from "#db/sql";
import { log_minute, log_segment, type LogRecord, minuteOf } from "#db/tables/log";
import { WorkspaceStore } from "#db/workspace-store";
import { chunksBySize } from "#lib/chunks";
import { timeOfId } from "#lib/clock";
import { mapPortions, type Portions, whole } from "#lib/portions";
import { logMatcher } from "#filters/logs";
import { type Candidate, LogCandidates, type LogQuery } from "#resources/logs/candidates";
import { endsIn, type FoundLog, PageOfLogs } from "#resources/logs/page-of-logs";
import { LogSegmentReader } from "#resources/logs/records";
import type { LogSegment } from "#resources/logs/segments";
import { printTime } from "#wire/dates";
import type { Log } from "#wire/log";

/** How many characters the rows of a statement have. A large row has its own statement. D1 allows values of 2 MB. */
const MAX_GROUP_CHARACTERS = 300_000;

const COLUMNS = columnLists(log_segment, { records: storedOf("value ->> '$.records'") });

/** The logs of one workspace. */
export class LogStore extends WorkspaceStore {
  private readonly candidates = new LogCandidates(this);
  private readonly segments = new LogSegmentReader(this);

  /** Writes segments in one batch. Rows from an earlier try of the same request stay as they are. */
  async insert(segments: readonly LogSegment[]): Promise<void> {
    if (segments.length === 0) return;
    const rows = segments.map((segment) => ({ ...segment, workspace_id: this.workspaceId }));
    const isLarge = (row: LogSegment) => row.records.length > MAX_GROUP_CHARACTERS / 4;
    const statements: Statement[] = rows.filter(isLarge).map((row) =>
      this.db.build
        .insert(log_segment)
        .values({ ...row, records: stored(row.records) })
        .onConflictDoNothing(),
    );
    const small = rows.filter((row) => !isLarge(row));
    for (const group of chunksBySize(small, MAX_GROUP_CHARACTERS, (row) => row.records.length)) {
      statements.push(sql`insert into ${log_segment} (${COLUMNS.columns})
        select ${COLUMNS.values} from ${each(group)} where true on conflict do nothing`);
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
    const rows = await this.find(query);
    const byKey = new Map(rows.map((row) => [keyOf(row), row]));
    const inFull = inPortions(rows, ["record"], keyOf, (keys) =>
      this.readAgain(keys.flatMap((key) => byKey.get(key) ?? [])),
    );
    return mapPortions(inFull, (some) =>
      some.flatMap(({ segment, record }) => (typeof record === "number" ? [] : printLog(segment.run_id, record))),
    );
  }

  /** Opens the candidates of a page in their order, until the page is complete. */
  private async find(query: LogQuery): Promise<FoundLog[]> {
    const { filter, sort, limit, offset } = query;
    const { near } = endsIn(sort);
    const matches = logMatcher(filter);
    const chosen = await this.candidates.of(query);
    let { candidates, isEnd } = await this.candidates.read(query, chosen);
    const page = new PageOfLogs(sort, offset - (candidates[0]?.passed ?? 0), limit);
    const isEnough = (next: Candidate) => page.isComplete(next[near]);
    for (;;) {
      for await (const { segment, records } of this.segments.open(candidates, isEnough))
        for (const [place, record] of (records ?? []).entries())
          if (record && matches(record, segment.run_id)) page.add(segment, place, record);
      const last = candidates.at(-1);
      if (isEnd || !last || isEnough(last)) return page.found();
      ({ candidates, isEnd } = await this.candidates.read(query, chosen, last));
    }
  }

  /** Reads records again that were left out. */
  private async readAgain(logs: readonly FoundLog[]): Promise<FoundLog[]> {
    const bySegment = Map.groupBy(logs, ({ segment }) => segment);
    const found: FoundLog[] = [];
    for await (const { segment, records } of this.segments.open([...bySegment.keys()]))
      for (const { place } of bySegment.get(segment) ?? []) {
        const record = records?.[place];
        if (record) found.push({ segment, place, record });
      }
    return found;
  }
}

const keyOf = ({ segment: { run_id, first_timestamp, digest }, place }: FoundLog) =>
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
