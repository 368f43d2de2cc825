/** Rows of concurrency limits, as several stores write and show them. */
import { codec } from "#db/codec";
import { concurrency_limit } from "#db/tables/concurrency-limit";

/** A limit's definition. */
export type LimitRow = typeof concurrency_limit.$inferSelect;

/** Shows, makes and changes rows of limits. */
export const limits = codec(concurrency_limit, {
  omit: ["workspace_id", "avg_slot_occupancy_seconds"],
  // Prefect: `avg_slot_occupancy_seconds` of a new limit.
  preset: { avg_slot_occupancy_seconds: 2 },
});
