/**
 * Flow runs as this isolate last wrote them, so that the next state of a run can be decided without reading it first.
 * Small, bounded, safe to lose, and never trusted for more than a try: a commit names the row's `updated` that it was
 * decided on, and what would write nothing is decided again on what D1 has.
 */
import type { LoadedFlowRun } from "#orchestration/load-flow-run";

const MOST_RUNS = 1_000;
/** How much all kept runs have together, of the 128 MB that an isolate has; and how much one has that is kept. */
const MOST_BYTES = 16_000_000;
const MOST_BYTES_OF_ONE = 256_000;
/** Names and limits of what is around a run may be this old, in milliseconds. */
const MOST_AGE_MS = 30_000;

interface Kept {
  loaded: LoadedFlowRun;
  at: number;
  bytes: number;
}

const recent = new Map<string, Kept>();
let keptBytes = 0;
const keyOf = (workspaceId: string, id: string) => `${workspaceId}/${id}`;

/** Keeps a run as it was just written, unless it is large. Subflows are not kept: their parents' task runs change on their own. */
export function remember(workspaceId: string, { row, parentTaskRun }: LoadedFlowRun): void {
  if (row.parent_task_run_id !== null) return;
  const key = keyOf(workspaceId, row.id);
  take(key);
  // What no decision looks at is not kept, for it may be large.
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

/** Takes a run out. */
function take(key: string): Kept | undefined {
  const kept = recent.get(key);
  recent.delete(key);
  keptBytes -= kept?.bytes ?? 0;
  return kept;
}

/** About how much memory a row takes: its texts, with two bytes a character, and some for each field. */
function bytesOf(row: object): number {
  return Object.values(row).reduce<number>(
    (sum, value) => sum + (typeof value === "string" ? 2 * value.length : 0) + 16,
    0,
  );
}

/** Forgets a run that is changed by other means than a state; its next state is decided on what D1 has. */
export function forget(workspaceId: string, id: string): void {
  take(keyOf(workspaceId, id));
}

/** Forgets the runs of a deployment, whose limit or switches are another now. */
export function forgetDeployment(workspaceId: string, deploymentId: string): void {
  for (const [key, { loaded }] of recent) {
    if (loaded.row.workspace_id === workspaceId && loaded.row.deployment_id === deploymentId) take(key);
  }
}

/** The run as this isolate last wrote it, given out once. */
export function recall(workspaceId: string, id: string): LoadedFlowRun | undefined {
  const kept = take(keyOf(workspaceId, id));
  return kept && Date.now() - kept.at <= MOST_AGE_MS ? kept.loaded : undefined;
}
