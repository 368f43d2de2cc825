/** When a run was last heard of: by an event that involves the run, a line of its log, or a change of its row. */
import { type SQL, sql } from "drizzle-orm";
import { event_resource } from "#db/tables/event";
import { log_segment } from "#db/tables/log";
import { PERIOD } from "#events/segments";
import { earliestId, type Micros, timeOfId } from "#lib/clock";

/** The columns of `SIGNS`. */
export interface Signs {
  state_timestamp: Micros;
  updated: Micros;
  /** The first id of the newest period in which events involve the run. */
  last_event: string | null;
  /** By the clock of the process that logged. */
  last_log: Micros | null;
}

const LAST_EVENT = sql`(select x.first_id from ${event_resource} x
  where x.workspace_id = r.workspace_id and x.resource_id = 'prefect.flow-run.' || r.id
  order by x.hour desc, x.first_id desc limit 1)`;

const LAST_LOG = sql`(select l.last_timestamp from ${log_segment} l
  where l.workspace_id = r.workspace_id and l.run_id = r.id order by l.first_timestamp desc limit 1)`;

/** Columns that tell when the run `r` was last heard of: two index seeks, of one row each. */
export const SIGNS = sql`r.state_timestamp, r.updated, ${LAST_EVENT} as last_event, ${LAST_LOG} as last_log`;

/** Whether nothing was heard of the run `r` since a time. The cheapest conditions come first. */
export function isSilentSince(since: Micros, now: Micros): SQL {
  return sql`r.state_timestamp <= ${since} and r.updated <= ${since}
    and coalesce(${LAST_EVENT}, '') < ${earliestId(since - PERIOD)}
    and coalesce(${LAST_LOG}, 0) not between ${since + 1} and ${now}`;
}

/** When the run was last heard of. A log of a later time than now does not count, because its clock is wrong. */
export function lastHeardOf({ state_timestamp, updated, last_event, last_log }: Signs, now: Micros): Micros {
  const event = last_event === null ? 0 : Math.min(now, timeOfId(last_event) + PERIOD);
  return Math.max(state_timestamp, updated, event, last_log !== null && last_log <= now ? last_log : 0);
}
