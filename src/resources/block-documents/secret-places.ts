/** Places in the data of a document, as paths of keys, and values at many places at once. Pure. */
import { isObject } from "#lib/json-value";

/** The data of a document. */
export type Data = Record<string, unknown>;

/** The keys that lead to a value in the data. A number is a place in a list. */
export type Path = readonly (string | number)[];

/** A value, and where it is in the data. */
export interface Placed {
  path: Path;
  value: unknown;
}

/** A tree of paths. A leaf is the end of a path. */
export interface Tree<Key, End> {
  inner: Map<Key, Tree<Key, End>>;
  /** What is at the end of a path. */
  end?: End;
}

export const emptyTree = <Key, End>(): Tree<Key, End> => ({ inner: new Map() });

/** Adds a path to the tree, unless the tree has a path that begins this one. */
export function grow<Key, End>(root: Tree<Key, End>, path: readonly Key[], end: End): void {
  let here = root;
  for (const key of path) {
    if (here.end !== undefined) return;
    const inner: Tree<Key, End> = here.inner.get(key) ?? emptyTree();
    here.inner.set(key, inner);
    here = inner;
  }
  here.end ??= end;
}

/** A copy of an object with other values. */
export const mapObject = (object: Data, change: (value: unknown, key: string) => unknown): Data =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value, key)]));

/**
 * A copy of the data with other values at paths that exist. No path may be below another one. The time grows with the
 * data, not with data times paths.
 */
export function withValues(data: Data, values: readonly Placed[]): Data {
  const root = emptyTree<string | number, Placed>();
  for (const placed of values) grow(root, placed.path, placed);
  return replaced(data, root) as Data;
}

function replaced(data: unknown, { inner, end }: Tree<string | number, Placed>): unknown {
  if (end) return end.value;
  const change = (value: unknown, key: string | number) => {
    const below = inner.get(key);
    return below ? replaced(value, below) : value;
  };
  if (inner.size > 0 && Array.isArray(data)) return data.map(change);
  return inner.size > 0 && isObject(data) ? mapObject(data, change) : data;
}
