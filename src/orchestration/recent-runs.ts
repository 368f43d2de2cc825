/**
 * Flow runs as this isolate last wrote them, so that the next state of a run can be decided without reading it first.
 * Small, bounded, safe to lose, and never trusted for more than a try: a commit names the row's `updated` that it was
 * decided on, and what would write nothing is decided again on what D1 has.
 */
import type { LoadedFlowRun } from "#orchestration/loaded";

const MOST_RUNS = 1_000;
/** Names and limits of what is around a run may be this old, in milliseconds. */
const MOST_AGE_MS = 30_000;

const recent = new Map<string, { loaded: LoadedFlowRun; at: number }>();
const keyOf = (workspaceId: string, id: string) => `${workspaceId}/${id}`;

/** Keeps a run as it was just written. Subflows are not kept: their parents' task runs change on their own. */
export function remember(workspaceId: string, { row, parentTaskRun }: LoadedFlowRun): void {
  if (row.parent_task_run_id !== null) return;
  const key = keyOf(workspaceId, row.id);
  recent.delete(key);
  // What no decision looks at is not kept, for it may be large.
  recent.set(key, {
    loaded: {
      row: { ...row, parameters: "{}", context: "{}", job_variables: null, s_data: row.s_data },
      parentTaskRun,
    },
    at: Date.now(),
  });
  if (recent.size <= MOST_RUNS) return;
  const [oldest] = recent.keys();
  if (oldest !== undefined) recent.delete(oldest);
}

/** Forgets a run that is changed by other means than a state; its next state is decided on what D1 has. */
export function forget(workspaceId: string, id: string): void {
  recent.delete(keyOf(workspaceId, id));
}

/** Forgets the runs of a deployment, whose limit or switches are another now. */
export function forgetDeployment(workspaceId: string, deploymentId: string): void {
  for (const [key, { loaded }] of recent) {
    if (loaded.row.workspace_id === workspaceId && loaded.row.deployment_id === deploymentId) recent.delete(key);
  }
}

/** The run as this isolate last wrote it, given out once. */
export function recall(workspaceId: string, id: string): LoadedFlowRun | undefined {
  const key = keyOf(workspaceId, id);
  const kept = recent.get(key);
  recent.delete(key);
  return kept && Date.now() - kept.at <= MOST_AGE_MS ? kept.loaded : undefined;
}
