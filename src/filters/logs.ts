/** The criteria of logs. A log is a record of a segment: `s` is the segment's row, `r` the record as JSON. */
import { namedStrictObject } from "#wire/named";
import { type SQL, sql } from "drizzle-orm";
import * as z from "zod";
import { parseTextQuery, type TextQuery } from "#lib/text-query";
import { Int } from "#wire/scalars";
import { anyOf, combinable, combine, containing, criterion, group, isNull, span } from "./clause";
import { Uuid } from "#wire/ids";

/** The fields of a record in SQL. */
export const LOG = {
  name: sql.raw("(r.value ->> 'name')"),
  level: sql.raw("(r.value ->> 'level')"),
  message: sql.raw("(r.value ->> 'message')"),
  timestamp: sql.raw("(r.value ->> 'timestamp')"),
  task_run_id: sql.raw("(r.value ->> 'task_run_id')"),
  flow_run_id: sql.raw("iif(r.value ->> 'no_flow_run' is null, s.run_id, null)"),
};

const LogFilterTextSearch = namedStrictObject("LogFilterTextSearch", { query: z.string().max(200) });

const logFilter = combinable("LogFilter", {
  level: group("LogFilterLevel", {
    ge_: criterion(Int, (least) => sql`${LOG.level} >= ${least}`),
    le_: criterion(Int, (most) => sql`${LOG.level} <= ${most}`),
  }),
  timestamp: group("LogFilterTimestamp", span(LOG.timestamp)),
  flow_run_id: group("LogFilterFlowRunId", { any_: anyOf(Uuid, LOG.flow_run_id) }),
  task_run_id: group("LogFilterTaskRunId", { any_: anyOf(Uuid, LOG.task_run_id), is_null_: isNull(LOG.task_run_id) }),
  text: criterion(LogFilterTextSearch, ({ query }) => searchClauses(parseTextQuery(query))),
});

/** The filter of logs on the wire. */
export const LogFilter = logFilter.schema;
export type LogFilter = z.output<typeof LogFilter>;

export const LogSort = z.enum(["TIMESTAMP_ASC", "TIMESTAMP_DESC"]).meta({ id: "LogSort" });
export type LogSort = z.output<typeof LogSort>;

/** Gives the condition on a record. */
export function logClause(filter: LogFilter, workspaceId: string): SQL {
  return combine("and_", logFilter.clauses(filter, workspaceId));
}

/** Prefect: with the operator "or_", the included, the excluded and the required terms are three alternatives. */
function searchClauses({ include, exclude, required }: TextQuery): SQL[] {
  const text = sql`(${LOG.message} || ' ' || ${LOG.name})`;
  // Terms are plain text, so their wildcards are escaped.
  const has = (term: string) => containing(text, term.replaceAll(/[\\%_]/g, "\\$&"));
  const clauses: SQL[] = [];
  if (include.length > 0) clauses.push(combine("or_", include.map(has)));
  if (exclude.length > 0) clauses.push(sql`not ${combine("or_", exclude.map(has))}`);
  if (required.length > 0) clauses.push(combine("and_", required.map(has)));
  return clauses;
}
