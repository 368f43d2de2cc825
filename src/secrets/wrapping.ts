/**
 * The keys of the deployment (`SLUICE_SECRETS_KEY`), which encrypt the keys of workspaces. The first one encrypts, and
 * all decrypt, so a key can be replaced while the old one is still in use.
 */
import { Buffer } from "node:buffer";
import { ApiError } from "#lib/api-error";
import { decrypt, encrypt, importKey } from "#secrets/cipher";

/** A key of the deployment. Its id is made from the key and tells nothing about it. */
export interface WrappingKey {
  id: string;
  key: CryptoKey;
}

const ID_BYTES = 8;

/** The keys of a setting, made once per setting. */
const known = new Map<string, Promise<WrappingKey[]>>();

/** The keys of the deployment, the first one to encrypt. Throws 503 if there is none. */
export function wrappingKeys(settings: { secretsKeys: readonly string[] }): Promise<WrappingKey[]> {
  const { secretsKeys } = settings;
  if (secretsKeys.length === 0)
    throw new ApiError(503, {
      exception_message:
        "This server cannot store secrets: it has no SLUICE_SECRETS_KEY. `npm run deploy` makes one; see docs/secrets.md.",
    });
  const name = secretsKeys.join(",");
  const keys = known.get(name) ?? Promise.all(secretsKeys.map(readKey));
  known.clear();
  known.set(name, keys);
  return keys;
}

async function readKey(text: string): Promise<WrappingKey> {
  const bytes = Uint8Array.from(Buffer.from(text, "base64"));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`sluice wrapping key ${text}`));
  return { id: Buffer.from(digest).subarray(0, ID_BYTES).toString("hex"), key: await importKey(bytes) };
}

const placeOf = (workspaceId: string, id: string) => ["data key", workspaceId, id];

/** Encrypts the key of a workspace. */
export function wrap(by: WrappingKey, bytes: Uint8Array, workspaceId: string, id: string): Promise<string> {
  return encrypt(by.key, bytes, placeOf(workspaceId, id));
}

/** Decrypts the key of a workspace. */
export function unwrap(by: WrappingKey, wrapped: string, workspaceId: string, id: string): Promise<Uint8Array> {
  return decrypt(by.key, wrapped, placeOf(workspaceId, id));
}
