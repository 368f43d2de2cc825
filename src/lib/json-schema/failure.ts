/** The failures of a check, and which failure is the most relevant. */
import { isObject, isType } from "#lib/json-value";

/** The place of a value: its name or index, and the place of the value around it. The root has no place. */
export interface Place {
  readonly key: string | number;
  readonly parent: Place | undefined;
  readonly depth: number;
}

/** A keyword that a value fails. */
export interface Failure {
  readonly place: Place | undefined;
  readonly keyword: string;
  readonly value: unknown;
  readonly schema: unknown;
  /** Makes the message. The message may be as long as the value, so it is made only for the failure that is shown. */
  readonly message: () => string;
  /** The failures in the branches of `anyOf` or `oneOf`. */
  readonly context: readonly Failure[];
}

/** Returns the names and indexes from the root to a place. */
export function pathTo(place: Place | undefined): (string | number)[] {
  const path: (string | number)[] = [];
  for (let here = place; here; here = here.parent) path.push(here.key);
  return path.toReversed();
}

/**
 * Returns the failure that is shown. Prefect: jsonschema's `best_match`. In place of a failure of `anyOf` or `oneOf`,
 * the least relevant failure in it is shown, unless two failures are equally relevant.
 */
export function bestMatch(failures: readonly Failure[]): Failure | undefined {
  let best = failures.reduce<Failure | undefined>(
    (found, failure) => (found && byRelevance(failure, found) <= 0 ? found : failure),
    undefined,
  );
  for (let least = best; least; least = leastOf(least.context)) best = least;
  return best;
}

/** The least relevant failure, or undefined if two are equally relevant. */
function leastOf(failures: readonly Failure[]): Failure | undefined {
  let [least] = failures;
  let hasTwin = false;
  for (const failure of failures.slice(1)) {
    const order = least ? byRelevance(failure, least) : 0;
    if (order > 0) continue;
    if (order < 0) least = failure;
    hasTwin = order === 0;
  }
  return hasTwin ? undefined : least;
}

function byRelevance(a: Failure, b: Failure): number {
  const depth = (failure: Failure) => failure.place?.depth ?? 0;
  return (
    depth(b) - depth(a) ||
    byPath(a.place, b.place) ||
    Number(isWeak(b)) - Number(isWeak(a)) ||
    Number(fitsType(b)) - Number(fitsType(a))
  );
}

/** Orders two places of the same depth by the first name or index that differs. */
function byPath(a: Place | undefined, b: Place | undefined): number {
  let order = 0;
  let [left, right] = [a, b];
  while (left && right && left !== right) {
    order = byKey(left.key, right.key) || order;
    [left, right] = [left.parent, right.parent];
  }
  return order;
}

function byKey(a: string | number, b: string | number): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [left, right] = [String(a), String(b)];
  if (left === right) return 0;
  return left > right ? 1 : -1;
}

const isWeak = ({ keyword }: Failure) => keyword === "anyOf" || keyword === "oneOf";

function fitsType({ schema, value }: Failure): boolean {
  if (!isObject(schema) || !Object.hasOwn(schema, "type")) return false;
  return [schema["type"]].flat().some((type) => isType(value, type));
}
