/** The cost of work: counted per request and since the start of the process, in the units that Cloudflare bills. */

const NOTHING = {
  requests: 0,
  d1_queries: 0,
  d1_round_trips: 0,
  d1_rows_read: 0,
  d1_rows_written: 0,
  object_calls: 0,
  object_rows_written: 0,
  queue_messages: 0,
  /** Writes and lists of R2's objects. */
  r2_class_a: 0,
  /** Reads of R2's objects. R2 does not bill deletions. */
  r2_class_b: 0,
};

/** Counts of used resources. */
export type Cost = typeof NOTHING;

/** A count of zero. */
export function noCost(): Cost {
  return { ...NOTHING };
}

/** The cost since this isolate started. The local server shows it. */
export const totalCost: Cost = noCost();

/** Adds to a request's count and to the total. */
export function spend(cost: Cost, used: Partial<Cost>): void {
  for (const [name, amount] of Object.entries(used) as [keyof Cost, number][]) {
    cost[name] += amount;
    if (cost !== totalCost) totalCost[name] += amount;
  }
}

/** The count as text for the reply header `x-sluice-cost`. */
export function printCost(cost: Cost): string {
  return [
    `queries=${cost.d1_queries}`,
    `round_trips=${cost.d1_round_trips}`,
    `rows_read=${cost.d1_rows_read}`,
    `rows_written=${cost.d1_rows_written}`,
    `objects=${cost.object_calls}`,
    `r2_class_a=${cost.r2_class_a}`,
    `r2_class_b=${cost.r2_class_b}`,
  ].join(";");
}
