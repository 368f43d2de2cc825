/** The order of a pool's queues: the priority of a new queue, and the queues whose priorities change. Pure. */

/** A queue and its priority. */
export interface Ranked {
  id: string;
  priority: number;
}

/** Prefect: a queue for which no priority is asked takes the first one that is free. */
export function freePriority(taken: readonly number[]): number {
  const sorted = taken.toSorted((a, b) => a - b);
  const gap = sorted.findIndex((priority, index) => priority !== index + 1);
  return gap === -1 ? (sorted.at(-1) ?? 0) + 1 : gap + 1;
}

/**
 * Prefect: `bulk_update_work_queue_priorities`. The queue of the wish comes before the queues with the same priority or a later
 * one. Their priorities grow by as little as makes all differ. Returns the queues whose priority changes.
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
