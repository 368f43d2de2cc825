/** The logs: written to D1 as segments, read as records. */
import type { Archive } from "#archive/store";
import type { Database } from "#db/database";
import { inPortions } from "#db/long-values";
import type { LogRecord } from "#db/tables/log";
import { WorkspaceStore } from "#db/workspace-store";
import { type Micros, timeOfId } from "#lib/clock";
import { mapPortions, type Portions, whole } from "#lib/portions";
import type { LogQuery } from "#resources/logs/candidates";
import { insertSegments } from "#resources/logs/insert-segments";
import { keyOf, LogPages } from "#resources/logs/pages";
import type { LogSegment } from "#resources/logs/segments";
import { printTime } from "#wire/dates";
import type { Log } from "#wire/log";

/** The logs of one workspace. */
export class LogStore extends WorkspaceStore {
  private readonly pages: LogPages;

  /** Without an archive, only logs in D1 are read. */
  constructor(tools: { db: Database; workspaceId: string; archive?: Archive | null }) {
    super(tools);
    this.pages = new LogPages(tools, tools.archive ?? null);
  }

  /** Writes segments in one batch. Rows from an earlier try of the same request stay as they are. */
  async insert(segments: readonly LogSegment[]): Promise<void> {
    if (segments.length > 0) await this.db.batch(insertSegments(this.workspaceId, segments));
  }

  /** Reads a page of logs, in the order of time. */
  async list(query: LogQuery): Promise<Portions<Log>> {
    return (await this.page(query)).logs;
  }

  /**
   * Reads a page of logs. `readTo` is the time up to which the page has the archived logs, in the order of the page;
   * null if no archived log is missing.
   */
  async page(query: LogQuery): Promise<{ logs: Portions<Log>; readTo: Micros | null }> {
    if (query.limit === 0) return { logs: whole([]), readTo: null };
    const { rows, readTo } = await this.pages.find(query);
    const byKey = new Map(rows.map((row) => [keyOf(row), row]));
    const inFull = inPortions(rows, ["record"], keyOf, (keys) =>
      this.pages.readAgain(keys.flatMap((key) => byKey.get(key) ?? [])),
    );
    const logs = mapPortions(inFull, (some) =>
      some.flatMap(({ segment, record }) => (typeof record === "number" ? [] : printLog(segment.run_id, record))),
    );
    return { logs, readTo };
  }
}

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
