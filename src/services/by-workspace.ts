/** Sweeps look over all workspaces; what they found is worked on with the tools of its own. */
import type { Tools } from "#tools";

const AT_ONCE = 10;

/** Does the work for each workspace's share of the rows. What fails is logged, comes again with the next turn, and keeps nobody waiting. */
export async function byWorkspace<Row extends { workspace_id: string }>(
  tools: Tools,
  rows: readonly Row[],
  work: (tools: Tools, rows: readonly Row[]) => Promise<unknown>,
): Promise<void> {
  for (const [workspaceId, own] of Map.groupBy(rows, ({ workspace_id }) => workspace_id)) {
    await orLog(`in the workspace ${workspaceId}`, work({ ...tools, workspaceId }, own));
  }
}

/** Does the work for each run, some of them at a time, and fails like `byWorkspace`. */
export async function forEachRun<Row extends { workspace_id: string; id: string }>(
  tools: Tools,
  rows: readonly Row[],
  work: (tools: Tools, row: Row) => Promise<unknown>,
): Promise<void> {
  for (let from = 0; from < rows.length; from += AT_ONCE) {
    const some = rows.slice(from, from + AT_ONCE);
    await Promise.all(
      some.map((row) => orLog(`at the run ${row.id}`, work({ ...tools, workspaceId: row.workspace_id }, row))),
    );
  }
}

async function orLog(where: string, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    console.error(`a service failed ${where}`, error);
  }
}
