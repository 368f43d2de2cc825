/**
 * Encrypts the secrets of block documents anew after `npm run rotate-key` (docs/secrets.md): each workspace gets a new
 * key, the values are encrypted with it, and the old key is removed when no value names it.
 */
import { type SQL, sql } from "drizzle-orm";
import { isNewestKey, newestKeyOf } from "#db/rows/data-keys";
import { asList, list } from "#db/sql";
import { block_document } from "#db/tables/block";
import { data_key } from "#db/tables/data-key";
import { isOutage } from "#events/dead-letters";
import { chunksBySize } from "#lib/chunks";
import { log } from "#lib/log";
import { openSecrets, sealSecrets } from "#resources/block-documents/sealed";
import { forgetKeys, newestKey } from "#secrets/data-keys";
import { rotateDataKeys } from "#secrets/rotate-data-keys";
import { wrappingKeys } from "#secrets/wrapping";
import { type Page, type Place, takeRound } from "#services/retention-rounds";
import { isFirstOfHour } from "#services/turns";
import type { SweepTools, Tools } from "#tools";

/** How many documents a page looks at, and how many pages a turn has. */
const ITEMS = 200;
const PAGES = 20;
/** How many bytes of encrypted secrets a page reads, or one larger document. */
const MAX_BYTES = 1_000_000;
const DAY_SECONDS = 86_400;

interface Sealed {
  id: string;
  secrets: string;
}

/**
 * Takes a turn. A round begins when the keys of the deployment change; if only one is left, at the next full hour. It is
 * repeated each day, for values that could not be decrypted. Between rounds, a turn reads the round's mark and, if there
 * are several keys of the deployment, seeks keys of workspaces under the older ones.
 */
export async function renewSecrets(tools: SweepTools): Promise<void> {
  if (tools.settings.secretsKeys.length === 0) return;
  if ((await rotateDataKeys(tools, WORKSPACES)) === WORKSPACES) return;
  const keys = await wrappingKeys(tools.settings);
  await takeRound(tools, {
    name: "secrets anew",
    cause: keys.map(({ id }) => id).join(","),
    everySeconds: DAY_SECONDS,
    mayBegin: keys.length > 1 || isFirstOfHour(tools.clock()),
    pages: PAGES,
    items: ITEMS,
    table: data_key,
    hasWork: () => sql`(select count(*) from ${data_key} k where k.workspace_id = w.id) > 1`,
    isOutage,
    work: renewPage,
  });
}

/** How many workspaces get a new key in a turn. The round begins when all have theirs. */
const WORKSPACES = 100;

/** Encrypts the next documents of a workspace anew. After the last one, removes the keys that nothing names. */
async function renewPage(tools: Tools, { after, most }: Page): Promise<Place | null> {
  const limit = Math.max(1, most);
  if (after === null) forgetKeys(tools);
  const looked = await tools.db.rows<{ id: string; bytes: number }>(
    selectNext(tools.workspaceId, after?.id ?? "", limit),
  );
  const [part = []] = chunksBySize(looked, MAX_BYTES, ({ bytes }) => bytes);
  const old = part.filter(({ bytes }) => bytes > 0).map(({ id }) => id);
  if (most > 0 && old.length > 0) await renew(tools, old);
  const last = part.at(-1);
  if (last && (part.length < looked.length || looked.length === limit)) return { at: 0, id: last.id };
  await removeUnused(tools);
  return null;
}

/** The next documents in the order of their ids, with the size of their secrets; 0 if no secret names an older key. */
export function selectNext(workspaceId: string, after: string, most: number): SQL {
  const namesOther = sql`exists (select 1 from json_each(${asList(sql`d.secrets`)}) s
    where s.value ->> '$.key' <> ${newestKeyOf(workspaceId)})`;
  return sql`select d.id, iif(${namesOther}, octet_length(d.secrets), 0) as bytes from ${block_document} d
    where d.workspace_id = ${workspaceId} and d.id > ${after} order by d.id limit ${most}`;
}

async function renew(tools: Tools, ids: readonly string[]): Promise<void> {
  const { db, workspaceId } = tools;
  // If it cannot be decrypted, no document can be encrypted anew.
  await newestKey(tools);
  const rows = await db.rows<Sealed>(
    sql`select id, secrets from ${block_document} where workspace_id = ${workspaceId} and id in ${list(ids)}`,
  );
  for (const row of rows) {
    const sealed = await sealAnew(tools, row);
    // A document that a request has changed meanwhile has its values under the newest key already.
    if (sealed)
      await db.run(sql`update ${block_document} set secrets = ${sealed.secrets} where workspace_id = ${workspaceId}
        and id = ${row.id} and secrets = ${row.secrets} and ${isNewestKey(workspaceId, sealed.keyId)}`);
  }
}

/** The secrets of a document under the newest key; null if they cannot be decrypted. */
async function sealAnew(tools: Tools, row: Sealed) {
  try {
    return await sealSecrets(tools, row.id, await openSecrets(tools, row));
  } catch (error) {
    if (isOutage(error)) throw error;
    log(tools, "error", "the secrets of a block document cannot be encrypted anew", { document: row.id, error });
    return null;
  }
}

/** Removes the older keys that no document names. One statement, so no document can begin to name one meanwhile. */
async function removeUnused(tools: Tools): Promise<void> {
  await tools.db.run(removeUnusedKeys(tools.workspaceId));
  forgetKeys(tools);
}

/** Reads the secrets of all documents of the workspace. */
export function removeUnusedKeys(workspaceId: string): SQL {
  return sql`delete from ${data_key} where workspace_id = ${workspaceId} and id <> ${newestKeyOf(workspaceId)}
    and not exists (select 1 from ${block_document} d
      where d.workspace_id = ${workspaceId} and instr(d.secrets, data_key.id) > 0)`;
}
