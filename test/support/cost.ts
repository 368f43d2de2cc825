/** What a request cost, as its reply says when it was asked (`x-sluice-cost`). */

/** Rows of D1 that were read. */
export function rowsRead(headers: Headers): number {
  const read = /rows_read=(\d+)/.exec(headers.get("x-sluice-cost") ?? "")?.[1];
  if (read === undefined) throw new Error("the reply does not say what it cost");
  return Number(read);
}
