/** The keys of workspaces, as statements of several layers see them. */
import { type SQL, sql } from "drizzle-orm";
import { data_key } from "#db/tables/data-key";

/** The id of the newest key of a workspace: the key that encrypts. `workspaceId` is a value or a column. */
export const newestKeyOf = (workspaceId: string | SQL): SQL =>
  sql`(select k.id from ${data_key} k where k.workspace_id = ${workspaceId} order by k.created desc, k.id desc limit 1)`;

/**
 * Whether a key is the newest of its workspace. Each write of encrypted values has this condition, so no value is
 * encrypted with a key that has been replaced, and that may be removed. Null means that nothing is encrypted.
 */
export const isNewestKey = (workspaceId: string, id: string | null): SQL =>
  id === null ? sql`true` : sql`${id} = ${newestKeyOf(workspaceId)}`;
