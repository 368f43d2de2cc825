/** The `TaskQueue` object: the background tasks of one workspace that wait, and the sockets of those who run them. */
import { keepDeadLetter } from "#events/dead-letters";
import { SOCKET_HEADERS } from "#http/socket";
import { type Clock, type Micros, systemClock } from "#lib/clock";
import { log } from "#lib/log";
import { SluiceObject } from "#objects/base";
import { closeQuietly, Greetings, isSmallGreeting, parseMessage, sizeOf } from "#objects/handshake";
import type { ConnectedWorker, QueueNote, QueuedRun, TaskQueueMethods } from "#objects/task-queue/messages";
import { Queue } from "#objects/task-queue/queue";
import { type Found, type Place, readRuns, readScheduled, readStages } from "#resources/task-runs/queued-runs";
import {
  acceptSocket,
  authenticate,
  keepState,
  readSubscription,
  refuse,
  type SocketState,
  stateOf,
} from "#objects/task-queue/sockets";
import { type KeptRun, QUEUE_TABLES, QueueTables } from "#objects/task-queue/tables";
import type { Tools } from "#tools";

const SECOND: Micros = 1_000_000;
/** While task workers are connected, D1 is looked through so often for runs the object was not told of. */
const CHECK_EVERY = 60 * SECOND;
/** A run in D1 that is younger may still be on its way to the object. */
const SETTLED_AFTER = 120 * SECOND;
/** A task worker that was given runs may come back for so long before they are given to another. */
const ABSENCE = 30 * SECOND;
/** A timer that comes later than this says that the object was down, and with it everybody's connection. */
const LATE = 15 * SECOND;
/** What waits beyond this stays in D1 until there is room. */
const MAX_KEPT = 50_000;
const PAGE = 1000;
/** So many runs are read at once to be sent; each may have 2 MB. */
const READ_AT_ONCE = 10;
const RETRY_AFTER = 2 * SECOND;
/** How far ahead a timer is set at most. */
const FARTHEST = 86_400 * SECOND;

/** A task worker's connection that has subscribed. */
interface Subscriber {
  client_id: string;
  keys: string[];
  /** The run it was sent, or is about to be sent. */
  run: string | null;
  since: Micros;
}

/** What a subscription to 10,000 keys may have. */
const MAX_MESSAGE_CHARACTERS = 1_000_000;

/** A run that is about to be sent. */
interface Delivery {
  socket: WebSocket;
  subscriber: Subscriber;
  run: QueuedRun;
}

export class TaskQueue extends SluiceObject {
  clock: Clock = systemClock();
  /** So many waiting runs are kept. */
  room = MAX_KEPT;
  private queue = new Queue();
  private greetings = new Greetings();
  private subscribers = new Map<WebSocket, Subscriber>();
  private rows: QueueTables | null = null;
  private isDelivering = false;
  private checking: Promise<void> | null = null;
  private checkedAt: Micros | null = null;

  override migrations(): readonly string[] {
    return QUEUE_TABLES;
  }

  override methods(): Record<string, (...args: never[]) => unknown> {
    const methods: TaskQueueMethods = {
      enqueue: (workspace, run) => this.enqueue(workspace, run),
      workers: async () => this.workers(),
    };
    return { ...methods };
  }

  override async onTimer(name: string): Promise<void> {
    this.wake();
    if (name === "absence") await this.settleAbsences();
    if (name === "check") await this.check();
    await this.deliver();
  }

  /** Upgrades; other requests are calls. */
  override async fetch(request: Request): Promise<Response> {
    if (!request.headers.has(SOCKET_HEADERS.channel)) return super.fetch(request);
    const refusal = this.greetings.refusal();
    if (refusal) return refusal;
    this.open();
    this.keepWorkspace(request.headers.get(SOCKET_HEADERS.workspace) ?? "");
    return acceptSocket(this.state, request, this.greetings);
  }

  async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
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

  async webSocketClose(socket: WebSocket): Promise<void> {
    closeQuietly(socket, 1000, "");
    await this.leave(socket);
  }

  async webSocketError(socket: WebSocket): Promise<void> {
    closeQuietly(socket, 1011, "");
    await this.leave(socket);
  }

