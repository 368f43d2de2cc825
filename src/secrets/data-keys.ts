/** The keys of a workspace. An isolate remembers keys that it has decrypted. */
import { sql } from "drizzle-orm";
import { data_key } from "#db/tables/data-key";
import { ApiError, unavailable } from "#lib/api-error";
import { log } from "#lib/log";
import { importKey, KEY_BYTES } from "#secrets/cipher";
import { unwrap, wrap, type WrappingKey, wrappingKeys } from "#secrets/wrapping";
import type { Tools } from "#tools";

/** A key of a workspace. */
export interface DataKey {
  id: string;
  key: CryptoKey;
}

type Row = typeof data_key.$inferSelect;
type Needed = Pick<Tools, "db" | "dbName" | "workspaceId" | "settings" | "ids" | "clock">;

/** A row with its key. The key is null if this server cannot decrypt it. */
interface Opened extends Row {
  key: CryptoKey | null;
}

/** How many workspaces an isolate remembers. */
const MAX_REMEMBERED = 200;
/** The keys of workspaces, the newest first. */
const remembered = new Map<string, readonly Opened[]>();

/**
 * The key that encrypts: the newest one. A workspace gets its first key here. Another process may add a newer key at any
 * time, so a write that uses the key must have the condition `isNewestKey`.
 */
export async function newestKey(tools: Needed): Promise<DataKey> {
  const [known] = await keysOf(tools);
  if (known?.key) return usable(known);
  const [present] = await readKeys(tools);
  return usable(present ?? (await addFirstKey(tools))[0]);
}

/** The key with this id. Throws 503 if it is gone or cannot be decrypted. */
export async function keyWithId(tools: Needed, id: string): Promise<DataKey> {
  const find = (keys: readonly Opened[]) => keys.find((key) => key.id === id);
  const known = find(await keysOf(tools));
  // Another process may have added the key, or encrypted it with another key of the deployment.
  return usable(known?.key ? known : find(await readKeys(tools)));
}

/** Forgets the keys of a workspace. A process that finds that they have changed reads them again. */
export function forgetKeys(tools: Needed): void {
  remembered.delete(nameOf(tools));
}

function usable(row: Opened | undefined): DataKey {
  if (!row) throw unavailable("The key of a secret was replaced in this moment, or is no longer in the database.", 1);
  if (row.key) return { id: row.id, key: row.key };
  throw new ApiError(503, {
    exception_message:
      `This server cannot decrypt the secrets of the workspace: they need the SLUICE_SECRETS_KEY with the id ` +
      `${row.wrapped_by}, and it has another one. Set that key beside the present one; see docs/secrets.md.`,
  });
}

/** Adds the first key of a workspace, unless another process has added it. Gives the keys. */
async function addFirstKey(tools: Needed): Promise<readonly Opened[]> {
  const { db, workspaceId, ids, clock } = tools;
  const [by] = await wrappingKeys(tools.settings);
  if (!by) throw new Error("there is no key of the deployment");
  const { id, wrapped } = await makeKey(by, workspaceId, ids);
  await db.repeatable([
    sql`insert into ${data_key} (workspace_id, id, created, wrapped, wrapped_by)
      select ${workspaceId}, ${id}, ${clock()}, ${wrapped}, ${by.id}
      where not exists (select 1 from ${data_key} where workspace_id = ${workspaceId})`,
  ]);
  return readKeys(tools);
}

/** A new key of a workspace, encrypted. */
export async function makeKey(
  by: WrappingKey,
  workspaceId: string,
  ids: Pick<Tools["ids"], "random">,
): Promise<{ id: string; wrapped: string }> {
  const id = ids.random();
  return { id, wrapped: await wrap(by, crypto.getRandomValues(new Uint8Array(KEY_BYTES)), workspaceId, id) };
}

async function keysOf(tools: Needed): Promise<readonly Opened[]> {
  return remembered.get(nameOf(tools)) ?? readKeys(tools);
}

const nameOf = ({ dbName, workspaceId, settings }: Needed) =>
  `${dbName}/${workspaceId}/${settings.secretsKeys.join(",")}`;

async function readKeys(tools: Needed): Promise<readonly Opened[]> {
  const { db, workspaceId } = tools;
  const by = await wrappingKeys(tools.settings);
  const rows = await db.rows<Row>(
    sql`select * from ${data_key} where workspace_id = ${workspaceId} order by created desc, id desc`,
  );
  const keys = await Promise.all(rows.map(async (row) => ({ ...row, key: await open(tools, row, by) })));
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  if (keys.length > 0) remembered.set(nameOf(tools), keys);
  return keys;
}

/** Decrypts a key; null if the key of the deployment is missing, or if the row is damaged. The other keys are still used. */
async function open(tools: Needed, row: Row, all: readonly WrappingKey[]): Promise<CryptoKey | null> {
  const about = { key: row.id, by: row.wrapped_by };
  const by = all.find(({ id }) => id === row.wrapped_by);
  if (!by) {
    log(tools, "error", "a key of the workspace needs another SLUICE_SECRETS_KEY", about);
    return null;
  }
  try {
    return await importKey(await unwrap(by, row.wrapped, row.workspace_id, row.id));
  } catch (error) {
    log(tools, "error", "a key of the workspace is damaged", { ...about, error });
    return null;
  }
}
