/** The columns that every new row of a thing has. */
import type { Clock, Ids } from "#lib/clock";

/** The workspace, a new id, and the present time as the time of creation and of the last change. */
export function newColumns({ workspaceId, ids, clock }: { workspaceId: string; ids: Ids; clock: Clock }) {
  const now = clock();
  return { workspace_id: workspaceId, id: ids.random(), created: now, updated: now };
}
