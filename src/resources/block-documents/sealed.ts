/** The stored form of the secret values of a document: each is encrypted on its own. */
import { readJson } from "#db/database";
import { parseJson, STORED_JSON_DEPTH } from "#lib/json";
import type { Path, Secret } from "#resources/block-documents/secrets";
import { decrypt, encrypt } from "#secrets/cipher";
import { keyWithId, newestKey } from "#secrets/data-keys";
import type { Tools } from "#tools";

/** An encrypted value. */
interface Sealed {
  path: (string | number)[];
  /** The id of the workspace's key. */
  key: string;
  /** The JSON of the value, encrypted. */
  value: string;
}

/** A value that is copied to another workspace, document or field cannot be decrypted. */
const placeOf = ({ workspaceId }: Tools, id: string, path: Path) => ["block document", workspaceId, id, path];

/** The encrypted secrets of a document. */
export interface SealedSecrets {
  /** The text of the column `secrets`. */
  secrets: string;
  /** The key of the workspace that encrypts them, or null. The write must have the condition `isNewestKey`. */
  keyId: string | null;
}

/** Encrypts the secrets of a document with the newest key of the workspace. `id` is the id of the document. */
export async function sealSecrets(tools: Tools, id: string, secrets: readonly Secret[]): Promise<SealedSecrets> {
  if (secrets.length === 0) return { secrets: "[]", keyId: null };
  const { id: keyId, key } = await newestKey(tools);
  const sealed = secrets.map(async ({ path, value }) => {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    return { path: [...path], key: keyId, value: await encrypt(key, bytes, placeOf(tools, id, path)) };
  });
  return { secrets: JSON.stringify((await Promise.all(sealed)) satisfies Sealed[]), keyId };
}

/** The secret values of a row. Throws 503 if the key of one is missing. */
export function openSecrets(tools: Tools, row: { id: string; secrets: string }): Promise<Secret[]> {
  const sealed = readJson<unknown>(row.secrets);
  // A text that cannot be read is an empty value of any kind.
  return Promise.all(
    (Array.isArray(sealed) ? (sealed as Sealed[]) : []).map(async ({ path, key: keyId, value }) => {
      const { key } = await keyWithId(tools, keyId);
      const bytes = await decrypt(key, value, placeOf(tools, row.id, path));
      return { path, value: parseJson(new TextDecoder().decode(bytes), STORED_JSON_DEPTH) };
    }),
  );
}
