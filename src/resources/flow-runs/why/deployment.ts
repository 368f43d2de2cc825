/** The reasons about the deployment of a scheduled run, or about a missing deployment. */
import type { Micros } from "#lib/clock";
import { deletedDeploymentId, ofDeployment, reason } from "#resources/flow-runs/why/reason";
import { printOptionalTime, printTime } from "#wire/dates";

/** Prefect: a served deployment counts as polled for 60 s. Its column `last_polled` may be 30 s old. */
const SERVED_SILENCE: Micros = 90_000_000;

export const deletedDeployment = reason("deployment_deleted", {
  when: ({ row }) => {
    const deployment_id = deletedDeploymentId(row);
    return deployment_id === null ? null : { deployment_id };
  },
  sentence: () => "The deployment that the run was made from was deleted, and with it the way to its code.",
  next: (_, { row }) =>
    row.deployment_id !== null && row.q_id !== null
      ? { who: "worker", message: "The next worker that is offered it cancels it." }
      : { who: "nobody", message: "It cannot be started any more; it may be cancelled or deleted." },
});

export const ownProcess = reason("own_process", {
  when: ({ row }) =>
    row.deployment_id === null && row.origin_id === null && row.q_id === null && row.work_queue_name === null
      ? { parent_task_run_id: row.parent_task_run_id }
      : null,
  sentence: ({ parent_task_run_id }) =>
    parent_task_run_id === null
      ? "The run has no deployment and no work pool: only the process that made it can start it."
      : "The run is a subflow without a deployment: only its parent's process can start it.",
  since: (_, { row }) => printTime(row.created),
  next: () => ({ who: "process", message: "If that process is gone, nobody starts it." }),
});

export const noQueue = reason("no_work_queue", {
  when: ({ row }) => {
    const hadQueue = row.work_queue_name !== null || row.d_work_queue_id !== null;
    const isMissing = row.q_id === null && hadQueue && deletedDeploymentId(row) === null;
    return isMissing ? { work_queue_name: row.work_queue_name } : null;
  },
  sentence: (_, { row }) =>
    row.d_work_queue_id === null
      ? "The work pool or queue that the run was in was deleted, so no worker is offered it."
      : "The run is in no work queue, although its deployment is, so no worker is offered it.",
  next: () => ({ who: "somebody", message: "Make a new run of the deployment." }),
});

export const unpolledDeployment = reason("deployment_not_polled", {
  when: ({ row, now }) => {
    const deployment = ofDeployment(row);
    if (!deployment || row.q_id !== null || row.d_work_queue_id !== null || row.work_queue_name !== null) return null;
    const at = row.d_last_polled;
    if (at !== null && now - at < SERVED_SILENCE) return null;
    return { ...deployment, last_polled: printOptionalTime(at) };
  },
  sentence: ({ deployment_name }) =>
    `The deployment "${deployment_name}" is in no work pool, and no process serves it.`,
  since: ({ last_polled }) => last_polled,
  next: () => ({ who: "somebody", message: "Start the process that serves the deployment (flow.serve)." }),
});

export const pausedDeployment = reason("deployment_paused", {
  when: ({ row }) => (row.d_paused === 1 ? ofDeployment(row) : null),
  sentence: ({ deployment_name }) =>
    `The deployment "${deployment_name}" is paused: its schedules make no runs. This run is there already and may be started.`,
  next: () => ({ who: "somebody", message: "Resume the deployment to have its schedules make runs." }),
});

export const inactiveSchedule = reason("schedule_inactive", {
  when: ({ row }) => {
    const deployment = ofDeployment(row);
    if (!deployment || row.h_id === null || row.h_active === 1) return null;
    return { ...deployment, schedule_id: row.h_id, slug: row.h_slug };
  },
  sentence: () =>
    "The schedule that made this run is not active and makes no more. This run is there already and may be started.",
  next: () => ({ who: "somebody", message: "Activate the schedule to have it make runs." }),
});
