/** The facts for the event of a flow run's state, out of a row that joins the run with its flow, deployment, queue, pool and parent. */
import { readJson, readOptionalJson } from "#db/database";
import type { FlowRunFacts } from "#events/lifecycle";
import type { State } from "#wire/state";

/** Such a row. What the run does not have has the id null. Tags are JSON. */
export interface FactColumns {
  run_id: string;
  run_name: string;
  run_tags: string;
  run_count: number;
  created_by: string | null;
  flow_id: string | null;
  flow_name: string | null;
  flow_tags: string | null;
  deployment_id: string | null;
  deployment_name: string | null;
  deployment_tags: string | null;
  queue_id: string | null;
  queue_name: string | null;
  pool_id: string | null;
  pool_name: string | null;
  pool_type: string | null;
  task_id: string | null;
  task_name: string | null;
  task_tags: string | null;
}

/** Gives the facts of a row, with the run's state before and its new state. */
export function readFacts(row: FactColumns, initial: State | null, validated: State): FlowRunFacts {
  const pool = named(row.pool_id, row.pool_name);
  return {
    flow_run: {
      id: row.run_id,
      name: row.run_name,
      tags: readJson<string[]>(row.run_tags),
      run_count: row.run_count,
      created_by: readOptionalJson<FlowRunFacts["flow_run"]["created_by"]>(row.created_by),
    },
    flow: tagged(row.flow_id, row.flow_name, row.flow_tags),
    deployment: tagged(row.deployment_id, row.deployment_name, row.deployment_tags),
    work_queue: named(row.queue_id, row.queue_name),
    work_pool: pool && { ...pool, type: row.pool_type ?? "" },
    parent_task_run: tagged(row.task_id, row.task_name, row.task_tags),
    initial,
    validated,
  };
}

function named(id: string | null, name: string | null) {
  return id === null || name === null ? null : { id, name };
}

function tagged(id: string | null, name: string | null, tags: string | null) {
  const thing = named(id, name);
  return thing && { ...thing, tags: readJson<string[]>(tags ?? "[]") };
}
