/** AES-256-GCM of texts. A value that was moved to another place cannot be opened: its place is additional data. */
import { Buffer } from "node:buffer";

const NONCE_BYTES = 12;
export const KEY_BYTES = 32;

/** The bytes of a key as a key. */
export function importKey(bytes: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** Encrypts bytes with a random nonce. Gives the nonce and the encrypted bytes in base64. */
export async function encrypt(key: CryptoKey, bytes: Uint8Array, place: readonly unknown[]): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: textOf(place) }, key, bytes);
  return Buffer.concat([iv, new Uint8Array(sealed)]).toString("base64");
}

/** Decrypts what `encrypt` gave for the same place. Throws if the key, the place or a byte is another one. */
export async function decrypt(key: CryptoKey, sealed: string, place: readonly unknown[]): Promise<Uint8Array> {
  const bytes = Uint8Array.from(Buffer.from(sealed, "base64"));
  const iv = bytes.subarray(0, NONCE_BYTES);
  const algorithm = { name: "AES-GCM", iv, additionalData: textOf(place) };
  return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, bytes.subarray(NONCE_BYTES)));
}

const textOf = (place: readonly unknown[]) => new TextEncoder().encode(JSON.stringify(place));
