/** The background tasks that wait for a task worker, in the order in which they are sent. Pure; the object keeps the rows. */
import type { Micros } from "#lib/clock";
import type { QueuedRun } from "#objects/task-queue/messages";

/** The runs of one task. Each list is sorted by age. */
interface RunsOfTask {
  retries: QueuedRun[];
  fresh: QueuedRun[];
}

/** Whether `a` is sent before `b`, if both may be sent. */
export function goesBefore(a: QueuedRun, b: QueuedRun): boolean {
  if (a.is_retry !== b.is_retry) return a.is_retry;
  return a.at < b.at || (a.at === b.at && a.id < b.id);
}

export class WaitingRuns {
  private readonly byTask = new Map<string, RunsOfTask>();
  private readonly known = new Map<string, QueuedRun>();
  /** The runs that are not due yet, in the order of their due times. */
  private readonly later: QueuedRun[] = [];

  get size(): number {
    return this.known.size;
  }

  /** Puts a run in the queue. Replaces an older entry of the same run. */
  add(run: QueuedRun, now: Micros): void {
    this.known.set(run.id, run);
    if (run.due > now) insert(this.later, run, (a, b) => a.due < b.due);
    else this.insertByTask(run);
  }

  remove(id: string): void {
    // The run's entry in a list is skipped later.
    this.known.delete(id);
  }

  /** Removes and returns the next run of these tasks: retries first, then the oldest. */
  take(taskKeys: Iterable<string>, now: Micros): QueuedRun | undefined {
    this.moveDue(now);
    let best: QueuedRun | undefined;
    for (const key of taskKeys) {
      const head = this.headOf(key);
      if (head && (!best || goesBefore(head, best))) best = head;
    }
    if (best) this.known.delete(best.id);
    return best;
  }

  /** When the next run becomes due that is not due yet, or null. */
  nextDue(): Micros | null {
    this.drop(this.later);
    return this.later[0]?.due ?? null;
  }

  private moveDue(now: Micros): void {
    for (let due = this.nextDue(); due !== null && due <= now; due = this.nextDue()) {
      const run = this.later.shift();
      if (run) this.insertByTask(run);
    }
  }

  private insertByTask(run: QueuedRun): void {
    const runs = this.byTask.get(run.task_key) ?? { retries: [], fresh: [] };
    this.byTask.set(run.task_key, runs);
    insert(run.is_retry ? runs.retries : runs.fresh, run, goesBefore);
  }

  private headOf(taskKey: string): QueuedRun | undefined {
    const runs = this.byTask.get(taskKey);
    if (!runs) return undefined;
    this.drop(runs.retries);
    this.drop(runs.fresh);
    const head = runs.retries[0] ?? runs.fresh[0];
    if (!head) this.byTask.delete(taskKey);
    return head;
  }

  /** Drops entries from the head of the list that are no longer in the queue, or that have another place in the queue. */
  private drop(list: QueuedRun[]): void {
    let gone = 0;
    for (const run of list) {
      if (this.known.get(run.id) === run) break;
      gone++;
    }
    if (gone > 0) list.splice(0, gone);
  }
}

/** Inserts a run into a sorted list, usually at the end. */
function insert(list: QueuedRun[], run: QueuedRun, isBefore: (a: QueuedRun, b: QueuedRun) => boolean): void {
  const after = list.findLastIndex((other) => !isBefore(run, other));
  list.splice(after + 1, 0, run);
}
