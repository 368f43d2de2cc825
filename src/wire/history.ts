/** Histories of runs on the wire: a window of time in intervals, and the counts of each interval. */
import { namedObject } from "#wire/named";
import * as z from "zod";
import { unprocessable } from "#lib/api-error";
import { type Micros, SECOND } from "#lib/clock";
import { LAST_TIME, printDuration, printTime, Time, TimeText } from "#wire/dates";
import { Float } from "#wire/scalars";
import { StateType } from "#wire/state";

/** The maximum number of intervals. Prefect: a longer window is cut at its end. */
const MAX_INTERVALS = 500;

/** The fields of a body that describe the window. */
export const HistoryFields = { history_start: Time, history_end: Time, history_interval_seconds: Float };

export const HistoryResponse = namedObject("HistoryResponse", {
  interval_start: TimeText,
  interval_end: TimeText,
  states: z.array(
    namedObject("HistoryResponseState", {
      state_type: StateType,
      state_name: z.string(),
      count_runs: z.int(),
      sum_estimated_run_time: z.number(),
      sum_estimated_lateness: z.number(),
    }),
  ),
});

/** A window of `intervals` intervals, one after the other. */
export interface HistoryWindow {
  start: Micros;
  interval: Micros;
  intervals: number;
}

/** The end of the last interval. */
export const endOf = ({ start, interval, intervals }: HistoryWindow): Micros => start + intervals * interval;

/** The window of a body. Throws 422 for intervals that are too short, or that end after the last date. */
export function windowOf(body: z.output<z.ZodObject<typeof HistoryFields>>): HistoryWindow {
  const interval = Math.round(body.history_interval_seconds * SECOND);
  if (interval < SECOND) throw unprocessable("History interval must not be less than 1 second.");
  const start = body.history_start;
  const intervals = Math.min(MAX_INTERVALS, Math.max(0, Math.ceil((body.history_end - start) / interval)));
  if (endOf({ start, interval, intervals }) > LAST_TIME)
    throw unprocessable("The last interval must not end after the year 9999.");
  return { start, interval, intervals };
}

/** The runs of one state that were expected to start in one interval. */
export interface HistoryRow {
  interval: number;
  state_type: string;
  state_name: string;
  count_runs: number;
  sum_estimated_run_time: Micros;
  sum_estimated_lateness: Micros;
}

/** The history as answers show it. Empty intervals are in it too. */
export function printHistory({ start, interval, intervals }: HistoryWindow, rows: readonly HistoryRow[]) {
  const byInterval = Map.groupBy(rows, (row) => row.interval);
  return Array.from({ length: intervals }, (_, index) => ({
    interval_start: printTime(start + index * interval),
    interval_end: printTime(start + (index + 1) * interval),
    states: (byInterval.get(index) ?? []).map(({ interval: _interval, ...row }) => ({
      ...row,
      sum_estimated_run_time: printDuration(row.sum_estimated_run_time),
      sum_estimated_lateness: printDuration(row.sum_estimated_lateness),
    })),
  }));
}
