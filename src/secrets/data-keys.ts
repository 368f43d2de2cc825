/** The keys of a workspace. An isolate remembers keys that it has decrypted. */
import { sql } from "drizzle-orm";
import { data_key } from "#db/tables/data-key";
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

/** How many workspaces an isolate remembers. */
const MAX_REMEMBERED = 200;
/** The keys of workspaces, the newest first. */
const remembered = new Map<string, DataKey[]>();

/** The key that encrypts: the newest one. A workspace gets its first key here. */
export async function newestKey(tools: Needed): Promise<DataKey> {
  const [newest] = await keysOf(tools);
  return newest ?? addKey(tools);
}

/** The key with this id. Throws if it cannot be decrypted. */
export async function keyWithId(tools: Needed, id: string): Promise<DataKey> {
  const find = (keys: readonly DataKey[]) => keys.find((key) => key.id === id);
  // Another isolate may have added the key.
  const key = find(await keysOf(tools)) ?? find(await readKeys(tools));
  if (!key) throw new Error(`the key ${id} of the workspace cannot be read: is its SLUICE_SECRETS_KEY missing?`);
  return key;
}

/** Adds a key, with which new values are encrypted. The older keys stay for the values that they have encrypted. */
export async function addKey(tools: Needed): Promise<DataKey> {
  const { db, workspaceId, ids, clock } = tools;
  const [by] = await wrappingKeys(tools.settings);
  if (!by) throw new Error("there is no key of the deployment");
  const id = ids.random();
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  const wrapped = await wrap(by, bytes, workspaceId, id);
  await db.repeatable([
    sql`insert into ${data_key} (workspace_id, id, created, wrapped, wrapped_by)
      values (${workspaceId}, ${id}, ${clock()}, ${wrapped}, ${by.id}) on conflict do nothing`,
  ]);
  const [newest] = await readKeys(tools);
  return newest ?? { id, key: await importKey(bytes) };
}

async function keysOf(tools: Needed): Promise<readonly DataKey[]> {
  return remembered.get(nameOf(tools)) ?? readKeys(tools);
}

const nameOf = ({ dbName, workspaceId, settings }: Needed) =>
  `${dbName}/${workspaceId}/${settings.secretsKeys.join(",")}`;

async function readKeys(tools: Needed): Promise<readonly DataKey[]> {
  const { db, workspaceId } = tools;
  const rows = await db.rows<Row>(
    sql`select * from ${data_key} where workspace_id = ${workspaceId} order by created desc, id desc`,
  );
  const by = await wrappingKeys(tools.settings);
  const keys = (await Promise.all(rows.map((row) => open(tools, row, by)))).filter((key) => key !== null);
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  if (keys.length > 0) remembered.set(nameOf(tools), keys);
  return keys;
}

/** Decrypts a key; null if the key of the deployment is missing. */
async function open(tools: Needed, row: Row, all: readonly WrappingKey[]): Promise<DataKey | null> {
  const by = all.find(({ id }) => id === row.wrapped_by);
  if (!by) {
    log(tools, "error", "a key of the workspace needs another SLUICE_SECRETS_KEY", { key: row.id, by: row.wrapped_by });
    return null;
  }
  return { id: row.id, key: await importKey(await unwrap(by, row.wrapped, row.workspace_id, row.id)) };
}
