/** Creates task runs for the API: parents of subflows, background tasks, and task runs of clients that set states by HTTP. */
import type * as z from "zod";
import { createHash } from "node:crypto";
import { type SQL, sql } from "drizzle-orm";
import { uuidText } from "#db/short/ids";
import { insertRows } from "#db/sql";
import { isTaskRun, keyHash, ofFlowRunIn } from "#db/task-run-keys";
import { type LabelsRow, readLabels } from "#db/short/labels";
import { taskPolicyForm } from "#db/short/policy";
import { hasHadState, shortStates } from "#db/short/states";
import { newColumns } from "#db/workspace-store";
import { flow_run } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { integrityConflict } from "#lib/api-error";
import { randomName } from "#lib/names";
import { enqueueTaskRun } from "#objects/task-queue/client";
import { taskRunContext } from "#orchestration/context";
import { decideTaskRun } from "#orchestration/decide";
import { BackgroundTaskPolicy, MinimalTaskPolicy } from "#orchestration/policies";
import { storedState } from "#orchestration/predicates";
import { storedChanges } from "#orchestration/statements";
import type { TaskRunCreate } from "#resources/task-runs/schema";
import { type TaskRunRow, taskRuns } from "#db/rows/task-runs";
import type { Tools } from "#tools";
import { canonicalUuid } from "#wire/ids";
import { newState, type State } from "#wire/state";

type Draft = z.output<typeof TaskRunCreate>;

/** Creates a task run, or gives the existing task run with the same flow run, task key and dynamic key. Throws 409 for an unknown flow run. */
export async function createTaskRun(tools: Tools, draft: Draft): Promise<{ row: TaskRunRow; created: boolean }> {
  const { workspaceId, db } = tools;
  const labels = await labelsOf(tools, draft);
  const { row, queued } = newRow(tools, draft, labels);
  const sameKeys = hasKeysOf(workspaceId, row);
  // The batch is repeated if D1 fails. If any try was written, the task run has this state.
  const [, found] = await db.repeatable([
    insertRows(task_run, [row], { guard: sql`not exists (select 1 from ${task_run} where ${sameKeys})` }),
    sql`select * from ${task_run} where ${sameKeys} limit 1`,
  ]);
  const [present] = (found?.rows ?? []) as TaskRunRow[];
  const created = present !== undefined && row.state_id !== null && hasHadState(present, row.state_id);
  if (created && queued) tools.background(enqueueTaskRun(tools, row, queued.state, queued.isRetry));
  return { row: present ?? row, created };
}

/** The condition that a row has the same keys. It has the form of an index: the indexes by flow run, or the key. */
function hasKeysOf(
  workspaceId: string,
  { id, task_key, dynamic_key, flow_run_id: flowRunId, key_hash }: TaskRunRow,
): SQL {
  const keys = sql`task_key = ${task_key} and ${sql.raw(uuidText("dynamic_key"))} = ${dynamic_key}`;
  if (flowRunId === null) return sql`${isTaskRun(workspaceId, id)} and flow_run_id is null and ${keys}`;
  return sql`((${ofFlowRunIn("text", workspaceId, flowRunId)} and task_key = ${task_key} and dynamic_key = ${dynamic_key})
    or (${ofFlowRunIn("short", workspaceId, flowRunId)} and key_hash = ${key_hash} and ${keys}))`;
}

/** The id of a task run without a flow run is made from its keys, so that a repeated request finds the same row. */
function idOfKeys({ workspaceId }: Tools, { task_key, dynamic_key }: Draft): string {
  const bytes = createHash("sha256")
    .update(JSON.stringify([workspaceId, task_key, dynamic_key]))
    .digest();
  // These two bytes of a UUID have its version and its variant.
  const [version = 0, , variant = 0] = bytes.subarray(6);
  bytes[6] = 0x40 | (version & 0x0f);
  bytes[8] = ((variant % 4) + 8) * 16 + (variant & 0x0f);
  return canonicalUuid(bytes.toString("hex", 0, 16));
}

/** Prefect: `with_system_labels_for_task_run`. First the flow run's labels, then the system's, then the client's. */
async function labelsOf(tools: Tools, { flow_run_id: id, labels }: Draft): Promise<Record<string, unknown>> {
  if (!id) return { ...labels };
  const [parent] = await tools.db.rows<LabelsRow>(
    sql`select labels, flow_id, deployment_id from ${flow_run} where workspace_id = ${tools.workspaceId} and id = ${id}`,
  );
  if (!parent) throw integrityConflict();
  return { ...readLabels(parent), "prefect.flow-run.id": id, ...labels };
}

/** The new row, and the state with which the row goes to the task workers' queue; null for other task runs. */
function newRow(
  tools: Tools,
  draft: Draft,
  labels: Record<string, unknown>,
): { row: TaskRunRow; queued: { state: State; isRetry: boolean } | null } {
  const columns = newColumns(tools);
  const now = columns.created;
  const { state: first, ...fields } = draft;
  const bare = taskRuns.blank({
    ...fields,
    ...columns,
    id: draft.id ?? (draft.flow_run_id ? columns.id : idOfKeys(tools, draft)),
    name: draft.name || randomName(tools.random),
    tags: [...new Set(draft.tags)],
    labels,
    key_hash: draft.flow_run_id ? keyHash(draft) : null,
  });
  const proposed = newState(first ?? { type: "PENDING" }, now, tools.ids);
  const policy = proposed.state_details.deferred ? BackgroundTaskPolicy : MinimalTaskPolicy;
  const { state, changes, effects } = decideTaskRun(policy, taskRunContext(tools, bare, { now }), proposed);
  if (!state) throw new Error("a first state was refused");
  const effect = effects.find((one) => one.kind === "enqueue-task-run");
  const row = { ...bare, ...storedChanges(changes, taskPolicyForm), state_id: state.id, background: effect ? 1 : null };
  return {
    row: { ...row, states: JSON.stringify(shortStates([storedState(state)], row)) },
    queued: effect ? { state, isRetry: effect.retry } : null,
  };
}
