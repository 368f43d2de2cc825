/** Keeps one bad item of a batch from failing the others. */

/** What a failure may mean. */
export interface HalvingOptions {
  /** Whether the failure says nothing of the items, as when the connection was lost: it is thrown, for the batch to come again. */
  isPassing?: (error: unknown) => boolean;
}

/**
 * Does the work for all items at once. Where it fails, it is done for each half by itself, and so on down to the single
 * item, which goes to `onBad` with its error. So `work` must be repeatable: a batch that has failed may have been done in
 * part. Throws a passing failure at once, and what `onBad` throws.
 *
 * @example
 * await inHalves(rows, write, (row, error) => keepDeadLetter(tools, letterOf(row, error)), { isPassing });
 */
export async function inHalves<T>(
  items: readonly T[],
  work: (items: readonly T[]) => Promise<void>,
  onBad: (item: T, error: unknown) => Promise<void>,
  options: HalvingOptions = {},
): Promise<void> {
  if (items.length === 0) return;
  try {
    await work(items);
    return;
  } catch (error) {
    if (options.isPassing?.(error)) throw error;
    if (items.length === 1) {
      for (const item of items) await onBad(item, error);
      return;
    }
  }
  const middle = Math.ceil(items.length / 2);
  await inHalves(items.slice(0, middle), work, onBad, options);
  await inHalves(items.slice(middle), work, onBad, options);
}
