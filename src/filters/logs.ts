/** The criteria of logs. A log is a record of a segment: `s` is the segment's row, `r` the record as JSON. */
import { type SQL, sql } from "drizzle-orm";
import * as z from "zod";
import { parseTextQuery, type TextQuery } from "#lib/text-query";
import { Int } from "#wire/scalars";
import { anyOf, combine, containing, criterion, group, isNull, Operator, span } from "./clause";
import { Uuid } from "#wire/ids";

/** The parts of a record in SQL. */
export const LOG = {
  name: sql.raw("(r.value ->> 'name')"),
  level: sql.raw("(r.value ->> 'level')"),
  message: sql.raw("(r.value ->> 'message')"),
  timestamp: sql.raw("(r.value ->> 'timestamp')"),
  task_run_id: sql.raw("(r.value ->> 'task_run_id')"),
  flow_run_id: sql.raw("iif(r.value ->> 'no_flow_run' is null, s.run_id, null)"),
};

const level = group("LogFilterLevel", {
  ge_: criterion(Int, (least) => sql`${LOG.level} >= ${least}`),
  le_: criterion(Int, (most) => sql`${LOG.level} <= ${most}`),
});
const timestamp = group("LogFilterTimestamp", span(LOG.timestamp));
const flowRunId = group("LogFilterFlowRunId", { any_: anyOf(Uuid, LOG.flow_run_id) });
const taskRunId = group("LogFilterTaskRunId", {
  any_: anyOf(Uuid, LOG.task_run_id),
  is_null_: isNull(LOG.task_run_id),
});

const LogFilterTextSearch = z.strictObject({ query: z.string().max(200) }).meta({ id: "LogFilterTextSearch" });

/** The filter of logs on the wire. */
export const LogFilter = z
  .strictObject({
    operator: Operator.default("and_"),
    level: level.field,
    timestamp: timestamp.field,
    flow_run_id: flowRunId.field,
    task_run_id: taskRunId.field,
    text: LogFilterTextSearch.nullish(),
  })
  .meta({ id: "LogFilter" });
export type LogFilter = z.output<typeof LogFilter>;

export const LogSort = z.enum(["TIMESTAMP_ASC", "TIMESTAMP_DESC"]).meta({ id: "LogSort" });
export type LogSort = z.output<typeof LogSort>;

/** Gives the condition on a record. Prefect: with "or_" each kind of a search's terms is one more alternative. */
export function logClause(filter: LogFilter, workspaceId: string): SQL {
  const clauses = [
    level.clause(filter.level, workspaceId),
    timestamp.clause(filter.timestamp, workspaceId),
    flowRunId.clause(filter.flow_run_id, workspaceId),
    taskRunId.clause(filter.task_run_id, workspaceId),
    ...(filter.text ? searchClauses(parseTextQuery(filter.text.query)) : []),
  ];
  return combine(
    filter.operator,
    clauses.filter((clause) => clause !== undefined),
  );
}

function searchClauses({ include, exclude, required }: TextQuery): SQL[] {
  const text = sql`(${LOG.message} || ' ' || ${LOG.name})`;
  // Terms are plain text, so wildcards in them are escaped.
  const has = (term: string) => containing(text, term.replaceAll(/[\\%_]/g, "\\$&"));
  const clauses: SQL[] = [];
  if (include.length > 0) clauses.push(combine("or_", include.map(has)));
  if (exclude.length > 0) clauses.push(sql`not ${combine("or_", exclude.map(has))}`);
  if (required.length > 0) clauses.push(combine("and_", required.map(has)));
  return clauses;
}
