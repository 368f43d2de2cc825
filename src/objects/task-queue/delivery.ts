/** Sends waiting runs to task workers. A run is read from D1 before it is sent. A run that must not start any more is skipped. */
import { keepDeadLetter } from "#events/dead-letters";
import type { Micros } from "#lib/clock";
import { log } from "#lib/log";
import type { SluiceObject } from "#objects/base";
import type { QueuedRun } from "#objects/task-queue/messages";
import { keepState, stateOf, type Subscriber, type Subscribers } from "#objects/task-queue/sockets";
import type { QueueTables } from "#objects/task-queue/tables";
import type { WaitingRuns } from "#objects/task-queue/waiting-runs";
import { type Found, readRuns } from "#resources/task-runs/queued-runs";

/** How many runs are read at once to be sent. Each run may have 2 MB. */
const READ_AT_ONCE = 10;
/** How long after a failed read D1 is read again. */
export const RETRY_AFTER: Micros = 2_000_000;

/** A run that is about to be sent. */
interface Pair {
  socket: WebSocket;
  subscriber: Subscriber;
  run: QueuedRun;
}

export class Delivery {
  private readonly object: SluiceObject;
  private readonly queue: WaitingRuns;
  private readonly subscribers: Subscribers;
  private readonly rows: QueueTables;
  private isAtWork = false;

  constructor(object: SluiceObject, queue: WaitingRuns, subscribers: Subscribers, rows: QueueTables) {
    this.object = object;
    this.queue = queue;
    this.subscribers = subscribers;
    this.rows = rows;
  }

  /** Sends runs while both runs and task workers wait. False if a delivery is already running. */
  async deliver(): Promise<boolean> {
    if (this.isAtWork) return false;
    this.isAtWork = true;
    try {
      for (let pairs = this.pair(); pairs.length > 0; pairs = this.pair()) {
        const found = await this.read(pairs).catch((error: unknown) => this.putOff(pairs, error));
        if (!found) break;
        for (const pair of pairs) this.send(pair, found.get(pair.run.id));
      }
    } finally {
      this.isAtWork = false;
    }
    return true;
  }

  private pair(): Pair[] {
    const now = this.object.clock();
    const pairs: Pair[] = [];
    for (const [socket, subscriber] of this.subscribers.idle()) {
      if (pairs.length === READ_AT_ONCE) break;
      const run = this.queue.take(subscriber.keys, now);
      if (!run) continue;
      subscriber.run = run.id;
      pairs.push({ socket, subscriber, run });
    }
    return pairs;
  }

  /** Reads runs that are about to be sent. A run that cannot be read is kept as a dead letter and leaves the queue. */
  private async read(pairs: readonly Pair[]): Promise<Map<string, Found>> {
    const tools = this.object.tools();
    const found = new Map<string, Found>();
    const ids = pairs.map(({ run }) => run.id);
    for (const [id, read] of await readRuns(tools, ids)) {
      if ("text" in read) found.set(id, read);
      else
        await keepDeadLetter(tools, { queue: "task-queue", key: id, reason: read.wrong, message: { task_run_id: id } });
    }
    return found;
  }

  /** D1 could not be read: the runs keep their places. */
  private async putOff(pairs: readonly Pair[], error: unknown): Promise<null> {
    log(this.object.tools(), "error", "background tasks could not be read and wait", { error });
    for (const { subscriber, run } of pairs) {
      subscriber.run = null;
      this.queue.add(run, this.object.clock());
    }
    await this.object.setTimerBy("deliver", this.object.clock() + RETRY_AFTER);
    return null;
  }

  private send({ socket, subscriber, run }: Pair, found: Found | undefined): void {
    const now = this.object.clock();
    subscriber.run = null;
    const kept = this.rows.read(run.id);
    if (!kept || kept.given_to !== null) return;
    const isOther = kept.state_id !== run.state_id;
    if (isOther || this.subscribers.get(socket) !== subscriber) return this.queue.add(kept, now);
    // A run may already be pending if an earlier task worker had the run and disconnected.
    const isToBeRun = found?.stage === "scheduled" || (found?.stage === "pending" && kept.is_again);
    if (!found || !isToBeRun) return this.rows.remove(run.id);
    try {
      socket.send(found.text);
    } catch {
      // The socket is closing. The runtime reports the close to the object.
      return this.queue.add(kept, now);
    }
    Object.assign(subscriber, { run: run.id, since: now });
    keepState(socket, { ...stateOf(socket), run: run.id, since: now });
  }
}
