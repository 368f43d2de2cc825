/** Finds the next scheduled run of each of some flows. */
import { type SQL, sql } from "drizzle-orm";
import { each } from "#db/sql";
import { WorkspaceStore } from "#db/workspace-store";
import { deployment } from "#db/tables/deployment";
import { flow_run } from "#db/tables/flow-run";
import type { Micros } from "#lib/clock";
import type { StateType } from "#wire/state";

/** The next run of a flow. */
export interface NextRun {
  id: string;
  flow_id: string;
  name: string;
  state_name: string;
  state_type: StateType;
  next_scheduled_start_time: Micros;
}

/**
 * How many of the earliest scheduled runs of the workspace are looked at. No index has scheduled runs by flow: it would
 * be one more written row for each run.
 */
const MAX_LOOKED_AT = 5_000;

/** The scheduled runs of one workspace. */
export class NextRunStore extends WorkspaceStore {
  /**
   * The next run of each flow that has one. Each deployment of the flows gives its first future run. Overdue runs, and
   * runs without a deployment, are found among the earliest scheduled runs of the workspace.
   */
  async ofFlows(flowIds: readonly string[], now: Micros): Promise<NextRun[]> {
    // If a select has `min`, SQLite takes the other columns from the row with this minimum.
    return this.db.rows<NextRun>(sql`
      select flow_id, id, name, state_name, state_type, min(next_scheduled_start_time) as next_scheduled_start_time
      from (${this.firstOfDeployments(flowIds, now)} union all ${this.earliest(flowIds)}) group by flow_id`);
  }

  private firstOfDeployments(flowIds: readonly string[], now: Micros): SQL {
    const first = sql`select r.id from ${flow_run} as r
      where r.workspace_id = ${this.workspaceId} and r.deployment_id = d.id
        and coalesce(r."start_time", r."expected_start_time") >= ${now} and r.state_type = 'SCHEDULED'
      order by coalesce(r."start_time", r."expected_start_time") limit 1`;
    // With `cross join` SQLite keeps this order. It would begin with all deployments.
    return sql`select ${COLUMNS} from ${each(flowIds)} asked
      cross join ${deployment} as d on d.workspace_id = ${this.workspaceId} and d.flow_id = asked.value
      cross join ${flow_run} as n on n.workspace_id = ${this.workspaceId} and n.id = (${first})
      where n.next_scheduled_start_time is not null and n.flow_id = asked.value`;
  }

  private earliest(flowIds: readonly string[]): SQL {
    return sql`select * from (select ${COLUMNS} from ${flow_run} as n indexed by flow_run_live
        where n.end_time is null and n.next_scheduled_start_time > -9e18 and n.workspace_id = ${this.workspaceId}
        order by n.next_scheduled_start_time limit ${sql.raw(String(MAX_LOOKED_AT))})
      where state_type = 'SCHEDULED' and flow_id in (select value from ${each(flowIds)})`;
  }
}

const COLUMNS = sql.raw(
  ["flow_id", "id", "name", "state_name", "state_type", "next_scheduled_start_time"]
    .map((name) => `n.${name} as ${name}`)
    .join(", "),
);
