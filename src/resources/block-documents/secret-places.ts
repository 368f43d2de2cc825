/** Places in the data of a document, as paths of keys, and values at many places at once. Pure. */
import { isObject } from "#lib/json-value";

/** The data of a document. */
export type Data = Record<string, unknown>;

/** The keys that lead to a value in the data. */
export type Path = readonly string[];

/** A value, and where it is in the data. */
export interface Placed {
  path: Path;
  value: unknown;
}

/** A tree of paths. A leaf is the end of a path. */
interface Tree {
  inner: Map<string, Tree>;
  /** The value at the end of a path. */
  end?: { value: unknown };
}

const emptyTree = (): Tree => ({ inner: new Map() });

/** The paths without those that are below another one, or the same. Shorter paths must come first. */
export function outermost<T extends { path: Path }>(places: readonly T[]): T[] {
  const root = emptyTree();
  return places.filter((place) => grow(root, place.path, undefined));
}

/** Adds a path to the tree. Gives false, and adds nothing, if the tree has a path that begins this one. */
function grow(root: Tree, path: Path, value: unknown): boolean {
  let here = root;
  for (const key of path) {
    if (here.end) return false;
    const inner = here.inner.get(key) ?? emptyTree();
    here.inner.set(key, inner);
    here = inner;
  }
  if (here.end) return false;
  here.end = { value };
  return true;
}

/** The value at a path, or undefined. */
export function valueAt(data: unknown, path: Path): unknown {
  let here = data;
  for (const key of path) {
    if (!isObject(here) || !Object.hasOwn(here, key)) return undefined;
    here = here[key];
  }
  return here;
}

/** A copy of the data with other values at paths that exist. No path may be below another one. The time grows with the data, not with data times paths. */
export function withValues(data: Data, values: readonly Placed[]): Data {
  const root = emptyTree();
  for (const { path, value } of values) grow(root, path, value);
  return replaced(data, root) as Data;
}

function replaced(data: unknown, { inner, end }: Tree): unknown {
  if (end) return end.value;
  if (inner.size === 0 || !isObject(data)) return data;
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => {
      const below = inner.get(key);
      return [key, below ? replaced(value, below) : value];
    }),
  );
}
