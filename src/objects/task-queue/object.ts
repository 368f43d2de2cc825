/** The `TaskQueue` object: the waiting background tasks of one workspace, and the sockets of the task workers. */
import { type Micros, SECOND } from "#lib/clock";
import { log } from "#lib/log";
import type { Implementation } from "#objects/call";
import { closeQuietly, isSmallGreeting, type Message, parseMessage, sizeOf, upgrade } from "#objects/handshake";
import { type ConnectedWorker, type QueueNote, type QueuedRun, TASK_QUEUE } from "#objects/task-queue/messages";
import { type Place, readScheduled, readStages } from "#resources/task-runs/queued-runs";
import {
  authenticate,
  keepState,
  readSubscription,
  refuse,
  type SocketState,
  stateOf,
  Subscribers,
} from "#objects/task-queue/sockets";
import { type KeptRun, QUEUE_TABLES, QueueTables } from "#objects/task-queue/tables";
import { SocketObject } from "#objects/sockets";
import { Delivery, RETRY_AFTER } from "#objects/task-queue/delivery";
import { WaitingRuns } from "#objects/task-queue/waiting-runs";

/** How often D1 is checked, while task workers are connected, for runs without a notice to the object. */
const CHECK_EVERY = 60 * SECOND;
/** The notice of a younger run in D1 may still be on its way to the object. */
const SETTLED_AFTER = 120 * SECOND;
/** How long a task worker with runs may be disconnected before another task worker gets the runs. */
const ABSENCE = 30 * SECOND;
/** A timer that fires later than this shows that the object was down, and that all connections were lost. */
const LATE = 15 * SECOND;
/** How many waiting runs the object keeps. Other runs stay in D1 until there is room. */
const MAX_KEPT = 50_000;
const PAGE = 1000;
/** How far ahead a timer is set at most. */
const FARTHEST = 86_400 * SECOND;

/** How many characters a message may have: a subscription to 10,000 keys has this size. */
const MAX_MESSAGE_CHARACTERS = 1_000_000;

export class TaskQueue extends SocketObject implements Implementation<typeof TASK_QUEUE> {
  override readonly migrations = QUEUE_TABLES;
  override readonly contract = TASK_QUEUE;
  /** How many waiting runs are kept. Tests lower this number. */
  room = MAX_KEPT;
  private queue = new WaitingRuns();
  private subscribers = new Subscribers();
  private rows = new QueueTables(this.storage);
  private delivery = new Delivery(this, this.queue, this.subscribers, this.rows);
  private isAwake = false;
  private checking: Promise<void> | null = null;
  private checkedAt: Micros | null = null;

  override async onTimer(name: string): Promise<void> {
    this.wake();
    if (name === "absence") await this.settleAbsences();
    if (name === "check") await this.check();
    await this.deliver();
  }

  override accept(request: Request): Response {
    const refusal = this.greetings.refusal();
    if (refusal) return refusal;
    this.open();
    this.keepIdentity();
    return upgrade(request, (socket, { greets, authorized }) => {
      this.state.acceptWebSocket(socket);
      const stage = greets ? "auth" : "subscribe";
      keepState(socket, { stage, authorized, subscription: null, client_id: "", run: null, since: 0 });
      this.greetings.begin(socket);
    });
  }

