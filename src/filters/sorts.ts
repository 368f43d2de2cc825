/** The orders in which resources can be asked for. */
import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import { z } from "zod";
import { flow_run } from "#db/tables/flow-run";
import { flowRunStart } from "./flow-runs";

export const FlowRunSort = z
  .enum([
    "ID_DESC",
    "START_TIME_ASC",
    "START_TIME_DESC",
    "EXPECTED_START_TIME_ASC",
    "EXPECTED_START_TIME_DESC",
    "NAME_ASC",
    "NAME_DESC",
    "NEXT_SCHEDULED_START_TIME_ASC",
    "END_TIME_DESC",
  ])
  .meta({ id: "FlowRunSort" });
export type FlowRunSort = z.output<typeof FlowRunSort>;

interface Sorts {
  flow_runs: FlowRunSort;
}

const KEYS: { [R in keyof Sorts]: (sort: Sorts[R]) => SQLWrapper } = {
  flow_runs: (sort) => {
    switch (sort) {
      case "ID_DESC":
        return flow_run.id;
      case "START_TIME_ASC":
      case "START_TIME_DESC":
        return flowRunStart;
      case "EXPECTED_START_TIME_ASC":
      case "EXPECTED_START_TIME_DESC":
        return flow_run.expected_start_time;
      case "NAME_ASC":
      case "NAME_DESC":
        return flow_run.name;
      case "NEXT_SCHEDULED_START_TIME_ASC":
        return flow_run.next_scheduled_start_time;
      case "END_TIME_DESC":
        return flow_run.end_time;
    }
  },
};
const IDS: Record<keyof Sorts, SQLWrapper> = { flow_runs: flow_run.id };

/** What follows `order by`; ends with the id, in the same direction, so that pages do not overlap. */
export function orderBy<R extends keyof Sorts>(root: R, sort: Sorts[R]): SQL {
  const direction = sort.endsWith("_DESC") ? sql`desc` : sql`asc`;
  return sql`${KEYS[root](sort)} ${direction}, ${IDS[root]} ${direction}`;
}
