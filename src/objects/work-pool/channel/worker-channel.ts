/** The channel of a pool's workers: their handshake, their hello, their heartbeats. */
import { log } from "#lib/log";
import {
  authProblem,
  forbidden,
  isSmallGreeting,
  offersHandshake,
  parseMessage,
  upgrade,
  welcome as tellAuthenticated,
} from "#objects/handshake";
import type { SocketObject } from "#objects/sockets";
import { CleanupDelivery } from "#objects/work-pool/channel/cleanup-delivery";
import { agree, CHANNEL_VERSION, type Hello, WorkerFrame } from "#objects/work-pool/channel/frames";
import { PoolSnapshots, type ShownPool } from "#objects/work-pool/channel/snapshots";
import {
  change,
  close,
  keep,
  type OpenWorker,
  send,
  type SocketState,
  stateOf,
  WORKER_CHANNEL,
} from "#objects/work-pool/channel/sockets";
import { welcome } from "#objects/work-pool/channel/welcome";
import type { Reconciler } from "#objects/work-pool/reconciler";

/** A socket keeps no more queues than this, because a worker's preferred queues are only a wish. */
const KEPT_QUEUES = 200;
/** A socket keeps no more characters of a worker's type, because the type is only shown. */
const KEPT_OF_TYPE = 200;
/** Pools with longer names have no channel. */
const KEPT_OF_POOL_NAME = 2_000;
/** How many characters a frame may have. The largest part of a frame is the template of a new pool, and D1 takes values of 2 MB. */
const MAX_FRAME_CHARACTERS = 2_000_000;

/** The object of the pool, which records that a worker is alive. `heartbeat` returns false if the pool does not exist. */
type PoolObject = SocketObject & { heartbeat(worker: string, intervalSeconds: number): Promise<boolean> };

export class WorkerChannel {
  readonly snapshots: PoolSnapshots;
  readonly cleanups: CleanupDelivery;
  private readonly object: PoolObject;
  private readonly pool: Reconciler;
  /** The messages of one socket are handled one after the other. */
  private readonly turns = new WeakMap<WebSocket, Promise<void>>();

  constructor(object: PoolObject, pool: Reconciler) {
    this.object = object;
    this.pool = pool;
    this.snapshots = new PoolSnapshots(object, pool);
    this.cleanups = new CleanupDelivery(object);
  }

  /** Takes an upgrade. Prefect: the subprotocol is required, and the first message authenticates, even if no key is required. */
  accept(request: Request): Response {
    // No pool has such a long name, and the socket's state has no room for it.
    if (!offersHandshake(request) || this.pool.name.length > KEPT_OF_POOL_NAME) return forbidden();
    const refusal = this.object.greetings.refusal();
    if (refusal) return refusal;
    const pool = this.object.identity();
    return upgrade(request, (socket, { authorized }) => {
      this.object.state.acceptWebSocket(socket, [WORKER_CHANNEL]);
      keep(socket, { stage: "auth", authorized, pool, worker: null });
      this.object.greetings.begin(socket);
    });
  }

  /** Handles a message of a socket. */
  receive(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const before = this.turns.get(socket) ?? Promise.resolve();
    const turn = before.then(() => this.take(socket, message));
    this.turns.set(socket, turn);
    return turn;
  }

  private async take(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const state = stateOf(socket);
    if (state.stage === "closed") return;
    this.object.identify(state.pool);
    try {
      if (state.stage === "auth") return this.authenticate(socket, state, message);
      // Prefect: a message that is not text ends in a server error.
      if (typeof message !== "string") return close(socket, "transient_server_error");
      if (message.length > MAX_FRAME_CHARACTERS) return close(socket, "protocol_error");
      const frame = WorkerFrame.safeParse(parseMessage(message));
      if (!frame.success) return close(socket, "protocol_error");
      if (state.stage === "hello") return await this.greet(socket, state, frame.data);
      this.object.open();
      await this.hear(socket, state, frame.data);
    } catch (error) {
      log({ workspaceId: state.pool.workspace }, "error", "a worker's message could not be handled", {
        work_pool_name: state.pool.name,
        error,
      });
      close(socket, "transient_server_error");
    }
  }

  private authenticate(socket: WebSocket, state: SocketState, message: string | ArrayBuffer): void {
    if (!isSmallGreeting(socket, message)) return;
    const said = typeof message === "string" ? parseMessage(message) : {};
    if (authProblem(said, state.authorized, this.object.bindings) !== null)
      return close(socket, "authentication_failed");
    keep(socket, { ...state, stage: "hello" });
    tellAuthenticated(socket);
  }

