/**
 * The states of a task run in a short form. A state is the array [digits of the id, place of the type in `STATE_TYPES`,
 * timestamp, details, data, message, name], which ends before the usual values. The present state begins with 0 instead of the
 * first three, because the row has these in its columns. States in older rows are objects. A row may have both forms.
 */
import { readJson } from "#db/database";
import { readDetails, shortDetails } from "#db/short/details";
import { digitsOf, isCanonical } from "#db/short/uuid";
import { isObject } from "#lib/json-value";
import { canonicalUuid } from "#wire/ids";
import { defaultStateName, type State, STATE_TYPES } from "#wire/state";

/** The columns of a task run with which its states are read and written. */
export interface StatesRow {
  id: string;
  flow_run_id: string | null;
  state_id: string | null;
  state_type: string | null;
  state_timestamp: number | null;
}

/** The names of these columns, for selects. */
export const STATES_ROW = "id, flow_run_id, state_id, state_type, state_timestamp, states";

/** A state as it is stored. */
type Item = State | unknown[];

/** The states of a task run, oldest first. Values that are not states are skipped, because a row may be older than the bounds. */
export function readStates({ states, ...row }: StatesRow & { states: string }): State[] {
  const items = readJson<unknown>(states);
  return Array.isArray(items) ? items.flatMap((item) => readState(item, row) ?? []) : [];
}

/** The present state of a task run; null for a row without one. */
export function presentState(row: StatesRow & { states: string }): State | null {
  return readStates(row).find(({ id }) => id === row.state_id) ?? null;
}

/** A state of a task run, from one item of the column. Undefined if the item is no state. */
export function readState(item: unknown, row: StatesRow): State | undefined {
  if (!Array.isArray(item)) return isObject(item) && item["state_details"] ? (item as unknown as State) : undefined;
  const [id, type, timestamp, ...rest] = item[0] === 0 ? presentItem(item, row) : (item as unknown[]);
  const name = STATE_TYPES[Number(type)];
  if (typeof id !== "string" || name === undefined) return undefined;
  return {
    id: canonicalUuid(id),
    type: name,
    name: (rest[3] as string | null | undefined) ?? defaultStateName(name),
    timestamp: timestamp as State["timestamp"],
    message: rest[2] === undefined ? "" : (rest[2] as string | null),
    data: rest[1] ?? null,
    state_details: readDetails(rest[0], idsOf(row)),
  };
}

function presentItem(item: unknown[], { state_id: id, state_type: type, state_timestamp: timestamp }: StatesRow) {
  return [id, STATE_TYPES.findIndex((one) => one === type), timestamp, ...item.slice(1)];
}

const idsOf = ({ id, flow_run_id }: StatesRow) => ({ task_run_id: id, flow_run_id });

/** The stored form of states of a task run. */
export function shortStates(states: readonly State[], row: StatesRow): Item[] {
  return states.map((state) => shortState(state, row));
}

function shortState(state: State, row: StatesRow): Item {
  const { id, type, name, timestamp, message, data } = state;
  if (!isCanonical(id) || !Number.isSafeInteger(timestamp)) return state;
  const rest = [shortDetails(state.state_details, idsOf(row)), data ?? null, message];
  if (name !== defaultStateName(type)) rest.push(name);
  while (rest.length > 0 && isUsual(rest.at(-1), rest.length - 1)) rest.pop();
  const isPresent = id === row.state_id && type === row.state_type && timestamp === row.state_timestamp;
  return isPresent ? [0, ...rest] : [digitsOf(id), STATE_TYPES.indexOf(type), timestamp, ...rest];
}

/** Whether a value is the one that `readState` gives to a missing place. */
function isUsual(value: unknown, place: number): boolean {
  if (place === 0) return Object.keys(value as object).length === 0;
  return value === (place === 1 ? null : "") && place < 3;
}

/** Whether a task run is or was in a state. */
export function hasHadState(row: StatesRow & { states: string }, stateId: string): boolean {
  return row.state_id === stateId || row.states.includes(stateId) || row.states.includes(digitsOf(stateId));
}
