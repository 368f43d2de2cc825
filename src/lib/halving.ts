/** Prevents one bad item of a batch from failing the others. */

/**
 * Does the work for all items at once. If the work fails, it is repeated for each half, down to the single item. A
 * single item that fails is passed to `onBad` with its error. The work must be repeatable, because a part of a failed
 * batch may be done. If `isPassing` says that no item caused a failure (for example a lost connection), the failure is
 * thrown at once, and the caller repeats the batch. Also throws the errors of `onBad`.
 *
 * @example
 * await inHalves(rows, write, (row, error) => keepDeadLetter(tools, letterOf(row, error)), { isPassing });
 */
export async function inHalves<T>(
  items: readonly T[],
  work: (items: readonly T[]) => Promise<void>,
  onBad: (item: T, error: unknown) => Promise<void>,
  options: { isPassing?: (error: unknown) => boolean } = {},
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
