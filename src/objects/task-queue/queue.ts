/** The background tasks that wait for a task worker, and whose turn it is. Pure; the object keeps its rows. */
import type { Micros } from "#lib/clock";
import type { QueuedRun } from "#objects/task-queue/messages";

/** The runs of one task, each list by age. */
interface Line {
  retries: QueuedRun[];
  fresh: QueuedRun[];
}

/** Whether `a` is handed out before `b`, where both may be. */
export function goesBefore(a: QueuedRun, b: QueuedRun): boolean {
  if (a.is_retry !== b.is_retry) return a.is_retry;
  return a.at < b.at || (a.at === b.at && a.id < b.id);
}

export class Queue {
  private readonly lines = new Map<string, Line>();
  private readonly known = new Map<string, QueuedRun>();
  /** Those whose time has not come, by that time. */
  private readonly later: QueuedRun[] = [];

  get size(): number {
    return this.known.size;
  }

  /** Puts a run in the queue, in place of what was known of it. */
  add(run: QueuedRun, now: Micros): void {
    this.known.set(run.id, run);
    if (run.due > now) insert(this.later, run, (a, b) => a.due < b.due);
    else this.lineUp(run);
  }

  remove(id: string): void {
    // Its place in a list is passed over when its turn comes.
    this.known.delete(id);
  }

  /** Takes out the run whose turn it is among those of the tasks: retries first, then the oldest. */
  take(taskKeys: Iterable<string>, now: Micros): QueuedRun | undefined {
    this.ripen(now);
    let best: QueuedRun | undefined;
    for (const key of taskKeys) {
      const head = this.headOf(key);
      if (head && (!best || goesBefore(head, best))) best = head;
    }
    if (best) this.known.delete(best.id);
    return best;
  }

  /** When the next of those comes due whose time has not come. */
  nextDue(): Micros | null {
    this.drop(this.later);
    return this.later[0]?.due ?? null;
  }

  private ripen(now: Micros): void {
    for (let due = this.nextDue(); due !== null && due <= now; due = this.nextDue()) {
      const run = this.later.shift();
      if (run) this.lineUp(run);
    }
  }

  private lineUp(run: QueuedRun): void {
    const line = this.lines.get(run.task_key) ?? { retries: [], fresh: [] };
    this.lines.set(run.task_key, line);
    insert(run.is_retry ? line.retries : line.fresh, run, goesBefore);
  }

  private headOf(taskKey: string): QueuedRun | undefined {
    const line = this.lines.get(taskKey);
    if (!line) return undefined;
    this.drop(line.retries);
    this.drop(line.fresh);
    const head = line.retries[0] ?? line.fresh[0];
    if (!head) this.lines.delete(taskKey);
    return head;
  }

  /** Drops from the head what is no longer in the queue, or is there in another place. */
  private drop(list: QueuedRun[]): void {
    let gone = 0;
    for (const run of list) {
      if (this.known.get(run.id) === run) break;
      gone++;
    }
    if (gone > 0) list.splice(0, gone);
  }
}

/** Puts a run where it belongs in a sorted list, which is mostly at its end. */
function insert(list: QueuedRun[], run: QueuedRun, isBefore: (a: QueuedRun, b: QueuedRun) => boolean): void {
  const after = list.findLastIndex((other) => !isBefore(run, other));
  list.splice(after + 1, 0, run);
}
