/** The secret fields of a document's data: which values are secret, and how they are masked. Pure. */
import { isObject } from "#lib/json-value";
import {
  type Data,
  emptyTree,
  grow,
  mapObject,
  type Path,
  type Placed,
  type Tree,
  withValues,
} from "#resources/block-documents/secret-places";

export type { Data, Path };

/** A secret value, and where it is in the data. */
export type Secret = Placed;

/** Prefect: `obfuscate`. Every masked value looks the same. */
export const MASK = "********";

/** The path of a secret field by the names in its schema. */
interface FieldPath {
  path: readonly string[];
  /** Whether all below the path is secret. */
  isBelow: boolean;
}

/** The secret fields of a schema, by the names that lead to them. */
export type SecretFields = Tree<string, FieldPath>;

/**
 * The secret fields of a schema. A pattern of a schema (`secret_fields`) is a path with dots; all below a `*` is secret.
 * A path below another one is left out.
 */
export function secretFields(fields: unknown): SecretFields {
  const tree: SecretFields = emptyTree();
  for (const one of patternsOf(fields)) grow(tree, one.path, one);
  return tree;
}

/** Shorter paths come first, so that the paths below them are left out. */
function patternsOf(fields: unknown): FieldPath[] {
  const patterns = isObject(fields) && Array.isArray(fields["secret_fields"]) ? fields["secret_fields"] : [];
  return patterns
    .filter((pattern) => typeof pattern === "string")
    .map((pattern) => {
      const parts = pattern.split(".");
      const star = parts.indexOf("*");
      return star < 0 ? { path: parts, isBelow: false } : { path: parts.slice(0, star), isBelow: true };
    })
    .toSorted((one, other) => one.path.length - other.path.length || Number(other.isBelow) - Number(one.isBelow));
}

/**
 * The secret fields in the value of a key. A field of models in a list or in a dictionary has the same pattern in the
 * schema as a field of one model: `servers.password`. So an object that has none of the names is a dictionary of models.
 * The outermost keys are always fields.
 */
export function fieldsInside(object: Data, fields: SecretFields, isRoot: boolean) {
  const isModel = isRoot || Object.keys(object).some((key) => fields.inner.has(key));
  return (key: string): SecretFields | undefined => (isModel ? fields.inner.get(key) : fields);
}

/** Masks the secret values, and returns them. Prefect: null is secret only below a `*`. */
export function hideSecrets(data: Data, fields: unknown): { shown: Data; secrets: Secret[] } {
  const secrets: Secret[] = [];
  const path: (string | number)[] = [];

  function hideAt(key: string | number, value: unknown, inside: SecretFields): unknown {
    path.push(key);
    const shown = hide(value, inside);
    path.pop();
    return shown;
  }

  function hide(value: unknown, tree: SecretFields): unknown {
    const isRoot = path.length === 0;
    if (tree.end) {
      if ((value === null && !tree.end.isBelow) || (isRoot && isEmpty(data))) return value;
      secrets.push({ path: [...path], value });
      return masked(value);
    }
    if (tree.inner.size === 0) return value;
    if (Array.isArray(value)) return value.map((item, index) => hideAt(index, item, tree));
    if (!isObject(value)) return value;
    const inside = fieldsInside(value, tree, isRoot);
    return mapObject(value, (inner, key) => {
      const below = inside(key);
      return below ? hideAt(key, inner, below) : inner;
    });
  }

  const shown = hide(data, secretFields(fields)) as Data;
  return { shown, secrets };
}

/** The data with the secret values in place of the masks. */
export function revealSecrets(shown: Data, secrets: readonly Secret[]): Data {
  return withValues(shown, secrets);
}

/** A secret value as answers show it: the keys of objects are kept. */
function masked(value: unknown): unknown {
  return isObject(value) && !isEmpty(value) ? mapObject(value, masked) : MASK;
}

const isEmpty = (data: Data) => Object.keys(data).length === 0;
