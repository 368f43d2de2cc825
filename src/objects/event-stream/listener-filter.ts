/** What a listener asks for: the filter of its first message. */
import type { Log } from "#wire/log";
import { EventFilter, type Window, windowOf } from "#events/filter";
import type { Micros } from "#lib/clock";
import { LogFilter } from "#filters/logs";
import { meetsTextQuery } from "#lib/text-query";
import { parseTime } from "#wire/dates";

/** What a socket is for. */
export type Channel = "events-in" | "events-out" | "logs-out";

/** Prefect: PREFECT_SERVER_EVENTS_MAXIMUM_WEBSOCKET_BACKFILL. */
const MAX_BACKFILL: Micros = 15 * 60 * 1_000_000;

/** What a listener is shown. */
export type ListenerFilter =
  | { channel: "events-out"; filter: EventFilter; window: Window; wantsBackfill: boolean }
  | { channel: "logs-out"; filter: LogFilter };
export type EventsFilter = Extract<ListenerFilter, { channel: "events-out" }>;

/** The filter in a message, or why the message is refused. */
export function readListenerFilter(
  channel: Channel,
  message: Record<string, unknown>,
  now: Micros,
): ListenerFilter | { wrong: string } {
  if (channel === "logs-out") {
    const filter = LogFilter.safeParse(message["filter"]);
    return filter.success ? { channel, filter: filter.data } : { wrong: wordsOf(filter.error) };
  }
  const filter = EventFilter.safeParse(message["filter"]);
  if (!filter.success) return { wrong: wordsOf(filter.error) };
  const { since, until } = windowOf(filter.data, now);
  const window = { since: Math.max(since, now - MAX_BACKFILL), until };
  return {
    channel: "events-out",
    filter: { ...filter.data, order: "ASC" },
    window,
    wantsBackfill: message["backfill"] !== false,
  };
}

function wordsOf(error: { issues: readonly { path: PropertyKey[]; message: string }[] }): string {
  return error.issues.map((issue) => `${issue.path.map(String).join(".")}: ${issue.message}`).join("; ");
}

/** Whether a log matches the filter. Prefect: `log_matches_filter` requires all criteria, whatever the operator. */
export function matchesLog(filter: LogFilter, log: Log): boolean {
  const { level, timestamp, flow_run_id, task_run_id, text } = filter;
  const time = parseTime(log.timestamp) ?? 0;
  return (
    log.level >= (level?.ge_ ?? -Infinity) &&
    log.level <= (level?.le_ ?? Infinity) &&
    time <= (timestamp?.before_ ?? Infinity) &&
    time >= (timestamp?.after_ ?? -Infinity) &&
    isAmong(flow_run_id?.any_, log.flow_run_id) &&
    isAmong(task_run_id?.any_, log.task_run_id) &&
    (typeof task_run_id?.is_null_ !== "boolean" || task_run_id.is_null_ === (log.task_run_id === null)) &&
    (!text || meetsTextQuery(text.query, `${log.message} ${log.name}`))
  );
}

function isAmong(wanted: readonly string[] | null | undefined, id: string | null): boolean {
  return !wanted || (id !== null && wanted.includes(id));
}
