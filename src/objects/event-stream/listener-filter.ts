/** What a listener asks for: the filter of its first message. */
import { EventFilter, type Window, windowOf } from "#events/filter";
import type { Micros } from "#lib/clock";
import { LogFilter } from "#filters/logs";

/** What a socket is for. */
export type Channel = "events-in" | "events-out" | "logs-out";

/** Prefect: PREFECT_SERVER_EVENTS_MAXIMUM_WEBSOCKET_BACKFILL. */
const MAX_BACKFILL: Micros = 15 * 60 * 1_000_000;

/** What a listener is shown. */
export type ListenerFilter =
  | { channel: "events-out"; filter: EventFilter; window: Window; wantsBackfill: boolean }
  | { channel: "logs-out"; filter: LogFilter };
export type EventsFilter = Extract<ListenerFilter, { channel: "events-out" }>;

/** The filter of a message, or what is wrong with it. */
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