  private async enqueue(workspace: string, note: QueueNote): Promise<void> {
    this.keepWorkspace(workspace);
    this.wake();
    this.take(note);
    await this.deliver();
  }

  /** Takes up a run that was scheduled. Told of twice, it is in the queue once. */
  private take(note: QueueNote): void {
    const kept = this.tables().read(note.id);
    if (kept?.state_id === note.state_id) return;
    if (!kept && this.queue.size >= this.room) return this.leaveInD1(note.at);
    const run: QueuedRun = { ...note, is_again: false };
    this.tables().put(run);
    // A worker that is being sent the run will find the new state.
    if (!this.isOut(note.id)) this.queue.add(run, this.clock());
  }

  private isOut(id: string): boolean {
    return [...this.subscribers.values()].some(({ run }) => run === id);
  }

  /** The next check reads from there on. */
  private leaveInD1(from: Micros): void {
    if (this.provedUntil() >= from) this.writeMeta("proved", String(from - 1));
    this.writeBehind(true);
  }

  /** Until when all scheduled runs of D1 are known here. */
  private provedUntil(): Micros {
    return Math.min(Number(this.readMeta("proved") ?? 0), this.clock());
  }

  private async subscribe(socket: WebSocket, state: SocketState, message: Record<string, unknown>): Promise<void> {
    const asked = readSubscription(message);
    if ("wrong" in asked) return refuse(socket, asked.wrong);
    this.greetings.end(socket);
    const { keys, client_id } = asked;
    const since = this.clock();
    const subscription = this.tables().subscribe(client_id, keys);
    keepState(socket, { ...state, stage: "open", subscription, client_id, since });
    this.subscribers.set(socket, { client_id, keys, run: null, since });
    this.tables().setPresent(client_id);
    await this.deliver();
    await this.checkSoon();
  }

  /** What a task worker says that has subscribed. Prefect: nothing is read of it while it has been sent nothing. */
  private async hear(socket: WebSocket, state: SocketState, message: Record<string, unknown>): Promise<void> {
    const { type } = message;
    if (type === "quit") {
      closeQuietly(socket, 1000, "");
      return this.leave(socket);
    }
    if (state.run === null) return;
    if (type !== "ack") {
      refuse(socket, "expected 'ack' message");
      return this.leave(socket);
    }
    const now = this.clock();
    this.tables().give(state.run, state.client_id, now);
    keepState(socket, { ...state, run: null, since: now });
    const subscriber = this.subscribers.get(socket);
    if (subscriber) Object.assign(subscriber, { run: null, since: now });
    await this.deliver();
  }

  /** A socket has gone: what it was sent and had not confirmed goes to the next, before new ones. May be repeated. */
  private async leave(socket: WebSocket): Promise<void> {
    this.greetings.end(socket);
    this.open();
    this.wake();
    this.subscribers.delete(socket);
    const state = stateOf(socket);
    if (state.stage !== "open") return;
    keepState(socket, { ...state, stage: "closed", run: null });
    if (state.subscription !== null) this.tables().unsubscribe(state.subscription);
    const kept = state.run === null ? undefined : this.tables().read(state.run);
    if (kept && kept.given_to === null) this.giveBack(kept);
    await this.noteAbsence(state.client_id, this.clock());
    await this.deliver();
  }

  /** Puts a run back, before new ones. */
  private giveBack(run: QueuedRun): void {
    const again = { ...run, is_retry: true, due: 0 };
    this.tables().put(again);
    this.queue.add(again, this.clock());
  }

  private isConnected(clientId: string): boolean {
    return [...this.subscribers.values()].some((subscriber) => subscriber.client_id === clientId);
  }

  /** Gives a task worker that is gone, and that has runs, some time to come back. */
  private async noteAbsence(clientId: string, now: Micros): Promise<void> {
    if (this.isConnected(clientId) || !this.tables().hasGiven(clientId)) return;
    this.tables().setAbsent(clientId, now + ABSENCE);
    await this.setTimerBy("absence", toMs(now + ABSENCE));
  }

  /** Task workers that did not come back: what they had not begun goes to others. */
  private async settleAbsences(): Promise<void> {
    const now = this.clock();
    const rows = this.tables();
    for (const [clientId, until] of rows.absent()) {
      if (this.isConnected(clientId)) rows.setPresent(clientId);
      else if (now > until + LATE) rows.setAbsent(clientId, now + ABSENCE);
      else if (now >= until) await this.takeBack(clientId, now);
    }
    const [next] = [...rows.absent().values()].toSorted((a, b) => a - b);
    if (next !== undefined) await this.setTimerBy("absence", toMs(next));
  }

