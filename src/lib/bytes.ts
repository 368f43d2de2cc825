/** Texts as bytes: as UTF-8, in which D1 counts values, and as base64. */
import { Buffer } from "node:buffer";

/** The bytes of a text in UTF-8. They are counted, not made: a copy would wait in memory until it is collected. */
export function byteLength(text: string): number {
  return Buffer.byteLength(text);
}

/** Decodes base64 of UTF-8. Throws where the text is no base64. */
export function decodeBase64(text: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(text), (char) => char.charCodeAt(0)));
}
