/**
 * The flow runs that this isolate last wrote, so that the next state of a run is decided without a read. The memory is small
 * and bounded, and may be lost. A remembered run serves for one try: the commit names the `updated` of the row on which it
 * was decided, and a refusal is decided again on what D1 has.
 */
import type { LoadedFlowRun } from "#orchestration/load-flow-run";

const MOST_RUNS = 1_000;
/** The bytes of all remembered runs together, of the 128 MB that an isolate has; and of one run. */
const MOST_BYTES = 16_000_000;
const MOST_BYTES_OF_ONE = 256_000;
/** How old the context of a run (names, limits) may be, in milliseconds. */
const MOST_AGE_MS = 30_000;

interface Kept {
  loaded: LoadedFlowRun;
  at: number;
  bytes: number;
}

const recent = new Map<string, Kept>();
let keptBytes = 0;
const keyOf = (workspaceId: string, id: string) => `${workspaceId}/${id}`;

/** Remembers a run that was just written, unless it is large. A subflow is not remembered: its parent's task run may change. */
export function remember(workspaceId: string, { row, parentTaskRun }: LoadedFlowRun): void {
  if (row.parent_task_run_id !== null) return;
  const key = keyOf(workspaceId, row.id);
  take(key);
  // These columns may be large, and no decision reads them.
  const slim = { ...row, parameters: "{}", context: "{}", job_variables: null };
  const bytes = bytesOf(slim);
  if (bytes > MOST_BYTES_OF_ONE) return;
  recent.set(key, { loaded: { row: slim, parentTaskRun }, at: Date.now(), bytes });
  keptBytes += bytes;
  for (const oldest of recent.keys()) {
    if (recent.size <= MOST_RUNS && keptBytes <= MOST_BYTES) return;
    take(oldest);
  }
}

/** Removes a run, and returns it. */
function take(key: string): Kept | undefined {
  const kept = recent.get(key);
  recent.delete(key);
  keptBytes -= kept?.bytes ?? 0;
  return kept;
}

/** The bytes of a row, roughly: two for each character of its texts, and some for each column. */
function bytesOf(row: object): number {
  return Object.values(row).reduce<number>(
    (sum, value) => sum + (typeof value === "string" ? 2 * value.length : 0) + 16,
    0,
  );
}

/** Forgets a run that is changed otherwise than by a state. Its next state is decided on what D1 has. */
export function forget(workspaceId: string, id: string): void {
  take(keyOf(workspaceId, id));
}

/** Forgets the runs of a deployment whose limit or switches have changed. */
export function forgetDeployment(workspaceId: string, deploymentId: string): void {
  for (const [key, { loaded }] of recent) {
    if (loaded.row.workspace_id === workspaceId && loaded.row.deployment_id === deploymentId) take(key);
  }
}

/** The run as this isolate last wrote it. The run is forgotten with this call. */
export function recall(workspaceId: string, id: string): LoadedFlowRun | undefined {
  const kept = take(keyOf(workspaceId, id));
  return kept && Date.now() - kept.at <= MOST_AGE_MS ? kept.loaded : undefined;
}