  private async takeBack(clientId: string, now: Micros): Promise<void> {
    await this.eachGiven(now, clientId, (run) => {
      const isStillGone = !this.isConnected(clientId) && this.tables().read(run.id)?.given_to === clientId;
      if (isStillGone) this.giveBack({ ...run, is_again: true });
    });
    if (!this.tables().hasGiven(clientId)) this.tables().setPresent(clientId);
  }

  /** Forgets the runs that were given away and have begun or are gone, and shows the others, page by page. */
  private async eachGiven(until: Micros, clientId: string | null, see: (run: KeptRun) => void): Promise<void> {
    for (let after = "", isMore = true; isMore;) {
      const page = this.tables().given(until, after, PAGE, clientId);
      if (page.length === 0) return;
      const stages = await readStages(
        this.tools(),
        page.map(({ id }) => id),
      );
      const isPast = ({ id }: KeptRun) => (stages.get(id) ?? "past") === "past";
      this.tables().removeGiven(page.filter(isPast).map(({ id }) => id));
      for (const run of page) if (!isPast(run)) see(run);
      after = page.at(-1)?.id ?? "";
      isMore = page.length === PAGE;
    }
  }

  /** Sends waiting runs to task workers that wait, as long as there are both. */
  private async deliver(): Promise<void> {
    if (this.isDelivering) return;
    this.isDelivering = true;
    try {
      for (let pairs = this.pair(); pairs.length > 0; pairs = this.pair()) {
        const found = await this.readOut(pairs).catch((error: unknown) => this.putOff(pairs, error));
        if (!found) break;
        for (const delivery of pairs) this.send(delivery, found.get(delivery.run.id));
      }
    } finally {
      this.isDelivering = false;
    }
    await this.armNext();
  }

  /** Runs for those who have none, who has waited longest first. */
  private pair(): Delivery[] {
    const now = this.clock();
    const idle = [...this.subscribers].filter(([, { run }]) => run === null);
    const pairs: Delivery[] = [];
    for (const [socket, subscriber] of idle.toSorted(([, a], [, b]) => a.since - b.since)) {
      if (pairs.length === READ_AT_ONCE) break;
      const run = this.queue.take(subscriber.keys, now);
      if (!run) continue;
      subscriber.run = run.id;
      pairs.push({ socket, subscriber, run });
    }
    return pairs;
  }

