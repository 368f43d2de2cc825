/** The `WorkPool` object: what is due in one work pool, who polls it and who is alive. */
import { parseSettings, type ServicesSettings } from "#env";
import { type Clock, type Micros, systemClock, systemIds } from "#lib/clock";
import { SluiceObject } from "#objects/base";
import type { Identity } from "#objects/call";
import { closeQuietly } from "#objects/handshake";
import { Book, BOOK_TABLES, DOUBTED, type Queue, RESERVED } from "#objects/work-pool/book";
import { livenessAt, onlineUntil } from "#objects/work-pool/health";
import { CleanupQueue } from "#objects/work-pool/channel/cleanup-queue";
import { newToken } from "#objects/work-pool/channel/token";
import { isUpgrade, WorkerChannel } from "#objects/work-pool/channel/worker-channel";
import type { LedgerRun } from "#objects/work-pool/ledger";
import type {
  CleanupMessage,
  Offer,
  PollAnswer,
  PollAsk,
  QueuePollAsk,
  RunNote,
  Standing,
  Vitals,
  WorkPoolMethods,
  WorkerAnswer,
} from "#objects/work-pool/messages";
import { standingOf } from "#objects/work-pool/standing";
import { readConfig, readLiveRuns, reportStatuses } from "#objects/work-pool/repair";
import { markLate } from "#orchestration/mark-late";

const SECOND: Micros = 1_000_000;
/** So long after it was last told something, the object looks whether it was told all. */
const CHECK_AFTER = 5 * SECOND;
/** So often it looks while it has runs or is polled. */
const CHECK_EVERY = 120 * SECOND;
/** How far ahead it looks then; farther runs come into sight in time. */
const CHECK_AHEAD = 600 * SECOND;

/** The base sets a timer that failed again after as much. */
const RETRY_AFTER = 5 * SECOND;
/** So many runs are marked late at a time. */
const LATE_AT_ONCE = 100;

const toMs = (time: Micros) => Math.ceil(time / 1000);

export class WorkPool extends SluiceObject {
  clock: Clock = systemClock();
  private book: Book | null = null;
  private channel: WorkerChannel | null = null;
  /** Whether everything was read from D1 once. */
  private isBuilt = false;
  /** One read of D1 after the other, so that an older one never overwrites a newer. */
  private reading: Promise<unknown> = Promise.resolve();
  private building: Promise<void> | null = null;
  /** Runs that were told of while D1 is read: what was told is newer. */
  private touched: Set<string> | null = null;
  private checkedAt: Micros = 0;
  private changeTimerAt: Micros | null = null;
  private lateTimerAt: Micros | null = null;
  private services: ServicesSettings | null = null;

  override migrations(): readonly string[] {
    return BOOK_TABLES;
  }

  override methods(): Record<string, (...args: never[]) => unknown> {
    const methods: WorkPoolMethods = {
      poll: (pool, ask) => this.poll(pool, ask),
      pollQueue: (pool, poolId, ask) => this.pollQueue(pool, poolId, ask),
      notice: (pool, poolId, runs) => this.notice(pool, poolId, runs),
      take: (pool, poolId, queueId, runId) => this.take(pool, poolId, queueId, runId),
      change: (pool) => this.change(pool),
      noticeDeployments: (pool, queueIds) => this.noticeDeployments(pool, queueIds),
      heartbeat: (pool, name, intervalSeconds) => this.heartbeat(pool, name, intervalSeconds),
      vitals: (pool, poolId) => this.vitals(pool, poolId),
      standing: (pool, poolId, run) => this.standing(pool, poolId, run),
      reportNow: (pool) => this.report(pool),
      workers: (pool, poolId) => this.listWorkers(pool, poolId),
      enqueueCleanup: (pool, poolId, message) => this.enqueueCleanup(pool, poolId, message),
      deleteWorker: (pool, poolId, name) => this.deleteWorker(pool, poolId, name),
    };
    return { ...methods };
  }

