/** The order of a pool's queues: where a new one goes, and which others move over. Pure. */

/** A queue as far as the order is concerned. */
export interface Ranked {
  id: string;
  priority: number;
}

/** Prefect: a queue without a wish takes the first priority that is free. */
export function freePriority(taken: readonly number[]): number {
  const sorted = taken.toSorted((a, b) => a - b);
  const gap = sorted.findIndex((priority, index) => priority !== index + 1);
  return gap === -1 ? (sorted.at(-1) ?? 0) + 1 : gap + 1;
}

/**
 * Prefect: `bulk_update_work_queue_priorities`. The queue with a wish goes before those that have its priority or a later
 * one; these move just as far as it takes for all to differ. Returns the queues whose priority changes.
 */
export function reorderQueues(queues: readonly Ranked[], wish: Ranked | null): Ranked[] {
  const others = queues.filter(({ id }) => id !== wish?.id).toSorted((a, b) => a.priority - b.priority);
  const before = wish ? others.filter(({ priority }) => priority < wish.priority) : others;
  const ordered = [...before, ...(wish ? [wish] : []), ...others.slice(before.length)];
  const present = new Map(queues.map(({ id, priority }) => [id, priority]));
  let last = 0;
  return ordered.flatMap(({ id, priority }) => {
    last = priority <= last ? last + 1 : priority;
    return present.get(id) === last ? [] : [{ id, priority: last }];
  });
}
