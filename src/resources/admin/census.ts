/** The rows and the bytes of each kind of data, as the clock last counted them (`services/census.ts`). */
import * as z from "zod";
import { namedObject } from "#wire/named";
import { printTime, TimeText } from "#wire/dates";

/** The name of the count's mark in `sweep_mark`. */
export const CENSUS = "census";

/** The kinds of data that use much space. All other tables are `other`. */
const LARGE = ["flow_runs", "task_runs", "events", "logs"] as const;
const Kind = z.enum([...LARGE, "other"]);
export type Kind = z.output<typeof Kind>;

/** Rows, and their estimated bytes. */
const Sums = z.object({ rows: z.number(), bytes: z.number() });
export const SumsByKind = z.record(Kind, Sums);
export type SumsByKind = z.output<typeof SumsByKind>;

/** A count that has ended. */
export const Counted = z.object({ begun: z.number(), ended: z.number(), size: z.number(), sums: SumsByKind });
export type Counted = z.output<typeof Counted>;

/** The state of the count, which the mark keeps. */
export const Census = z.object({
  begun: z.number(),
  /** The table that is counted, and the key of its last counted row; null if the count has ended. */
  cursor: z.object({ table: z.string(), after: z.array(z.union([z.string(), z.number()])).nullable() }).nullable(),
  /** What was counted up to the cursor. */
  sums: SumsByKind,
  /** The newest count that has ended. */
  last: Counted.nullable(),
});
export type Census = z.output<typeof Census>;

/** The count before the first row. */
export const nothingCounted = (): SumsByKind => {
  const none = () => ({ rows: 0, bytes: 0 });
  return { flow_runs: none(), task_runs: none(), events: none(), logs: none(), other: none() };
};

/** Reads the mark; undefined if there is none, or if another version of the server wrote it. */
export function readCensus(mark: string | null | undefined): Census | undefined {
  if (!mark) return undefined;
  try {
    return Census.safeParse(JSON.parse(mark)).data;
  } catch {
    // A mark that is not JSON is ignored, and the next count replaces it.
    return undefined;
  }
}

const DataSize = namedObject("DataSize", { rows: z.int(), bytes: z.int() });

/** The rows and bytes of each kind. The bytes of all kinds together are `size_bytes`, the size when the count ended. */
export const StoredData = namedObject("StoredData", {
  counted_since: TimeText,
  counted_at: TimeText,
  size_bytes: z.int(),
  flow_runs: DataSize,
  task_runs: DataSize,
  events: DataSize,
  logs: DataSize,
  other: DataSize,
});
type StoredData = z.output<typeof StoredData>;

/** An estimate is at most this much too small. What is missing beyond that is in pages of other tables, or of none. */
const MAX_SCALE = 1.25;

/** Prints a count. The estimates are scaled to the size that the database really had. */
export function printCounted({ begun, ended, size, sums }: Counted): StoredData {
  const estimated = Object.values(sums).reduce((sum, { bytes }) => sum + bytes, 0);
  const scale = Math.min(MAX_SCALE, estimated > 0 ? size / estimated : 0);
  const scaled = (kind: Kind) => ({ rows: sums[kind].rows, bytes: Math.floor(sums[kind].bytes * scale) });
  const large = {
    flow_runs: scaled("flow_runs"),
    task_runs: scaled("task_runs"),
    events: scaled("events"),
    logs: scaled("logs"),
  };
  const rest = size - Object.values(large).reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    counted_since: printTime(begun),
    counted_at: printTime(ended),
    size_bytes: size,
    ...large,
    other: { rows: sums.other.rows, bytes: rest },
  };
}
