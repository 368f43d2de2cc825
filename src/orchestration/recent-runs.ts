/**
 * The flow runs that this isolate last wrote, so that the next state of a run is decided without a read. The memory is
 * small and bounded, and may be lost. A remembered run is used for one try: the commit names the `updated` of the row
 * on which it was decided, and a refusal is decided again on D1's row.
 */
import { keyOf, Recent } from "#lib/recent";
import type { LoadedFlowRun } from "#orchestration/load-flow-run";

const recent = new Recent<LoadedFlowRun>({
  items: 1_000,
  bytes: 16_000_000,
  bytesOfOne: 256_000,
  // How old the context of a run (names, limits) may be.
  ageMs: 30_000,
});

/** Remembers a run that was just written, unless it is large. A subflow is not remembered, because its parent's task run may change. */
export function remember(workspaceId: string, { row, parentTaskRun }: LoadedFlowRun): void {
  if (row.parent_task_run_id !== null) return;
  // These columns may be large, and no decision reads them.
  const slim = { ...row, parameters: "{}", context: "{}", job_variables: null };
  recent.put(keyOf(workspaceId, row.id), { row: slim, parentTaskRun }, [slim]);
}

/** Forgets a run that was changed in another way than by a state. Its next state is decided on D1's row. */
export function forget(workspaceId: string, id: string): void {
  recent.take(keyOf(workspaceId, id));
}

/** Forgets the runs of a deployment after a change of the deployment's limit or switches. */
export function forgetDeployment(workspaceId: string, deploymentId: string): void {
  recent.forget(({ row }) => row.workspace_id === workspaceId && row.deployment_id === deploymentId);
}

/** The run as this isolate last wrote it. This call also forgets the run. */
export function recall(workspaceId: string, id: string): LoadedFlowRun | undefined {
  return recent.take(keyOf(workspaceId, id));
}
