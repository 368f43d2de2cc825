/** `POST /ui/schemas/validate`: checks the values of a form, before they are complete, and sorts the faults by their places. */
import { unprocessable } from "#lib/api-error";
import { PLACEHOLDER, type SchemaFault, schemaFaults, schemaProblem, schemaSteps } from "#lib/json-schema";
import { type JsonSchema, UnusableSchema } from "#lib/json-schema/schema";
import { readVariables } from "#resources/flow-runs/parameters";
import type { ValueErrors } from "#resources/ui/schema";
import type { Tools } from "#tools";
import { hydrateInPart, HydrationError } from "#wire/hydration";
import { repairSchema } from "#wire/parameters";

/** Gives the faults of the values. Throws 422 for a schema that cannot be used, and for values that become too large. */
export async function validateValues(
  tools: Tools,
  { schema, values }: { schema: JsonSchema; values: Record<string, unknown> },
): Promise<{ errors: ValueErrors; valid: boolean }> {
  const variables = await readVariables(tools, [values]);
  try {
    const faults = faultsOf(schema, values, variables);
    const errors = new FaultTree();
    for (const fault of faults) errors.add(placeOf(fault), fault.message);
    return { errors: errors.root, valid: errors.root.length === 0 };
  } catch (error) {
    if (error instanceof HydrationError) throw unprocessable(error.message);
    if (!(error instanceof UnusableSchema)) throw error;
    const reason = error.reason === "unresolvable" ? "Validation failed. Failure reason: " : "";
    throw unprocessable(`Invalid schema: ${reason}${error.message}`);
  }
}

function faultsOf(schema: JsonSchema, values: Record<string, unknown>, variables: ReadonlyMap<string, unknown>) {
  const steps = schemaSteps();
  const repaired = repairSchema(schema);
  const unusable = schemaProblem(repaired, steps);
  if (unusable !== undefined) throw new UnusableSchema("invalid", unusable);
  const { values: hydrated, messageOf } = hydrateInPart(values, variables);
  const faults = ownFirst(schemaFaults(hydrated, repaired, messageOf, steps));
  // A template is not rendered yet, so nothing is known about its value.
  return faults.filter(({ value }) => typeof value !== "symbol" || messageOf(value) !== undefined);
}

/** Prefect: `prioritize_placeholder_errors`. If a value stands for a fault, its other faults are not shown. Faults of a place are together. */
function ownFirst(faults: readonly SchemaFault[]): SchemaFault[] {
  const byPlace = Map.groupBy(faults, ({ path }) => JSON.stringify(path));
  return [...byPlace.values()].flatMap((some) => {
    const own = some.filter(({ keyword }) => keyword === PLACEHOLDER);
    return own.length > 0 ? own : some;
  });
}

/** Prefect: the fault of a missing property is shown at the property. Its name is the first word of the message. */
function placeOf({ path, keyword, message }: SchemaFault): (string | number)[] {
  const [word = ""] = message.split(" ", 1);
  return keyword === "required" ? [...path, word.replaceAll(/^'+|'+$/g, "")] : path;
}

type Entry = Exclude<ValueErrors[number], string>;

/** Faults at their places. */
class FaultTree {
  readonly root: ValueErrors = [];
  /** The first entry of each property and each index in a list. */
  readonly #first = new Map<ValueErrors, Map<string | number, Entry>>();

  /** Adds a message at its place. Prefect: two faults of one place have an entry each. */
  add(path: readonly (string | number)[], message: string): void {
    let entries = this.root;
    for (const [index, step] of path.entries()) entries = this.#at(entries, step, index === path.length - 1).errors;
    entries.push(message);
  }

  #at(entries: ValueErrors, step: string | number, isLast: boolean): Entry {
    const first = this.#first.get(entries) ?? new Map<string | number, Entry>();
    this.#first.set(entries, first);
    const known = first.get(step);
    if (known && !isLast) return known;
    const entry = typeof step === "number" ? { index: step, errors: [] } : { property: step, errors: [] };
    entries.push(entry);
    if (!known) first.set(step, entry);
    return entry;
  }
}
