/** How large a text is where bytes are counted: in D1's values, and in what travels. */

const encoder = new TextEncoder();

/** The bytes of a text in UTF-8. */
export function byteLength(text: string): number {
  return encoder.encode(text).byteLength;
}