  private async greet(socket: WebSocket, state: SocketState, frame: WorkerFrame): Promise<void> {
    if (frame.type !== "worker.hello.v1") return close(socket, "protocol_error");
    const hello = frame.payload;
    if (!hello.supported_channel_versions.includes(CHANNEL_VERSION)) return close(socket, "unsupported_version");
    const found = await welcome(this.object.tools(), this.pool.name, hello);
    if ("refused" in found) return close(socket, found.refused);
    // Not earlier: each name that a client invents has its own object.
    this.object.open();
    if (found.isTemplateGiven) await this.pool.readAgain();
    const poolId = await this.heartbeat(hello.worker_name, hello.heartbeat_interval_seconds);
    if (poolId === null) return close(socket, "heartbeat_persistence_failed");
    const shown = await this.snapshots.read();
    // The pool may have been deleted, or deleted and made again, at any time before this line.
    if (shown?.id !== poolId || found.pool.id !== poolId) return close(socket, "authorization_failed");
    this.introduce(socket, state, { hello, queues: found.queues, shown });
    // Prefect: the welcome says that the pool has a template, even to the worker that has just sent the template.
    if (found.isTemplateGiven) this.snapshots.show(socket, shown, "work_pool_updated");
    await this.cleanups.tryToDeliver();
  }

  private introduce(
    socket: WebSocket,
    state: SocketState,
    { hello, queues, shown }: { hello: Hello; queues: { id: string; name: string }[]; shown: ShownPool },
  ): void {
    const now = this.object.clock();
    const { accepted, rejected, capacity } = agree(hello);
    const worker: OpenWorker = {
      pool_id: shown.id,
      consumer_id: hello.consumer_id,
      name: hello.worker_name,
      type: hello.worker_type.slice(0, KEPT_OF_TYPE),
      interval_seconds: hello.heartbeat_interval_seconds,
      opened: now,
      heard: now,
      sequence: 1,
      pool_updated: shown.updated,
      kinds: [...new Set(hello.handled_cleanup_kinds)],
      capacity,
      queue_ids: hello.work_queue_names.length === 0 || queues.length > KEPT_QUEUES ? null : queues.map(({ id }) => id),
      served: 0,
    };
    keep(socket, { ...state, stage: "open", worker });
    this.object.greetings.end(socket);
    send(this.object, socket, "worker.ready.v1", {
      consumer_id: hello.consumer_id,
      worker_id: null,
      selected_channel_version: CHANNEL_VERSION,
      effective_heartbeat_interval_seconds: hello.heartbeat_interval_seconds,
      accepted_capabilities: accepted,
      rejected_capabilities: rejected,
      effective_max_cleanup_concurrency: capacity,
      resolved_work_queues: queues,
      initial_snapshot: this.snapshots.print(shown, worker.sequence, "initial"),
    });
  }

  private async hear(socket: WebSocket, { worker }: SocketState, frame: WorkerFrame): Promise<void> {
    if (!worker || frame.type === "worker.hello.v1") return close(socket, "protocol_error");
    if (frame.type !== "worker.heartbeat.v1") return this.cleanups.operate(socket, worker, frame);
    const { consumer_id, worker_name, heartbeat_interval_seconds } = frame.payload;
    if (consumer_id !== worker.consumer_id || worker_name !== worker.name) return close(socket, "protocol_error");
    const poolId = await this.heartbeat(worker.name, heartbeat_interval_seconds);
    if (poolId !== worker.pool_id) return close(socket, "heartbeat_persistence_failed");
    change(socket, { heard: this.object.clock(), interval_seconds: heartbeat_interval_seconds });
    await this.snapshots.catchUp(socket);
    await this.cleanups.tryToDeliver();
  }

  /** The id of the worker's pool, or null if the heartbeat could not be recorded. */
  private async heartbeat(worker: string, intervalSeconds: number): Promise<string | null> {
    try {
      if (!(await this.object.heartbeat(worker, intervalSeconds))) return null;
      // The notice of a change of the pool may be lost, and no other message brings it.
      await this.pool.checkIfStale(this.object.clock());
      return this.pool.state?.pool?.id ?? null;
    } catch (error) {
      log({}, "error", "a worker's heartbeat could not be noted", { worker_name: worker, error });
      return null;
    }
  }
}
