/**
 * The filter of logs. The records of a segment are packed, so the Worker decides which of them match. The comparisons
 * are SQL's: a field that a record does not have matches no criterion but `is_null_`.
 */
import * as z from "zod";
import type { LogRecord } from "#db/tables/log";
import { parseTextQuery } from "#lib/text-query";
import { Time } from "#wire/dates";
import { Uuid } from "#wire/ids";
import { namedStrictObject } from "#wire/named";
import { Bool, Int } from "#wire/scalars";
import { Operator, Values } from "./clause";
import { termPattern } from "./like";

const LogFilterLevel = namedStrictObject("LogFilterLevel", { ge_: Int.nullish(), le_: Int.nullish() });
const LogFilterTimestamp = namedStrictObject("LogFilterTimestamp", { before_: Time.nullish(), after_: Time.nullish() });
const LogFilterFlowRunId = namedStrictObject("LogFilterFlowRunId", { any_: Values(Uuid).nullish() });
const LogFilterTaskRunId = namedStrictObject("LogFilterTaskRunId", {
  any_: Values(Uuid).nullish(),
  is_null_: Bool.nullish(),
});
const LogFilterTextSearch = namedStrictObject("LogFilterTextSearch", { query: z.string().max(200) });

/** The filter of logs on the wire. */
export const LogFilter = namedStrictObject("LogFilter", {
  operator: Operator.default("and_"),
  level: LogFilterLevel.nullish(),
  timestamp: LogFilterTimestamp.nullish(),
  flow_run_id: LogFilterFlowRunId.nullish(),
  task_run_id: LogFilterTaskRunId.nullish(),
  text: LogFilterTextSearch.nullish(),
});
export type LogFilter = z.output<typeof LogFilter>;

export const LogSort = z.enum(["TIMESTAMP_ASC", "TIMESTAMP_DESC"]).meta({ id: "LogSort" });
export type LogSort = z.output<typeof LogSort>;

/** Decides about a record. `runId` is the run of its segment. A record from an old row may lack fields. */
type LogMatcher = (record: Partial<LogRecord>, runId: string) => boolean;

/** Whether a criterion is given. */
export const isGiven = <T>(value: T | null | undefined): value is T => value !== null && value !== undefined;

/** Makes the function that decides whether a record matches the filter. A filter without criteria matches each record. */
export function logMatcher({ operator, level, timestamp, flow_run_id, task_run_id, text }: LogFilter): LogMatcher {
  const groups: LogMatcher[] = [];
  if (level) groups.push(within(level.ge_, level.le_, (record) => record.level));
  if (timestamp) groups.push(within(timestamp.after_, timestamp.before_, (record) => record.timestamp));
  if (flow_run_id) groups.push(isAmong(flow_run_id.any_, (record, runId) => (record.no_flow_run ? null : runId)));
  if (task_run_id) {
    const { any_, is_null_ } = task_run_id;
    const isAny = isAmong(any_, (record) => record.task_run_id);
    groups.push(
      (record, runId) => isAny(record, runId) && (!isGiven(is_null_) || is_null_ === !isGiven(record.task_run_id)),
    );
  }
  if (text) groups.push(...searches(text.query));
  if (operator === "and_" || groups.length === 0)
    return (record, runId) => groups.every((matches) => matches(record, runId));
  return (record, runId) => groups.some((matches) => matches(record, runId));
}

function within(
  least: number | null | undefined,
  most: number | null | undefined,
  of: (record: Partial<LogRecord>) => number | undefined,
): LogMatcher {
  return (record) => {
    const value = of(record) ?? Number.NaN;
    return (!isGiven(least) || value >= least) && (!isGiven(most) || value <= most);
  };
}

function isAmong(
  ids: readonly string[] | null | undefined,
  of: (record: Partial<LogRecord>, runId: string) => string | null | undefined,
): LogMatcher {
  if (!ids) return () => true;
  const wanted = new Set<string | null | undefined>(ids);
  return (record, runId) => wanted.has(of(record, runId));
}

/** Prefect: with the operator "or_", the included, the excluded and the required terms are three alternatives. */
function searches(query: string): LogMatcher[] {
  const { include, exclude, required } = parseTextQuery(query);
  return [
    ...search(include, (patterns, isIn) => patterns.some(isIn)),
    ...search(exclude, (patterns, isIn) => !patterns.some(isIn)),
    ...search(required, (patterns, isIn) => patterns.every(isIn)),
  ];
}

function search(
  terms: readonly string[],
  isFound: (patterns: readonly RegExp[], isIn: (pattern: RegExp) => boolean) => boolean,
): LogMatcher[] {
  if (terms.length === 0) return [];
  const patterns = terms.map(termPattern);
  return [
    ({ message, name }) => {
      if (!isGiven(message) || !isGiven(name)) return false;
      const text = `${message} ${name}`;
      return isFound(patterns, (pattern) => pattern.test(text));
    },
  ];
}