  override async onTimer(name: string): Promise<void> {
    const workspace = this.readMeta("workspace");
    const poolName = this.readMeta("name");
    if (workspace === null || poolName === null) return;
    const pool = { workspace, name: poolName };
    if (name === "check") await this.check(pool);
    if (name === "change") await this.report(pool);
    if (name === "late") await this.markLate(pool);
    if (name === "cleanup") await this.theChannel().deliver();
  }

  /** Upgrades of workers, and calls. */
  override fetch(request: Request): Promise<Response> {
    return isUpgrade(request) ? Promise.resolve(this.theChannel().accept(request)) : super.fetch(request);
  }

  webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    return this.theChannel().receive(socket, message);
  }

  webSocketClose(socket: WebSocket): void {
    this.theChannel().left(socket);
    closeQuietly(socket, 1000, "");
  }

  webSocketError(socket: WebSocket): void {
    this.theChannel().left(socket);
    closeQuietly(socket, 1011, "");
  }

  private theChannel(): WorkerChannel {
    return (this.channel ??= new WorkerChannel({
      state: this.state,
      env: this.bindings,
      clock: () => this.clock(),
      ids: systemIds(),
      cleanups: this.cleanups(),
      toolsOf: (pool) => this.toolsOf(pool.workspace),
      open: () => this.open(),
      readMeta: (key) => this.readMeta(key),
      writeMeta: (key, value) => this.writeMeta(key, value),
      noteHeartbeat: (pool, worker, intervalSeconds) => this.hearOf(pool, worker, intervalSeconds),
      readAgain: (pool) => this.readAgain(pool),
      inTurn: (work) => this.inTurn(work),
      status: () => (this.book ? livenessAt(this.book.servedUntil(), this.clock()) : null),
      armCleanup: (at) => this.setTimer("cleanup", toMs(at)),
    }));
  }

  /** A worker's heartbeat on its channel. No other message may tell that the pool was changed, so it is looked at in time. */
  private async hearOf(pool: Identity, worker: string, intervalSeconds: number): Promise<string | null> {
    if (!(await this.heartbeat(pool, worker, intervalSeconds))) return null;
    const now = this.clock();
    if (now - this.checkedAt > CHECK_EVERY) await this.setTimerBy("check", toMs(now));
    return this.book?.pool?.id ?? null;
  }

  private async poll(pool: Identity, ask: PollAsk): Promise<PollAnswer> {
    let book = await this.ready(pool);
    let queues = book?.queuesNamed(ask.queues);
    if (typeof queues === "string") {
      await this.readAgain(pool);
      book = await this.ready(pool);
      queues = book?.queuesNamed(ask.queues);
    }
    if (!book?.pool || queues === undefined) return { kind: "no pool" };
    if (typeof queues === "string") return { kind: "no queue", name: queues };
    await this.notePoll(book, queues);
    return answer(book.pool.id, book.ledger.offer(book.pool, [...book.queues.values()], queues, ask));
  }

  private async pollQueue(pool: Identity, poolId: string, ask: QueuePollAsk): Promise<PollAnswer> {
    let book = await this.ready(pool, poolId);
    if (book && !book.queues.has(ask.queue_id)) {
      await this.readAgain(pool);
      book = await this.ready(pool, poolId);
    }
    const queue = book?.queues.get(ask.queue_id);
    if (!book?.pool) return { kind: "no pool" };
    if (!queue) return { kind: "no queue", name: ask.queue_id };
    if (!ask.is_look) await this.notePoll(book, [queue]);
    return answer(book.pool.id, book.ledger.offerOfQueue(queue, { before: ask.before, after: null, limit: ask.limit }));
  }

  private async notePoll(book: Book, queues: readonly Queue[]): Promise<void> {
    const now = this.clock();
    book.notePoll(queues, now);
    await this.armChange(book, now);
    if (now - this.checkedAt > CHECK_EVERY) await this.setTimerBy("check", toMs(now));
  }

  private async notice(pool: Identity, poolId: string, runs: readonly RunNote[]): Promise<void> {
    const book = await this.ready(pool, poolId);
    if (!book) return;
    const now = this.clock();
    let isDoubted = false;
    for (const [id, queueId, doing] of runs) {
      this.touched?.add(id);
      if (!book.noteRun(id, queueId, doing, now)) isDoubted = true;
    }
    await this.armLate(book);
    const isStrange = runs.some(([, queueId]) => !book.queues.has(queueId));
    await this.setTimerBy("check", toMs(now + (isStrange ? 0 : isDoubted ? DOUBTED : CHECK_AFTER)));
  }

  private async take(pool: Identity, poolId: string, queueId: string, runId: string): Promise<boolean> {
    let book = await this.ready(pool, poolId);
    if (book && !book.queues.has(queueId)) {
      await this.readAgain(pool);
      book = await this.ready(pool, poolId);
    }
    const now = this.clock();
    const isTaken = book?.take(runId, queueId, now) ?? null;
    if (isTaken === null) return true;
    if (!isTaken) return false;
    this.touched?.add(runId);
    await this.setTimerBy("check", toMs(now + RESERVED));
    return true;
  }

  /** Something of the pool was changed in D1. An object that knows nothing yet will read it when it is asked. */
  private async change(pool: Identity): Promise<void> {
    if (this.building === null && this.readMeta("built") === null) return;
    await this.ready(pool);
    await this.readAgain(pool);
  }

  private async noticeDeployments(pool: Identity, queueIds: readonly string[]): Promise<void> {
    const book = await this.ready(pool);
    if (queueIds.some((id) => book && !book.queues.has(id))) await this.readAgain(pool);
    this.book?.noteUnmarked(queueIds);
  }

  private async heartbeat(pool: Identity, name: string, intervalSeconds: number | null): Promise<boolean> {
    const book = await this.ready(pool);
    if (!book) return false;
    const now = this.clock();
    book.noteHeartbeat(name, intervalSeconds, now);
    await this.armChange(book, now);
    return true;
  }

  private async vitals(pool: Identity, poolId: string): Promise<Vitals | null> {
    const book = await this.ready(pool, poolId);
    if (!book) return null;
    const now = this.clock();
    const queues = [...book.queues.values()].map(
      (queue) => [queue.id, { status: livenessAt(queue.ready_until, now), last_polled: queue.last_polled }] as const,
    );
    return { status: livenessAt(book.servedUntil(), now), queues: Object.fromEntries(queues) };
  }

  private async standing(pool: Identity, poolId: string, run: Offer): Promise<Standing | null> {
    const book = await this.ready(pool, poolId);
    if (book && !book.queues.has(run.queue_id)) await this.readAgain(pool);
    return this.book?.pool?.id === poolId ? standingOf(this.book, this.theChannel().types(), run, this.clock()) : null;
  }

  private async listWorkers(pool: Identity, poolId: string): Promise<WorkerAnswer[]> {
    const book = await this.ready(pool, poolId);
    const now = this.clock();
    return [...(book?.workers.values() ?? [])].map((worker) => ({ ...worker, is_online: now < onlineUntil(worker) }));
  }

  private async deleteWorker(pool: Identity, poolId: string, name: string): Promise<boolean> {
    const book = await this.ready(pool, poolId);
    if (!book) return false;
    const now = this.clock();
    const isRemoved = book.removeWorker(name, now);
    await this.armChange(book, now);
    return isRemoved;
  }

  private async enqueueCleanup(pool: Identity, poolId: string, message: CleanupMessage): Promise<boolean> {
    if (!(await this.ready(pool, poolId))) return false;
    this.cleanups().enqueue(message, this.clock());
    await this.theChannel().deliver();
    return true;
  }

  private cleanups(): CleanupQueue {
    return new CleanupQueue({
      read: (statement, ...params) => this.sql.exec(statement, ...params).toArray(),
      write: (statement, ...params) => this.write(statement, ...params),
      newToken,
    });
  }

  /**
   * What is known of the pool, read from D1 if nothing is; null where there is no such pool. A caller who means another
   * pool of this name has it read again.
   */
  private async ready(pool: Identity, poolId?: string): Promise<Book | null> {
    if (!this.isBuilt) await this.build(pool);
    if (poolId !== undefined && this.book?.pool?.id !== poolId) await this.readAgain(pool);
    const book = this.isBuilt ? this.book : null;
    return book?.pool && (poolId === undefined || book.pool.id === poolId) ? book : null;
  }

  private async build(pool: Identity): Promise<void> {
    if (this.wake()) return;
    this.building ??= this.inTurn(() => this.buildNow(pool)).finally(() => {
      this.building = null;
    });
    await this.building;
  }

  /** Takes up what is in the object's own tables; whether it is all there. */
  private wake(): boolean {
    if (this.isBuilt || this.readMeta("built") === null) return this.isBuilt;
    this.book = this.newBook();
    this.book.load();
    this.checkedAt = Number(this.readMeta("checked") ?? 0);
    this.isBuilt = true;
    return true;
  }

  private async buildNow(pool: Identity): Promise<void> {
    if (this.wake()) return;
    const tools = this.toolsOf(pool.workspace);
    const config = await readConfig(tools, pool.name);
    if (!config) return;
    const runs = await readLiveRuns(
      tools,
      config.queues.map(({ id }) => id),
      null,
    );
    const now = this.clock();
    this.writeMeta("workspace", pool.workspace);
    this.writeMeta("name", pool.name);
    const book = this.newBook();
    book.clear();
    book.setConfig(config, now, true);
    book.reconcile({ at: now, runs, covers: () => true, isOutdated: () => false });
    this.noteChecked(now);
    this.writeMeta("built", String(now));
    this.book = book;
    this.isBuilt = true;
    await this.armChange(book, now);
    await this.armLate(book);
    if (book.ledger.size > 0) await this.setTimerBy("check", toMs(now + CHECK_EVERY));
  }

  /** Reads pool and queues again, after those who are reading now. */
  private readAgain(pool: Identity): Promise<void> {
    return this.inTurn(() => this.readNow(pool));
  }

  private async readNow(pool: Identity): Promise<void> {
    const book = this.wake() ? this.book : null;
    if (!book) return this.buildNow(pool);
    const { turn } = book;
    const config = await readConfig(this.toolsOf(pool.workspace), pool.name);
    if (config?.pool.id === book.pool?.id && config) {
      const now = this.clock();
      book.setConfig(config, now, turn === book.turn);
      await this.armChange(book, now);
      await this.theChannel().noticed(pool, config.pool.updated);
      return;
    }
    await this.startAnew();
    if (config) await this.buildNow(pool);
  }

  private async startAnew(): Promise<void> {
    this.theChannel().closeAll("authorization_failed");
    this.isBuilt = false;
    this.book = null;
    this.changeTimerAt = null;
    this.lateTimerAt = null;
    this.checkedAt = 0;
    await this.forget();
  }

  /** Looks whether what is known is what D1 says: the pool, its queues, what holds slots, and what is due before long. */
  private check(pool: Identity): Promise<void> {
    return this.inTurn(() => this.checkNow(pool));
  }

  private async checkNow(pool: Identity): Promise<void> {
    this.touched = new Set();
    try {
      await this.readNow(pool);
      if (this.book) await this.checkRuns(pool, this.book, this.touched);
    } finally {
      this.touched = null;
    }
  }

  private async checkRuns(pool: Identity, book: Book, touched: ReadonlySet<string>): Promise<void> {
    const at = this.clock();
    const until = at + CHECK_AHEAD;
    const runs = await readLiveRuns(this.toolsOf(pool.workspace), [...book.queues.keys()], until);
    const covers = ({ due }: LedgerRun) => due === null || due <= until;
    book.reconcile({ at, runs, covers, isOutdated: (id) => touched.has(id) });
    const now = this.clock();
    this.noteChecked(now);
    if (book.ledger.size > 0) await this.setTimerBy("check", toMs(now + CHECK_EVERY));
    const expiry = book.nextExpiry();
    if (expiry !== null) await this.setTimerBy("check", toMs(expiry));
    await this.armLate(book);
  }

  private noteChecked(now: Micros): void {
    this.checkedAt = now;
    this.writeMeta("checked", String(now));
  }

  /** Marks runs late that were not started in time. What is told of them meanwhile is heard, so this waits for nobody. */
  private async markLate(pool: Identity): Promise<void> {
    const book = await this.ready(pool);
    const { enabled, after_seconds } = this.settings().late_runs;
    if (!book || !enabled) return;
    // What is told of these runs meanwhile is not to set the timer for them again.
    this.lateTimerAt = 0;
    const overdue = book.ledger.overdue(this.clock() - after_seconds * SECOND, LATE_AT_ONCE);
    try {
      await markLate(
        this.toolsOf(pool.workspace),
        overdue.map(({ id }) => id),
      );
    } finally {
      // Seen to even if it failed: the cron does it then, and this alarm does not come again and again.
      book.noteLate(overdue);
      this.lateTimerAt = null;
    }
    await this.armLate(book);
  }

  /** Sets the alarm for when the first run will be late; with no run that is due, none is set. */
  private async armLate(book: Book): Promise<void> {
    const due = book.ledger.nextPunctual;
    const { enabled, after_seconds } = this.settings().late_runs;
    if (due === null || !enabled) return;
    const at = due + after_seconds * SECOND;
    if (this.lateTimerAt !== null && this.lateTimerAt <= at) return;
    this.lateTimerAt = at;
    await this.setTimerBy("late", toMs(at));
  }

  /** Tells D1 of statuses that changed, and waits for the next change. */
  private async report(pool: Identity): Promise<void> {
    const now = this.clock();
    // If this fails, the timer comes again by itself; polls are not to set it earlier.
    this.changeTimerAt = now + RETRY_AFTER;
    const book = await this.ready(pool);
    if (!book) return;
    if (this.settings().foreman.enabled) book.settle(now);
    const { edges, unmarked } = book.unreported();
    if (edges.length + unmarked.length > 0) {
      await reportStatuses(this.toolsOf(pool.workspace), pool.name, { edges, unmarked, queues: book.queues }, now);
      const ready = edges.filter(({ status }) => status === "READY").map(({ subject }) => subject);
      book.reported(edges, [...ready, ...unmarked.map(({ id }) => id)]);
    }
    this.changeTimerAt = null;
    await this.armChange(book, this.clock());
  }

  /** Sets the alarm for the next change of a status, or at once where D1 is behind. */
  private async armChange(book: Book, now: Micros): Promise<void> {
    const { edges, unmarked } = book.unreported();
    const nextChange = this.settings().foreman.enabled ? book.nextChange() : null;
    const at = edges.length + unmarked.length > 0 ? now : nextChange;
    if (at === null || (this.changeTimerAt !== null && this.changeTimerAt <= at)) return;
    this.changeTimerAt = at;
    await this.setTimerBy("change", toMs(at));
  }

  private settings(): ServicesSettings {
    this.services ??= parseSettings(this.bindings).services;
    return this.services;
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.reading.then(work);
    this.reading = done.catch(() => undefined);
    return done;
  }

  private newBook(): Book {
    const read = (statement: string) => this.sql.exec<Record<string, SqlStorageValue>>(statement).toArray();
    return new Book({ read, write: (statement, ...params) => this.write(statement, ...params) }, systemIds());
  }
}

function answer(poolId: string, offers: readonly Offer[]): PollAnswer {
  return { kind: "runs", pool_id: poolId, runs: offers.map(({ id, queue_id }) => [id, queue_id]) };
}
