/** Texts as bytes: UTF-8, in which D1 counts values, and base64. */
import { Buffer } from "node:buffer";

/** The number of UTF-8 bytes of a text. The bytes are counted without a copy, because a copy would stay in memory until the garbage collection. */
export function byteLength(text: string): number {
  return Buffer.byteLength(text);
}

/** Decodes base64 of UTF-8. Throws if the text is not base64. */
export function decodeBase64(text: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(text), (char) => char.charCodeAt(0)));
}
