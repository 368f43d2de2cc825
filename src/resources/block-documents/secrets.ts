/** The secret fields of a document's data: which values are secret, how they are masked, and what a masked value means. Pure. */
import { isObject } from "#lib/json-value";
import {
  type Data,
  outermost,
  type Path,
  type Placed,
  valueAt,
  withValues,
} from "#resources/block-documents/secret-places";

export type { Data, Path };

/** A secret value, and where it is in the data. */
export type Secret = Placed;

/** Prefect: `obfuscate`. Every masked value looks the same. */
export const MASK = "********";

/**
 * The paths of the secret values. A pattern of a schema (`secret_fields`) is a path with dots; all below a `*` is secret.
 * A path below another one is left out.
 */
export function secretPaths(fields: unknown): { path: Path; isBelow: boolean }[] {
  const patterns = isObject(fields) && Array.isArray(fields["secret_fields"]) ? fields["secret_fields"] : [];
  const paths = patterns
    .filter((pattern) => typeof pattern === "string")
    .map((pattern) => {
      const parts = pattern.split(".");
      const star = parts.indexOf("*");
      return star < 0 ? { path: parts, isBelow: false } : { path: parts.slice(0, star), isBelow: true };
    })
    .toSorted((one, other) => one.path.length - other.path.length || Number(other.isBelow) - Number(one.isBelow));
  return outermost(paths);
}

/** Masks the secret values, and returns them. Prefect: null is secret only below a `*`. */
export function hideSecrets(data: Data, fields: unknown): { shown: Data; secrets: Secret[] } {
  const secrets: Secret[] = [];
  for (const { path, isBelow } of secretPaths(fields)) {
    const value = valueAt(data, path);
    if (value === undefined || (value === null && !isBelow) || (path.length === 0 && isEmpty(data))) continue;
    secrets.push({ path, value });
  }
  const masks = secrets.map(({ path, value }) => ({ path, value: masked(value) }));
  return { shown: withValues(data, masks), secrets };
}

/** The data with the secret values in place of the masks. */
export function revealSecrets(shown: Data, secrets: readonly Secret[]): Data {
  return withValues(shown, secrets);
}

/**
 * The data of an update, in which a mask stands for the present value. A client sends masks if it has read the document
 * without its secrets.
 */
export function unmask(update: Data, present: Data, fields: unknown): Data {
  const values = secretPaths(fields).flatMap(({ path }) => {
    const [given, kept] = [valueAt(update, path), valueAt(present, path)];
    return given === undefined || kept === undefined ? [] : [{ path, value: unmasked(given, kept) }];
  });
  return withValues(update, values);
}

function unmasked(given: unknown, kept: unknown): unknown {
  if (given === MASK) return kept;
  if (!isObject(given) || !isObject(kept)) return given;
  const entries = Object.entries(given);
  return Object.fromEntries(
    entries.map(([key, value]) => [key, Object.hasOwn(kept, key) ? unmasked(value, kept[key]) : value]),
  );
}

/** A secret value as answers show it: the keys of objects are kept. */
function masked(value: unknown): unknown {
  if (!isObject(value) || isEmpty(value)) return MASK;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, masked(inner)]));
}

const isEmpty = (data: Data) => Object.keys(data).length === 0;
