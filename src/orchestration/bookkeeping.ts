/** The bookkeeping: the changes that each written state makes to the columns of its run, whatever the rules decided. Pure. */
import { knowsPauses } from "#orchestration/predicates";
import {
  type FlowRunContext,
  HOLDING_STATES,
  type RunContext,
  statesOf,
  type TaskRunContext,
  type Transform,
} from "#orchestration/transition";
import { isTerminal } from "#wire/state";

/** The states in which a task run keeps the slots of its tags' limits. */
const TASK_RUN_HOLDING_STATES = statesOf("RUNNING", "CANCELLING");

/** The transforms that flow runs and task runs share. */
const COMMON_TRANSFORMS: Readonly<Record<string, Transform<RunContext>>> = {
  SetRunStateType: (_context, { type }) => ({ changes: { state_type: type } }),
  SetRunStateName: (_context, { name }) => ({ changes: { state_name: name } }),
  SetRunStateTimestamp: (_context, { timestamp }) => ({ changes: { state_timestamp: timestamp } }),
  // A run starts when it is RUNNING for the first time.
  SetStartTime({ run }, { type, timestamp }) {
    return type === "RUNNING" && run.start_time === null ? { changes: { start_time: timestamp } } : undefined;
  },
  // A run ends with its first terminal state. A run that leaves a terminal state has no end time. A run that ends
  // before it was RUNNING starts at its end.
  SetEndTime({ initial, run }, proposed) {
    if (!isTerminal(proposed)) return initial && isTerminal(initial) ? { changes: { end_time: null } } : undefined;
    if (run.end_time !== null) return undefined;
    return { changes: { start_time: run.start_time ?? proposed.timestamp, end_time: proposed.timestamp } };
  },
  // The total run time is the sum of the times that the run was RUNNING.
  IncrementRunTime({ initial, run }, { timestamp }) {
    if (initial?.type !== "RUNNING") return undefined;
    // The clocks of two machines may differ. The total never becomes smaller.
    const ranFor = Math.max(0, timestamp - initial.timestamp);
    return { changes: { total_run_time: run.total_run_time + ranFor } };
  },
  // The expected start time is the scheduled time of the first state, or else the time of the first state.
  SetExpectedStartTime({ run }, { type, timestamp, state_details }) {
    if (run.expected_start_time !== null) return undefined;
    const scheduledTime = type === "SCHEDULED" ? state_details.scheduled_time : undefined;
    return { changes: { expected_start_time: scheduledTime ?? timestamp } };
  },
  // Only a SCHEDULED run has a next scheduled start time.
  SetNextScheduledStartTime({ initial }, { type, timestamp, state_details }) {
    if (type === "SCHEDULED") {
      return { changes: { next_scheduled_start_time: state_details.scheduled_time ?? timestamp } };
    }
    return initial?.type === "SCHEDULED" ? { changes: { next_scheduled_start_time: null } } : undefined;
  },
};

/** The bookkeeping for each written state of a flow run, forced or not. The names and their order are the original's. */
export const FLOW_RUN_TRANSFORMS = Object.values<Transform<FlowRunContext>>({
  // The states of a flow run have different timestamps. If the proposed timestamp is taken, the state gets the next free microsecond.
  EnsureFlowRunStateTimestampIsUnique({ takenTimestamps }, { timestamp: proposed }) {
    let timestamp = proposed;
    while (takenTimestamps.includes(timestamp)) timestamp += 1;
    return { timestamp };
  },
  ...COMMON_TRANSFORMS,
  // The state of a flow run names the flow run.
  UpdateStateDetails: ({ run }) => ({ details: { flow_run_id: run.id } }),
  // The parent's task run of a subflow gets the state of the subflow.
  UpdateSubflowParentTask({ run }, { type, name, message, data, state_details }) {
    if (!run.parent_task_run_id) return undefined;
    const details = { ...state_details, child_flow_run_id: run.id };
    const state = { type, name, message, data, state_details: details };
    return { effects: [{ kind: "update-parent-task-run", task_run_id: run.parent_task_run_id, state }] };
  },
  // The state of a subflow names the parent's task run.
  UpdateSubflowStateDetails({ run }) {
    return run.parent_task_run_id ? { details: { task_run_id: run.parent_task_run_id } } : undefined;
  },
  // A flow run counts its starts. A run that resumes does not start.
  IncrementFlowRunCount(context, { type }) {
    const { run } = context;
    const isResuming = knowsPauses(context) && run.empirical_policy.resuming;
    return type === "RUNNING" && !isResuming ? { changes: { run_count: run.run_count + 1 } } : undefined;
  },
  // A flow run that becomes RUNNING or terminal is no longer resuming.
  RemoveResumingIndicator(context, proposed) {
    const { empirical_policy } = context.run;
    if (!knowsPauses(context) || !empirical_policy.resuming) return undefined;
    if (proposed.type !== "RUNNING" && !isTerminal(proposed)) return undefined;
    return { changes: { empirical_policy: { ...empirical_policy, resuming: false } } };
  },
  // A flow run that leaves PENDING, RUNNING and CANCELLING gives back the slot of its deployment's limit.
  ReleaseFlowConcurrencySlots({ initial }, { type, name }, status) {
    const leaseId = initial?.state_details.deployment_concurrency_lease_id;
    if (!leaseId || !HOLDING_STATES.has(initial.type) || HOLDING_STATES.has(type)) return undefined;
    // If RetryFailedFlows made the run AwaitingRetry, the run's process continues to renew the lease.
    if (type === "SCHEDULED" && name === "AwaitingRetry" && status === "REJECT") return undefined;
    return { effects: [{ kind: "release-slot", lease_id: leaseId }] };
  },
});

/** The bookkeeping for each written state of a task run, forced or not. The names and their order are the original's. */
export const TASK_RUN_TRANSFORMS = Object.values<Transform<TaskRunContext>>({
  ...COMMON_TRANSFORMS,
  // The state of a task run names the task run and its flow run.
  UpdateStateDetails: ({ run }) => ({ details: { flow_run_id: run.flow_run_id, task_run_id: run.id } }),
  // A task run counts its starts.
  IncrementTaskRunCount({ run }, { type }) {
    return type === "RUNNING" ? { changes: { run_count: run.run_count + 1 } } : undefined;
  },
  // A task run that is neither RUNNING nor CANCELLING gives back the slots of its tags' limits.
  ReleaseTaskConcurrencySlots({ initial, run: { tags } }, { type }) {
    if (!initial || tags.length === 0 || TASK_RUN_HOLDING_STATES.has(type)) return undefined;
    return { effects: [{ kind: "release-tag-slots", tags }] };
  },
});
