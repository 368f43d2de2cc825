/** Splits a list into chunks, in its order. */

/** Returns chunks of `size` items. The last chunk may have fewer. */
export function chunks<T>(items: readonly T[], size: number): T[][] {
  const all: T[][] = [];
  for (let first = 0; first < items.length; first += size) all.push(items.slice(first, first + size));
  return all;
}

/**
 * Returns chunks. The items of a chunk have a size of at most `max` together, as `sizeOf` counts. A larger item shares
 * its chunk only with items of size 0.
 */
export function chunksBySize<T>(items: readonly T[], max: number, sizeOf: (item: T) => number): T[][] {
  const all: T[][] = [];
  let size = 0;
  for (const item of items) {
    const own = sizeOf(item);
    const last = all.at(-1);
    const fits = last !== undefined && (own === 0 || size === 0 || size + own <= max);
    if (fits) last.push(item);
    else all.push([item]);
    size = fits ? size + own : own;
  }
  return all;
}
