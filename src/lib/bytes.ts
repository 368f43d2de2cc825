/** How large a text is where bytes are counted: in D1's values, and in what travels. */
import { Buffer } from "node:buffer";

/** The bytes of a text in UTF-8. They are counted, not made: a copy would wait in memory until it is collected. */
export function byteLength(text: string): number {
  return Buffer.byteLength(text);
}
