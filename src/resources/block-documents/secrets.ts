/** The secret fields of a document's data: which values are secret, and how they are masked. Pure. */
import { isObject } from "#lib/json-value";

/** The data of a document. */
export type Data = Record<string, unknown>;

/** The keys that lead to a value in the data. A number is a place in a list. */
export type Path = readonly (string | number)[];

/** A secret value, and where it is in the data. */
export interface Secret {
  path: Path;
  value: unknown;
}

/** Prefect: `obfuscate`. Every masked value looks the same. */
export const MASK = "********";

/** The path of a secret field by the names in its schema. */
interface FieldPath {
  path: readonly string[];
  /** Whether all below the path is secret. */
  isBelow: boolean;
}

/**
 * The paths of the secret fields. A pattern of a schema (`secret_fields`) is a path with dots; all below a `*` is secret.
 * A path below another one is left out.
 */
export function secretPaths(fields: unknown): FieldPath[] {
  const patterns = isObject(fields) && Array.isArray(fields["secret_fields"]) ? fields["secret_fields"] : [];
  const paths = patterns
    .filter((pattern) => typeof pattern === "string")
    .map((pattern) => {
      const parts = pattern.split(".");
      const star = parts.indexOf("*");
      return star < 0 ? { path: parts, isBelow: false } : { path: parts.slice(0, star), isBelow: true };
    })
    .toSorted((one, other) => one.path.length - other.path.length || Number(other.isBelow) - Number(one.isBelow));
  return paths.filter(({ path }, index) => !paths.slice(0, index).some((before) => startsWith(path, before.path)));
}

const startsWith = (path: Path, start: Path) => start.every((key, index) => path[index] === key);

/**
 * Changes the values of a field, and copies only what is around them. A field of models in a list or in a dictionary has
 * the same pattern in the schema as a field of one model: `servers.password`. So the keys of a dictionary and the places
 * in a list are not in the pattern.
 */
function withField(
  value: unknown,
  names: readonly string[],
  change: (value: unknown, path: Path) => unknown,
  before: Path = [],
): unknown {
  const [name, ...rest] = names;
  if (name === undefined) return change(value, before);
  if (Array.isArray(value)) return value.map((item, index) => withField(item, names, change, [...before, index]));
  if (!isObject(value)) return value;
  const isField = Object.hasOwn(value, name);
  // The outermost keys are fields, not keys of a dictionary.
  if (!isField && before.length === 0) return value;
  return mapObject(value, (inner, key) => {
    if (isField && key !== name) return inner;
    return withField(inner, isField ? rest : names, change, [...before, key]);
  });
}

/** A copy of an object with other values. */
export const mapObject = (object: Data, change: (value: unknown, key: string) => unknown): Data =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value, key)]));

/** Masks the secret values, and returns them. Prefect: null is secret only below a `*`. */
export function hideSecrets(data: Data, fields: unknown): { shown: Data; secrets: Secret[] } {
  let shown: unknown = data;
  const secrets: Secret[] = [];
  for (const { path: names, isBelow } of secretPaths(fields)) {
    shown = withField(shown, names, (present, path) => {
      // A pattern before this one may have masked it.
      const value = valueAt(data, path);
      if ((value === null && !isBelow) || (path.length === 0 && isEmpty(data))) return present;
      secrets.push({ path, value });
      return masked(value);
    });
  }
  return { shown: shown as Data, secrets };
}

/** The data with the secret values in place of the masks. */
export function revealSecrets(shown: Data, secrets: readonly Secret[]): Data {
  return withValues(shown, secrets, 0) as Data;
}

/** A copy with these values, of which all paths are the same up to `depth`. */
function withValues(data: unknown, secrets: readonly Secret[], depth: number): unknown {
  const whole = secrets.find(({ path }) => path.length === depth);
  if (whole) return whole.value;
  const inside = Map.groupBy(secrets, ({ path }) => path[depth]);
  const changed = (old: unknown, key: string | number) => {
    const own = inside.get(key);
    return own ? withValues(old, own, depth + 1) : old;
  };
  if (Array.isArray(data)) return data.map(changed);
  return isObject(data) ? mapObject(data, changed) : data;
}

/** A secret value as answers show it: the keys of objects are kept. */
function masked(value: unknown): unknown {
  if (!isObject(value) || isEmpty(value)) return MASK;
  return mapObject(value, masked);
}

const isEmpty = (data: Data) => Object.keys(data).length === 0;

function valueAt(data: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, key) => {
    if (typeof key === "number") return Array.isArray(value) ? value[key] : undefined;
    return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  }, data);
}