  /** Reads runs that are about to be sent. One that cannot be read is kept as a dead letter, and leaves the queue. */
  private async readOut(pairs: readonly Delivery[]): Promise<Map<string, Found>> {
    const tools = this.tools();
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
  private async putOff(pairs: readonly Delivery[], error: unknown): Promise<null> {
    log(this.tools(), "error", "background tasks could not be read and wait", { error });
    for (const { subscriber, run } of pairs) {
      subscriber.run = null;
      this.queue.add(run, this.clock());
    }
    await this.setTimerBy("deliver", toMs(this.clock() + RETRY_AFTER));
    return null;
  }

  private send({ socket, subscriber, run }: Delivery, found: Found | undefined): void {
    subscriber.run = null;
    const kept = this.tables().read(run.id);
    if (!kept || kept.given_to !== null) return;
    const isOther = kept.state_id !== run.state_id;
    if (isOther || this.subscribers.get(socket) !== subscriber) return this.queue.add(kept, this.clock());
    if (!found || !isToBeRun(kept, found)) return this.tables().remove(run.id);
    const since = this.clock();
    try {
      socket.send(found.text);
    } catch {
      // The socket is closing, and its end is told apart from this.
      return this.queue.add(kept, since);
    }
    Object.assign(subscriber, { run: run.id, since });
    keepState(socket, { ...stateOf(socket), run: run.id, since });
  }

  /** Sees to it that what comes due is sent then, and that what was left in D1 is read when there is room. */
  private async armNext(): Promise<void> {
    if (this.subscribers.size === 0) return;
    const due = this.queue.nextDue();
    // An alarm takes no time of any distance; one that comes early is set anew.
    if (due !== null) await this.setTimerBy("deliver", toMs(Math.min(due, this.clock() + FARTHEST)) + 1);
    if (this.queue.size < this.room / 2 && this.isBehind()) await this.setTimerBy("check", Date.now());
  }

  /** Looks through D1 when somebody subscribes, unless that was just done. */
  private async checkSoon(): Promise<void> {
    const now = this.clock();
    if (this.checkedAt !== null && now - this.checkedAt < CHECK_EVERY / 10) return this.armCheck(this.checkedAt);
    try {
      await this.check();
    } catch (error) {
      log(this.tools(), "error", "the task queue could not look into D1 and will again", { error });
      await this.setTimerBy("check", toMs(now + RETRY_AFTER));
    }
    await this.deliver();
  }

  /** Looks in D1 for runs the object was not told of, and for what became of those it gave away. */
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
      if (clientId !== null && !this.isConnected(clientId)) gone.add(clientId);
    });
    const known = this.tables().absent();
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
    // A run may say of itself that it was scheduled in the far future.
    const settled = startedAt - SETTLED_AFTER;
    const proved = place === null ? settled : Math.min(place.at - 1, settled);
    // Meanwhile a run may have been left in D1 for want of room.
    if (!this.isBehind() && proved > this.provedUntil()) this.writeMeta("proved", String(proved));
    if (place !== null) this.writeBehind(true);
  }

  private isBehind(): boolean {
    return this.readMeta("behind") === "1";
  }

  private writeBehind(isBehind: boolean): void {
    if (this.isBehind() !== isBehind) this.writeMeta("behind", isBehind ? "1" : "0");
  }

  /** While somebody is connected, the next check is on its way. */
  private async armCheck(from: Micros): Promise<void> {
    if (this.subscribers.size > 0) await this.setTimerBy("check", toMs(from + CHECK_EVERY));
  }

  private workers(): ConnectedWorker[] {
    this.wake();
    const now = this.clock();
    const workers = new Map<string, ConnectedWorker>();
    for (const { client_id: identifier, keys, run, since } of this.subscribers.values()) {
      const known = workers.get(identifier);
      const seen = run === null ? now : since;
      workers.set(identifier, {
        identifier,
        task_keys: [...new Set([...(known?.task_keys ?? []), ...keys])],
        seen: Math.max(known?.seen ?? 0, seen),
      });
    }
    return [...workers.values()];
  }

  /** Takes up what the object knew before it slept or was ended: its rows, and the sockets that are still open. */
  private wake(): void {
    if (this.rows) return;
    const rows = this.tables();
    const subscriptions = new Map(rows.subscriptions().map((one) => [one.id, one]));
    const out = new Set<string>();
    for (const socket of this.state.getWebSockets()) {
      const { stage, subscription: id, run, since } = stateOf(socket);
      const subscription = id === null ? undefined : subscriptions.get(id);
      if (stage !== "open" || !subscription) continue;
      subscriptions.delete(subscription.id);
      this.subscribers.set(socket, { client_id: subscription.client_id, keys: subscription.keys, run, since });
      if (run !== null) out.add(run);
    }
    for (const id of subscriptions.keys()) rows.unsubscribe(id);
    const now = this.clock();
    for (const run of rows.all()) if (run.given_to === null && !out.has(run.id)) this.queue.add(run, now);
  }

  private tables(): QueueTables {
    return (this.rows ??= new QueueTables({
      read: <Row extends Record<string, SqlStorageValue>>(statement: string, ...params: SqlStorageValue[]) =>
        this.sql.exec<Row>(statement, ...params).toArray(),
      write: (statement, ...params) => this.write(statement, ...params),
    }));
  }

  private tools(): Tools {
    return this.toolsOf(this.readMeta("workspace") ?? "");
  }

  private keepWorkspace(workspace: string): void {
    if (this.readMeta("workspace") !== workspace) this.writeMeta("workspace", workspace);
  }
}

const toMs = (at: Micros): number => Math.ceil(at / 1000);

/** Whether a run is still to be run; one that a task worker had taken up may be pending already. */
function isToBeRun(run: QueuedRun, { stage }: Found): boolean {
  return stage === "scheduled" || (stage === "pending" && run.is_again);
}
