/** Flow runs in D1, of one workspace: how they are read, and how a row becomes an answer. */
import { type SQL, sql } from "drizzle-orm";
import { codec } from "#db/codec";
import { readJson } from "#db/database";
import { inPortions, longColumns, shortened, shortenedColumns } from "#db/long-values";
import { readDetails } from "#db/short/details";
import { flowPolicyForm } from "#db/short/policy";
import { estimatedRunTime, startTimeDelta } from "#db/run-estimates";
import { WorkspaceStore } from "#db/workspace-store";
import { flow_run, flow_run_count, flow_run_state } from "#db/tables/flow-run";
import { work_pool, work_queue } from "#db/tables/work-pool";
import type { Micros } from "#lib/clock";
import type { Portions } from "#lib/portions";
import { printDuration } from "#wire/dates";
import { printState, type State, type StateType } from "#wire/state";
import { list } from "#db/sql";

export type FlowRunRow = typeof flow_run.$inferSelect;

/** Shows, makes and changes rows of flow runs. */
export const flowRuns = codec(flow_run, {
  // Answers show `state` instead, and a policy with every field.
  omit: ["workspace_id", "state_timestamp", "state_ids", "empirical_policy"],
  preset: { job_variables: "{}", run_count: 0, total_run_time: 0 },
});

/** The columns of a state `s`, and their names in the row of the state's run. */
const STATE_NAMES = [
  ["id", "s_id"],
  ["type", "s_type"],
  ["name", "s_name"],
  ["timestamp", "s_timestamp"],
  ["message", "s_message"],
  ["data", "s_data"],
  ["state_details", "s_details"],
  ["flow_run_id", "s_flow_run_id"],
] as const;

/** Columns of the run's present state, as joined to the run. */
export type StateColumns = { s_type: StateType | null } & {
  [Names in (typeof STATE_NAMES)[number] as Names[1]]: (typeof flow_run_state.$inferSelect)[Names[0]] | null;
};

/** A flow run with its present state, its work pool, and the present name of its queue. */
export type FlowRunWithState = FlowRunRow &
  StateColumns & { work_pool_id: string | null; work_pool_name: string | null; queue_name: string | null };

const LONG_COLUMNS: ReadonlySet<string> = new Set(longColumns(flow_run_state));
const LONG_OF_STATE = STATE_NAMES.flatMap(([column, name]) => (LONG_COLUMNS.has(column) ? [name] : []));

/** The joined state's columns, for selects of other stores too. */
export const STATE_COLUMNS = sql.raw(STATE_NAMES.map(([column, name]) => `s.${column} as ${name}`).join(", "));

const RUN_IN_LIST = shortenedColumns(flow_run);
const STATE_IN_LIST = sql.raw(
  STATE_NAMES.map(([column, name]) =>
    LONG_COLUMNS.has(column) ? shortened(`s.${column}`, name) : `s.${column} as ${name}`,
  ).join(", "),
);

/** Selects flow runs with state and pool, without long values. `rest` may have `where`, `order by` and `limit` over `flow_run`. */
export function selectFlowRunList(rest: SQL): SQL {
  return selectWith(sql`${RUN_IN_LIST}, ${STATE_IN_LIST}`, rest);
}

function selectWith(columns: SQL, rest: SQL): SQL {
  return sql`select ${columns}, p.id as work_pool_id, p.name as work_pool_name, q.name as queue_name
    from ${flow_run}
    left join ${flow_run_state} s on s.id = ${flow_run.state_id}
    left join ${work_queue} q on q.workspace_id = ${flow_run.workspace_id} and q.id = ${flow_run.work_queue_id}
    left join ${work_pool} p on p.workspace_id = q.workspace_id and p.id = q.work_pool_id
    ${rest}`;
}

/** The flow runs of one workspace. */
export class FlowRunStore extends WorkspaceStore {
  /** One run, or undefined. */
  async read(id: string): Promise<FlowRunWithState | undefined> {
    const [row] = await this.readMany([id]);
    return row;
  }