  override async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    this.open();
    this.wake();
    const state = stateOf(socket);
    if (state.stage === "auth" && !isSmallGreeting(socket, data)) return undefined;
    if (sizeOf(data) > MAX_MESSAGE_CHARACTERS) return refuse(socket, "the message is too large");
    const message = parseMessage(data);
    switch (state.stage) {
      case "auth":
        return authenticate(socket, message, this.bindings);
      case "subscribe":
        return this.subscribe(socket, state, message);
      case "open":
        return this.hear(socket, state, message);
      case "closed":
        return undefined;
      default:
        return state.stage satisfies never;
    }
  }

  async enqueue(note: QueueNote): Promise<void> {
    this.keepIdentity();
    this.wake();
    this.take(note);
    await this.deliver();
  }

  /** Puts a scheduled run in the queue. A run that callers report twice is in the queue once. */
  private take(note: QueueNote): void {
    const kept = this.rows.read(note.id);
    if (kept?.state_id === note.state_id) return;
    if (!kept && this.queue.size >= this.room) return this.leaveInD1(note.at);
    const run: QueuedRun = { ...note, is_again: false };
    this.rows.put(run);
    // The worker that the run is being sent to finds the new state.
    if (!this.subscribers.isSent(note.id)) this.queue.add(run, this.clock());
  }

  /** Leaves a run in D1 if the queue is full. The next check reads D1 from the time of this run on. */
  private leaveInD1(from: Micros): void {
    if (this.provedUntil() >= from) this.writeMeta("proved", String(from - 1));
    this.writeBehind(true);
  }

  /** The object knows all scheduled runs of D1 until this time. */
  private provedUntil(): Micros {
    return Math.min(Number(this.readMeta("proved") ?? 0), this.clock());
  }

  private async subscribe(socket: WebSocket, state: SocketState, message: Message): Promise<void> {
    const asked = readSubscription(message);
    if ("wrong" in asked) return refuse(socket, asked.wrong);
    this.greetings.end(socket);
    const { keys, client_id } = asked;
    const since = this.clock();
    const subscription = this.rows.subscribe(client_id, keys);
    keepState(socket, { ...state, stage: "open", subscription, client_id, since });
    this.subscribers.set(socket, { client_id, keys, run: null, since });
    this.rows.setPresent(client_id);
    await this.deliver();
    await this.checkSoon();
  }

  /** Handles a message of a subscribed task worker. Prefect: except `quit`, messages are ignored while the worker has no unconfirmed run. */
  private async hear(socket: WebSocket, state: SocketState, message: Message): Promise<void> {
    const { type } = message;
    if (type === "quit") {
      closeQuietly(socket, 1000, "");
      return this.left(socket);
    }
    if (state.run === null) return;
    if (type !== "ack") {
      refuse(socket, "expected 'ack' message");
      return this.left(socket);
    }
    const now = this.clock();
    this.rows.give(state.run, state.client_id, now);
    keepState(socket, { ...state, run: null, since: now });
    const subscriber = this.subscribers.get(socket);
    if (subscriber) Object.assign(subscriber, { run: null, since: now });
    await this.deliver();
  }

  /** The run that the socket was sent and had not confirmed goes to the next task worker, before new runs. May be repeated. */
  override async left(socket: WebSocket): Promise<void> {
    this.greetings.end(socket);
    this.open();
    this.wake();
    this.subscribers.delete(socket);
    const state = stateOf(socket);
    if (state.stage !== "open") return;
    keepState(socket, { ...state, stage: "closed", run: null });
    if (state.subscription !== null) this.rows.unsubscribe(state.subscription);
    const kept = state.run === null ? undefined : this.rows.read(state.run);
    if (kept && kept.given_to === null) this.giveBack(kept);
    await this.noteAbsence(state.client_id, this.clock());
    await this.deliver();
  }

  /** Puts a run back in the queue, before new runs. */
  private giveBack(run: QueuedRun): void {
    const again = { ...run, is_retry: true, due: 0 };
    this.rows.put(again);
    this.queue.add(again, this.clock());
  }

  /** Gives a task worker with runs but without a connection some time to connect again. */
  private async noteAbsence(clientId: string, now: Micros): Promise<void> {
    if (this.subscribers.isConnected(clientId) || !this.rows.hasGiven(clientId)) return;
    this.rows.setAbsent(clientId, now + ABSENCE);
    await this.setTimerBy("absence", now + ABSENCE);
  }

  /** Puts the runs of task workers that did not connect again back in the queue, except runs that have begun. */
  private async settleAbsences(): Promise<void> {
    const now = this.clock();
    for (const [clientId, until] of this.rows.absent()) {
      if (this.subscribers.isConnected(clientId)) this.rows.setPresent(clientId);
      else if (now > until + LATE) this.rows.setAbsent(clientId, now + ABSENCE);
      else if (now >= until) await this.takeBack(clientId, now);
    }
    const [next] = [...this.rows.absent().values()].toSorted((a, b) => a - b);
    if (next !== undefined) await this.setTimerBy("absence", next);
  }

  private async takeBack(clientId: string, now: Micros): Promise<void> {
    await this.eachGiven(now, clientId, (run) => {
      const isStillGone = !this.subscribers.isConnected(clientId) && this.rows.read(run.id)?.given_to === clientId;
      if (isStillGone) this.giveBack({ ...run, is_again: true });
    });
    if (!this.rows.hasGiven(clientId)) this.rows.setPresent(clientId);
  }

  /** Checks the runs that task workers have confirmed. Forgets the runs that have begun or are deleted, and calls `see` with the others. */
  private async eachGiven(until: Micros, clientId: string | null, see: (run: KeptRun) => void): Promise<void> {
    for (let after = "", isMore = true; isMore;) {
      const page = this.rows.given(until, after, PAGE, clientId);
      if (page.length === 0) return;
      const stages = await readStages(
        this.tools(),
        page.map(({ id }) => id),
      );
      const isPast = ({ id }: KeptRun) => (stages.get(id) ?? "past") === "past";
      this.rows.removeGiven(page.filter(isPast).map(({ id }) => id));
      for (const run of page) if (!isPast(run)) see(run);
      after = page.at(-1)?.id ?? "";
      isMore = page.length === PAGE;
    }
  }

  /** Sends waiting runs to idle task workers. Then sets the timers for the next due run, and for a read of the runs that were left in D1. */
  private async deliver(): Promise<void> {
    if (!(await this.delivery.deliver()) || this.subscribers.size === 0) return;
    const due = this.queue.nextDue();
    // The platform limits how late an alarm can be. A timer that fires early is set again.
    if (due !== null) await this.setTimerBy("deliver", Math.min(due, this.clock() + FARTHEST) + 1000);
    if (this.queue.size < this.room / 2 && this.isBehind()) await this.setTimerBy("check", Date.now() * 1000);
  }

  /** Checks D1 when a task worker subscribes, unless a check has just ended. */
  private async checkSoon(): Promise<void> {
    const now = this.clock();
    if (this.checkedAt !== null && now - this.checkedAt < CHECK_EVERY / 10) return this.armCheck(this.checkedAt);
    try {
      await this.check();
    } catch (error) {
      log(this.tools(), "error", "the task queue could not look into D1 and will again", { error });
      await this.setTimerBy("check", now + RETRY_AFTER);
    }
    await this.deliver();
  }

  /** Finds in D1 the runs without a notice to the object, and the stage of the runs that task workers have confirmed. */
  private check(): Promise<void> {
    this.checking ??= this.checkNow().finally(() => {
      this.checking = null;
    });
    return this.checking;
  }

  private async checkNow(): Promise<void> {
    const startedAt = this.clock();
    this.checkedAt = startedAt;
    await this.readMissing(startedAt);
    const gone = new Set<string>();
    await this.eachGiven(startedAt, null, ({ given_to: clientId }) => {
      if (clientId !== null && !this.subscribers.isConnected(clientId)) gone.add(clientId);
    });
    const known = this.rows.absent();
    for (const clientId of gone) if (!known.has(clientId)) await this.noteAbsence(clientId, this.clock());
    await this.armCheck(startedAt);
  }

  private async readMissing(startedAt: Micros): Promise<void> {
    let place: Place | null = { at: this.provedUntil(), id: "" };
    this.writeBehind(false);
    while (place !== null && this.queue.size < this.room) {
      const { runs, next }: Awaited<ReturnType<typeof readScheduled>> = await readScheduled(this.tools(), place, PAGE);
      for (const run of runs) this.take(run);
      place = next;
    }
    // A client may have scheduled a run with a time in the far future.
    const settled = startedAt - SETTLED_AFTER;
    const proved = place === null ? settled : Math.min(place.at - 1, settled);
    // During the check, a run may have been left in D1 because the queue was full.
    if (!this.isBehind() && proved > this.provedUntil()) this.writeMeta("proved", String(proved));
    if (place !== null) this.writeBehind(true);
  }

  private isBehind(): boolean {
    return this.readMeta("behind") === "1";
  }

  private writeBehind(isBehind: boolean): void {
    if (this.isBehind() !== isBehind) this.writeMeta("behind", isBehind ? "1" : "0");
  }

  /** While a task worker is connected, the timer for the next check is set. */
  private async armCheck(from: Micros): Promise<void> {
    if (this.subscribers.size > 0) await this.setTimerBy("check", from + CHECK_EVERY);
  }

  workers(): ConnectedWorker[] {
    this.wake();
    return this.subscribers.workers(this.clock());
  }

  /** Loads the object's state after hibernation or an eviction: its rows, and the sockets that are still open. */
  private wake(): void {
    if (this.isAwake) return;
    this.isAwake = true;
    const subscriptions = new Map(this.rows.subscriptions().map((one) => [one.id, one]));
    const out = new Set<string>();
    for (const socket of this.state.getWebSockets()) {
      const { stage, subscription: id, run, since } = stateOf(socket);
      const subscription = id === null ? undefined : subscriptions.get(id);
      if (stage !== "open" || !subscription) continue;
      subscriptions.delete(subscription.id);
      this.subscribers.set(socket, { client_id: subscription.client_id, keys: subscription.keys, run, since });
      if (run !== null) out.add(run);
    }
    for (const id of subscriptions.keys()) this.rows.unsubscribe(id);
    const now = this.clock();
    for (const run of this.rows.all()) if (run.given_to === null && !out.has(run.id)) this.queue.add(run, now);
  }
}
