/**
 * The details of states (`state_details`) in a short form: an object with keys of one letter, without the values that a
 * detail has if it is absent, and without the ids that the row has. UUIDs have 22 characters. Other keys than single
 * letters are the names of details, so details in the long form are read in the same way.
 */
import { type SQL, sql } from "drizzle-orm";
import { packUuid, unpackUuid } from "#db/short/uuid";
import { isObject } from "#lib/json-value";
import type { StateDetails } from "#wire/state";

/** The letters of the details. Never change a letter: rows have it. */
export const LETTERS: Record<keyof StateDetails, string> = {
  flow_run_id: "w",
  task_run_id: "o",
  child_flow_run_id: "h",
  scheduled_time: "s",
  cache_key: "c",
  cache_expiration: "e",
  deferred: "d",
  untrackable_result: "u",
  pause_timeout: "p",
  pause_reschedule: "r",
  pause_key: "k",
  run_input_keyset: "i",
  refresh_cache: "f",
  retriable: "b",
  transition_id: "t",
  task_parameters_id: "a",
  traceparent: "n",
  deployment_concurrency_lease_id: "l",
};

const letterOf = new Map<string, string>(Object.entries(LETTERS));
const nameOf = new Map([...letterOf].map(([name, letter]) => [letter, name]));
const UUIDS: ReadonlySet<string> = new Set<keyof StateDetails>([
  "flow_run_id",
  "task_run_id",
  "child_flow_run_id",
  "transition_id",
  "task_parameters_id",
  "deployment_concurrency_lease_id",
]);
/** Details that are false if they are absent. */
const FALSE: ReadonlySet<string> = new Set<keyof StateDetails>(["deferred", "untrackable_result", "pause_reschedule"]);

/** The ids that the row of a state has, by the names of the details. */
export type RowIds = Readonly<Partial<Record<"flow_run_id" | "task_run_id", string | null>>>;

/** The short form of details. */
export function shortDetails(details: StateDetails, ids: RowIds): Record<string, unknown> {
  const short: Record<string, unknown> = {};
  const values = { ...absentIds(ids), ...details };
  for (const [name, value] of Object.entries(values)) {
    const ofRow = (ids as Record<string, unknown>)[name];
    if (value === undefined || (ofRow === undefined ? isDefault(name, value) : value === ofRow)) continue;
    short[letterOf.get(name) ?? name] = UUIDS.has(name) ? packUuid(value) : value;
  }
  return short;
}

/** Ids that the row has and the details do not have are stored as null. */
const absentIds = (ids: RowIds) => Object.fromEntries(Object.keys(ids).map((name) => [name, null]));

function isDefault(name: string, value: unknown): boolean {
  // Prefect: `deferred` may be null, and is false if it is absent.
  return value === null ? name !== "deferred" : value === false && FALSE.has(name);
}

/** The details of a value in either form. Every other value has the details of the row only. */
export function readDetails(value: unknown, ids: RowIds): StateDetails {
  const details: Record<string, unknown> = { ...ids };
  if (!isObject(value)) return details;
  for (const [key, stored] of Object.entries(value)) {
    const name = nameOf.get(key) ?? key;
    details[name] = UUIDS.has(name) ? unpackUuid(stored) : stored;
  }
  return details;
}

/** A detail in a column `state_details` (`s.state_details`), as it is stored; null if the column cannot be read. */
export function storedDetail(column: string, name: keyof StateDetails): SQL {
  const details = `iif(json_valid(${column}), ${column}, '{}')`;
  return sql.raw(`coalesce(${details} ->> '$.${LETTERS[name]}', ${details} ->> '$.${name}')`);
}
