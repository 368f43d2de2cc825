/** Lists that are too long for memory: only one portion of a list is in memory at a time. */

/** A list in portions, in order. Nearly all lists have one portion. */
export type Portions<T> = readonly (() => Promise<readonly T[]>)[];

/** A list that is in memory, as one portion. */
export function whole<T>(items: readonly T[]): Portions<T> {
  return [async () => items];
}

/** The list with `change` applied to each portion. */
export function mapPortions<T, U>(
  portions: Portions<T>,
  change: (items: readonly T[]) => readonly U[] | Promise<readonly U[]>,
): Portions<U> {
  return portions.map((portion) => async () => change(await portion()));
}

/** Returns the whole list. Only for a list that is known to be short. */
export async function allOf<T>(portions: Portions<T>): Promise<T[]> {
  const all: T[] = [];
  for (const portion of portions) all.push(...(await portion()));
  return all;
}
