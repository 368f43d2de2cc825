/** Memory of bytes that is given back at once. V8 itself frees it late: often only when there are 100 MB of it. */

/** Frees the memory of bytes that nobody needs any more, together with all other bytes that share it. All of them are empty afterwards. */
export function free({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}
