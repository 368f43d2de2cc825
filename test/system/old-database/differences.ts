/** The fields that depend on the present time or on the server, and the intended differences from the older code. */
import { parseExactly } from "./exact-json.ts";

type Fields = Record<string, unknown>;

interface Mask {
  field: string;
  /** In which objects the field is masked. */
  in?: (object: Fields) => boolean;
  reason: string;
}

const isAlive = ({ end_time: end }: Fields) => end === null;
const isOfWaitingReport = ({ task_key: key, name }: Fields) => key !== undefined && String(name).startsWith("waiting-");

const LATE_ROW = "The older code had not recorded the report. The row is made when the report is recorded.";

const MASKS: Mask[] = [
  { field: "estimated_run_time", in: isAlive, reason: "It grows while the run has not ended." },
  { field: "estimated_start_time_delta", in: isAlive, reason: "It grows while the run has not started." },
  { field: "next_page", reason: "It has the server's port, and a token that only the same code has to read." },
  { field: "created", in: isOfWaitingReport, reason: LATE_ROW },
  { field: "updated", in: isOfWaitingReport, reason: LATE_ROW },
];

interface Difference {
  /** The commits whose answers differ. */
  commits: string[];
  field: string;
  /** Gives the present value of the field. */
  change(value: Fields): Fields;
  reason: string;
}

const DIFFERENCES: Difference[] = [
  {
    commits: ["05277ef"],
    field: "global_concurrency_limit",
    change: (limit) => ({ ...limit, slot_decay_per_second: parseExactly("0.0") }),
    reason: "The original prints 0.0 for the decay of a deployment's limit. The older code printed 0.",
  },
];

/** The value with its masked fields. A masked field that is null stays null. */
export function masked(value: unknown): unknown {
  return mapFields(value, (name, field, object) => {
    const isMasked = MASKS.some((mask) => mask.field === name && (mask.in?.(object) ?? true));
    return isMasked && field !== null ? "masked" : field;
  });
}

/** The older code's answer as the present code is to give it. */
export function explained(commit: string, value: unknown): unknown {
  const differences = DIFFERENCES.filter(({ commits }) => commits.includes(commit));
  return mapFields(value, (name, field) => {
    const found = differences.find((difference) => difference.field === name);
    return found && isObject(field) ? found.change(field) : field;
  });
}

/** Changes the fields of all objects in a value, the outer ones first. */
function mapFields(value: unknown, change: (name: string, field: unknown, object: Fields) => unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => mapFields(item, change));
  if (!isObject(value)) return value;
  const fields = Object.entries(value).map(([name, field]) => [name, mapFields(change(name, field, value), change)]);
  return Object.fromEntries(fields) as Fields;
}

/** Whether a value is an object of JSON. An exact number is an object without a prototype. */
function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) !== null;
}

/**
 * An answer, with the things of `/events/count-by` that have the same count and label in the order of their values. The
 * original and the older code do not order them.
 */
export function withOrderedTies(path: string, body: unknown): unknown {
  if (!path.startsWith("/events/count-by/") || !Array.isArray(body)) return body;
  const rank = ({ count, label }: Fields) => JSON.stringify([count, label]);
  const counts = body as Fields[];
  const ranks = counts.map(rank);
  return counts.toSorted(
    (a, b) => ranks.indexOf(rank(a)) - ranks.indexOf(rank(b)) || (String(a["value"]) < String(b["value"]) ? -1 : 1),
  );
}