  /** Reads runs by their ids, in any order. */
  readMany(ids: readonly string[]): Promise<FlowRunWithState[]> {
    return this.db.rows<FlowRunWithState>(selectWith(sql`${flow_run}.*, ${STATE_COLUMNS}`, this.among(ids)));
  }

  /** Reads runs without long values; `inFull` adds these. */
  readList(ids: readonly string[]): Promise<FlowRunWithState[]> {
    return this.db.rows<FlowRunWithState>(selectFlowRunList(this.among(ids)));
  }

  /** A page of runs. `where` and `order` come from the filters. */
  async list(where: SQL, order: SQL, limit: number, offset: number): Promise<Portions<FlowRunWithState>> {
    const page = selectFlowRunList(sql`where ${where} order by ${order} limit ${limit} offset ${offset}`);
    return this.inFull(await this.db.rows<FlowRunWithState>(page));
  }

  /** Adds the long values to runs that were read without them. */
  inFull(rows: readonly FlowRunWithState[]): Portions<FlowRunWithState> {
    return inPortions(
      rows,
      [...longColumns(flow_run), ...LONG_OF_STATE],
      ({ id }) => id,
      (ids) => this.readMany(ids),
    );
  }

  /** How many runs there are in all. The table `flow_run_count` has the number of the runs that started long ago. */
  async countAll(): Promise<number> {
    const of = (column: string) =>
      sql`select ${sql.raw(column)} from ${flow_run_count} where workspace_id = ${this.workspaceId}`;
    const counted = (condition: SQL) => sql`select count(*) from ${flow_run} where workspace_id = ${this.workspaceId}
      and coalesce("start_time", "expected_start_time") ${condition}`;
    const [row] = await this.db.rows<{ count: number }>(sql`
      select coalesce((${of("count")}), 0) + (${counted(sql`is null`)})
        + (${counted(sql`>= coalesce((${of("before")}), -9e18)`)}) as count`);
    return row?.count ?? 0;
  }

  /** How many runs meet a condition. */
  count(where: SQL): Promise<number> {
    return this.countRows(flow_run, where);
  }

  private among(ids: readonly string[]): SQL {
    return sql`where ${flow_run.workspace_id} = ${this.workspaceId}
      and ${flow_run.id} in ${list(ids)}`;
  }
}

/** The present state of a joined row. */
export function stateOf(row: StateColumns): State | null {
  if (row.s_id === null || row.s_type === null || row.s_timestamp === null) return null;
  return {
    id: row.s_id,
    type: row.s_type,
    name: row.s_name ?? "",
    timestamp: row.s_timestamp,
    message: row.s_message,
    data: row.s_data === null ? null : readJson<unknown>(row.s_data),
    state_details: readDetails(readJson(row.s_details ?? "{}"), { flow_run_id: row.s_flow_run_id }),
  };
}

/** A flow run as answers show it. */
export function printFlowRun(row: FlowRunWithState, now: Micros) {
  const state = stateOf(row);
  return {
    ...flowRuns.print(row),
    // The row of an ended run keeps the id of a deleted queue. A queue that exists has a pool.
    work_queue_id: row.work_pool_id === null ? null : row.work_queue_id,
    // For a deleted queue, the row has the name.
    work_queue_name: row.queue_name ?? row.work_queue_name,
    empirical_policy: { ...EMPTY_POLICY, ...flowPolicyForm.read(row.empirical_policy) },
    estimated_run_time: printDuration(estimatedRunTime(row, state, now)),
    estimated_start_time_delta: printDuration(startTimeDelta(row, now)),
    work_pool_id: row.work_pool_id,
    work_pool_name: row.work_pool_name,
    state: state && printState(state),
  };
}

/** Every field of a policy, as pydantic prints its model. */
const EMPTY_POLICY = {
  max_retries: 0,
  retry_delay_seconds: 0,
  retries: null,
  retry_delay: null,
  pause_keys: [],
  resuming: false,
  retry_type: null,
};
