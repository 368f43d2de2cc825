/** The dashboard's numbers of ended task runs: twenty buckets of time, and how many task runs started in each. */
import type { FilterBody } from "#filters/joins";
import { unprocessable } from "#lib/api-error";
import { type Micros, SECOND } from "#lib/clock";
import type { Buckets } from "#resources/ui/task-run-store";
import { TERMINAL_TYPES } from "#wire/state";

const BUCKETS = 20;
const MINUTE = 60 * SECOND;

/** The buckets of a request, from the minute in which its time begins to the end of the minute in which it ends. Throws 422 without a beginning. */
export function bucketsOf({ task_runs }: FilterBody, now: Micros): Buckets {
  const { after_: after, before_: before } = task_runs?.start_time ?? {};
  if (typeof after !== "number") throw unprocessable("task_runs.start_time.after_ is required");
  const start = startOfMinute(after);
  const end = startOfMinute(before ?? now) + MINUTE - 1;
  return { start, length: Math.max(1, end - start) / BUCKETS };
}

/** Prefect: a filter by state does not count. */
export function onlyEnded(body: FilterBody): FilterBody {
  const { task_runs, ...others } = body;
  const state = { operator: "and_" as const, type: { any_: [...TERMINAL_TYPES] } };
  return task_runs ? { ...others, task_runs: { ...task_runs, state } } : body;
}

/** A row of the statement of the dashboard. */
export interface BucketRow {
  bucket: number;
  completed: number;
  failed: number;
}

/** The numbers of all buckets. Task runs that started after the last one are left out. */
export function printBuckets(rows: readonly BucketRow[]) {
  const byBucket = new Map(rows.map((row) => [row.bucket, row]));
  return Array.from({ length: BUCKETS }, (_, index) => {
    const { completed = 0, failed = 0 } = byBucket.get(index) ?? {};
    return { completed, failed };
  });
}

const startOfMinute = (time: Micros): Micros => Math.floor(time / MINUTE) * MINUTE;
