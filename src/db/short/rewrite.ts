/** The short forms of the JSON columns of rows that were written before there were short forms. */
import { createdByForm } from "#db/short/created-by";
import { readDetails, shortDetails } from "#db/short/details";
import { inputsForm } from "#db/short/inputs";
import { flowPolicyForm, taskPolicyForm } from "#db/short/policy";
import { readStates, shortStates, type StatesRow } from "#db/short/states";
import type { ShortForm } from "#db/short/form";
import { parseJson, STORED_JSON_DEPTH } from "#lib/json";
import { sameJson } from "#lib/json-value";
import { printState, type State } from "#wire/state";

/** Columns of a row as they are stored. */
export type OldRow = Readonly<Record<string, string | number | null>>;

/** New values of columns. */
type Short = Record<string, string>;

/** The new values of a task run's columns. A column that does not get shorter, or that cannot be read, is left out. */
export function shortTaskRun(row: OldRow): Short {
  return without({
    empirical_policy: rewritten(row["empirical_policy"], taskPolicyForm),
    task_inputs: rewritten(row["task_inputs"], inputsForm),
    states: rewrittenStates(row as unknown as StatesRow & { states: string | null }),
  });
}

/** The new values of a flow run's columns. The database has made the short form of the labels, `short_labels`. */
export function shortFlowRun({ labels, short_labels: made, ...row }: OldRow): Short {
  return without({
    empirical_policy: rewritten(row["empirical_policy"], flowPolicyForm),
    created_by: rewritten(row["created_by"], createdByForm),
    labels: typeof labels === "string" && typeof made === "string" ? ifShorter(made, labels) : undefined,
  });
}

/** The new values of the columns of a flow run's state. */
export function shortFlowRunState({ flow_run_id: id, state_details: text }: OldRow): Short {
  const ids = { flow_run_id: String(id) };
  const details = objectOf(text);
  if (!details) return {};
  const short = shortDetails(readDetails(details, ids), ids);
  const isSame = sameJson(printed(readDetails(short, ids)), printed(readDetails(details, ids)));
  return without({ state_details: isSame ? ifShorter(JSON.stringify(short), String(text)) : undefined });
}

const without = (values: Record<string, string | undefined>): Short =>
  Object.fromEntries(Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));

const ifShorter = (short: string, text: string) => (short.length < text.length ? short : undefined);

/** The value of a text with a JSON object; undefined for every other value. */
function objectOf(text: unknown): Record<string, unknown> | undefined {
  return typeof text === "string" && text.startsWith("{") ? (parsed(text) as Record<string, unknown>) : undefined;
}

function parsed(text: string): unknown {
  try {
    return parseJson(text, STORED_JSON_DEPTH);
  } catch {
    return undefined;
  }
}

function rewritten(text: unknown, { read, write }: ShortForm): string | undefined {
  if (!objectOf(text)) return undefined;
  const value = read(String(text), {});
  const short = write(value);
  return sameJson(read(short, {}), value) ? ifShorter(short, String(text)) : undefined;
}

function rewrittenStates({ states: text, ...row }: StatesRow & { states: string | null }): string | undefined {
  const items = text === null ? undefined : parsed(text);
  if (text === null || !Array.isArray(items) || items.every(Array.isArray)) return undefined;
  const states = readStates({ ...row, states: text });
  const short = JSON.stringify(shortStates(states, row));
  const again = readStates({ ...row, states: short });
  const isSame = states.length === items.length && sameJson(again.map(printState), states.map(printState));
  return isSame ? ifShorter(short, text) : undefined;
}

/** Details as answers show them. */
const printed = (state_details: State["state_details"]): unknown =>
  printState({ id: "", type: "PENDING", name: "", timestamp: 0, message: null, data: null, state_details });
