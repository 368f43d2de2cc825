/** The cost of a request, from its answer. */

/** The header that makes an answer include the cost of its request. */
export const TELL_COST = { "x-sluice-cost": "1" };

/** One number of the cost of a request that was sent with `TELL_COST`. */
export function costOf(
  headers: Headers,
  what: "queries" | "round_trips" | "rows_read" | "rows_written" | "r2_class_a" | "r2_class_b",
): number {
  const cost = new RegExp(`(?:^|;)${what}=(\\d+)`).exec(headers.get("x-sluice-cost") ?? "")?.[1];
  if (cost === undefined) throw new Error(`the answer does not say its ${what}`);
  return Number(cost);
}
