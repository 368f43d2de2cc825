/** Keeps a commit whose outcome is unknown from being written after the answer that it was not written. */
import { sql } from "drizzle-orm";
import { isPassing } from "#db/database";
import type { flow_run } from "#db/tables/flow-run";
import type { task_run } from "#db/tables/task-run";
import type { Micros } from "#lib/clock";
import type { Tools } from "#tools";

/** The columns of a run's row that a commit names. */
export interface ReadRow {
  id: string;
  state_id: string | null;
  updated: Micros;
}

/**
 * Changes a run's `updated`, so that D1 can no longer write a commit that names the row as it was read. Returns false where
 * that is not certain: the row has changed since it was read, perhaps by such a commit, or D1 failed again. Then the row must
 * be read again.
 */
export async function shutOut(
  tools: Tools,
  table: typeof flow_run | typeof task_run,
  { id, state_id: stateId, updated }: ReadRow,
): Promise<boolean> {
  try {
    const { changes } = await tools.db.run(sql`update ${table} set updated = ${Math.max(tools.clock(), updated + 1)}
      where workspace_id = ${tools.workspaceId} and id = ${id} and state_id is ${stateId} and updated = ${updated}`);
    return changes > 0;
  } catch (error) {
    if (!isPassing(error)) throw error;
    return false;
  }
}
