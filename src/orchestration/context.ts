/** The context of a run: all data that the rules see. It is made from the run's row, the client and the time. */
import { readJson, readOptionalJson } from "#db/database";
import { flowPolicyForm, taskPolicyForm } from "#db/short/policy";
import { presentState } from "#db/short/states";
import type { FlowRunRow } from "#db/rows/flow-runs";
import type { TaskRunRow } from "#db/rows/task-runs";
import type { LoadedRow } from "#orchestration/load-flow-run";
import type { FlowRunContext, RunContext, RunDeployment, TaskRunContext } from "#orchestration/transition";
import type { Tools } from "#tools";
import { readReliability } from "#wire/deployments";
import type { StateType } from "#wire/state";

/** Optional values for both kinds of run: the time (default: the clock's) and the id of the lease that a rule may take. */
type Given = Partial<Pick<RunContext, "now" | "leaseId">>;

/** The context of a flow run. By default the run has no state and no deployment, like a new run. */
export function flowRunContext(
  tools: Tools,
  row: FlowRunRow,
  { initial = null, deployment = null, ...given }: Given & Partial<Pick<FlowRunContext, "initial" | "deployment">> = {},
): FlowRunContext {
  return {
    ...contextOfEither(tools, given),
    run: {
      ...row,
      state_type: row.state_type as StateType | null,
      empirical_policy: flowPolicyForm.read(row.empirical_policy),
    },
    initial,
    deployment,
    takenTimestamps: initial ? [initial.timestamp] : [],
    slot: null,
  };
}

/** The context of a task run. By default the enclosing flow run and the cache are left out, because forced states need neither. */
export function taskRunContext(
  tools: Tools,
  row: TaskRunRow,
  { flowRun = null, cached = null, ...given }: Given & Partial<Pick<TaskRunContext, "flowRun" | "cached">> = {},
): TaskRunContext {
  return {
    ...contextOfEither(tools, given),
    run: {
      ...row,
      state_type: row.state_type as StateType | null,
      tags: readJson<string[]>(row.tags),
      empirical_policy: taskPolicyForm.read(row.empirical_policy),
    },
    initial: presentState(row),
    flowRun,
    cached,
    slots: null,
  };
}

function contextOfEither(
  { clock, ids, client, random }: Tools,
  { now = clock(), leaseId = "" }: Given,
): Omit<RunContext, "run" | "initial"> {
  return { now, ids, leaseId, apiVersion: client.apiVersion, clientVersion: client.version, random };
}

/** Prefect: `initial_deployment_lease_duration`. */
const GRACE_PERIOD_SECONDS = 300;

/** The deployment as rules see it; null for a run without a deployment. */
export function deploymentOf(row: LoadedRow): RunDeployment | null {
  if (row.deployment_id === null || row.deployment_name === null) return null;
  const options = readOptionalJson<{
    collision_strategy?: "ENQUEUE" | "CANCEL_NEW";
    grace_period_seconds?: number | null;
  }>(row.concurrency_options);
  return {
    id: row.deployment_id,
    limit: row.limit_id === null || row.limit_slots === null ? null : { id: row.limit_id, slots: row.limit_slots },
    collision_strategy: options?.collision_strategy ?? "ENQUEUE",
    grace_period_seconds: options?.grace_period_seconds ?? GRACE_PERIOD_SECONDS,
    exactly_once: readReliability(row.reliability).exactly_once,
  };
}
