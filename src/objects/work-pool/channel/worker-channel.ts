/**
 * The sockets of a pool's workers: who they are, that they are alive, what they are told of the pool, and the clean-up
 * messages that they are given. All that is to be known of a socket is kept with it, so that it outlives the object's sleep.
 */
import { parseSettings } from "#env";
import { isSocketToken } from "#http/auth";
import { readParams, SOCKET_HEADERS } from "#http/socket";
import type { Clock, Ids, Micros } from "#lib/clock";
import type { Identity } from "#objects/call";
import { Greetings, isSmallGreeting, parseMessage } from "#objects/handshake";
import type { CleanupQueue, Outcome, Reservation } from "#objects/work-pool/channel/cleanup-queue";
import {
  agree,
  CHANNEL_VERSION,
  CLOSE_CODES,
  type CloseReason,
  type Hello,
  type OperationFrame,
  type ServerFrameType,
  WorkerFrame,
} from "#objects/work-pool/channel/frames";
import { readShownPool, type ShownPool, welcome } from "#objects/work-pool/channel/welcome";
import { onlineUntil } from "#objects/work-pool/health";
import type { CleanupKind } from "#objects/work-pool/messages";
import type { Env } from "#env";
import { log } from "#lib/log";
import type { Tools } from "#tools";
import { printOptionalTime, printTime } from "#wire/dates";

/** The tag of these sockets, and the name of their channel in the upgrade's headers. */
const WORKER_CHANNEL = "worker-channel";

/** Whether a request is a worker's upgrade, handed on by the Worker. */
export function isUpgrade(request: Request): boolean {
  return request.headers.get(SOCKET_HEADERS.channel) === WORKER_CHANNEL;
}

/** More queues than that are not kept with a socket: which queues a worker prefers is a wish. */
const KEPT_QUEUES = 200;

/** More of a worker's type is not kept: it is only shown. */
const KEPT_OF_TYPE = 200;

/** Pools with longer names have no channel. */
const KEPT_OF_POOL_NAME = 2_000;

/** So large a frame may be; the template of a new pool is the largest part of any, and D1 takes values of 2 MB. */
const MAX_FRAME_CHARACTERS = 2_000_000;

/** When it is tried again to give messages, if that failed. */
const RETRY_AFTER: Micros = 5_000_000;

/** How far a socket has come. */
interface SocketState {
  stage: "auth" | "hello" | "open" | "closed";
  authorized: boolean;
  pool: Identity;
  worker: OpenWorker | null;
}

/** A worker that has introduced itself. */
interface OpenWorker {
  pool_id: string;
  consumer_id: string;
  name: string;
  /** Absent from sockets that were opened before it was kept. */
  type?: string;
  interval_seconds: number;
  opened: Micros;
  /** When it was last heard of on this socket. */
  heard: Micros;
  /** The snapshot that it was sent last, and how the pool was then. */
  sequence: number;
  pool_updated: Micros;
  kinds: CleanupKind[];
  /** How many messages it takes at once; none if it takes none at all. */
  capacity: number;
  /** The queues whose messages it is given first; null for all. */
  queue_ids: string[] | null;
  /** When it was last given a message. */
  served: Micros;
}

/** What the channel needs of its object. */
export interface Surroundings {
  state: DurableObjectState;
  env: Env;
  clock: Clock;
  ids: Ids;
  cleanups: CleanupQueue;
  toolsOf(pool: Identity): Tools;
  /** Has the object's tables made, which a stranger's upgrade does not. */
  open(): void;
  readMeta(key: string): string | null;
  writeMeta(key: string, value: string): void;
  /** Notes that a worker is alive; the pool's id, or null where there is none. */
  noteHeartbeat(pool: Identity, worker: string, intervalSeconds: number): Promise<string | null>;
  /** The pool was changed by what a worker said. */
  readAgain(pool: Identity): Promise<void>;
  /** Does something that reads D1 after those that read it now. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  /** Whether the pool is served. */
  status(): string | null;
  /** When the next reservation of a message is over. */
  armCleanup(at: Micros): Promise<void>;
}

interface Open {
  socket: WebSocket;
  worker: OpenWorker;
}

export class WorkerChannel {
  private readonly around: Surroundings;
  /** One message of a socket after the other. */
  private readonly turns = new WeakMap<WebSocket, Promise<void>>();
  private readonly greetings = new Greetings();

  constructor(around: Surroundings) {
    this.around = around;
  }

  /** Takes an upgrade. Prefect: the subprotocol is asked for, and who it is in the first message, wanted or not. */
  accept(request: Request): Response {
    const offered = (request.headers.get("sec-websocket-protocol") ?? "").split(",").map((name) => name.trim());
    if (!offered.includes("prefect")) return Response.json({ detail: "Forbidden" }, { status: 403 });
    const name = readParams(request)["work_pool_name"] ?? "";
    // No pool has such a name, and there is no room for it beside the socket.
    if (name.length > KEPT_OF_POOL_NAME) return Response.json({ detail: "Forbidden" }, { status: 403 });
    const refusal = this.greetings.refusal();
    if (refusal) return refusal;
    const { 0: client, 1: server } = new WebSocketPair();
    this.around.state.acceptWebSocket(server, [WORKER_CHANNEL]);
    keep(server, {
      stage: "auth",
      authorized: request.headers.get(SOCKET_HEADERS.authorized) === "1",
      pool: {
        workspace: request.headers.get(SOCKET_HEADERS.workspace) ?? "",
        name,
      },
      worker: null,
    });
    this.greetings.begin(server);
    return new Response(null, {
      status: 101,
      webSocket: client,
      headers: { "sec-websocket-protocol": "prefect" },
    });
  }

  /** Takes a message of a socket. */
  receive(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const before = this.turns.get(socket) ?? Promise.resolve();
    const turn = before.then(() => this.take(socket, message));
    this.turns.set(socket, turn);
    return turn;
  }

  private async take(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const state = stateOf(socket);
    if (state.stage === "closed") return;
    try {
      if (state.stage === "auth") return this.authenticate(socket, state, message);
      // Prefect: what is no text ends in an error of the server.
      if (typeof message !== "string") return close(socket, "transient_server_error");
      if (message.length > MAX_FRAME_CHARACTERS) return close(socket, "protocol_error");
      const frame = parseFrame(message);
      if (!frame) return close(socket, "protocol_error");
      if (state.stage === "hello") return await this.greet(socket, state, frame);
      this.around.open();
      await this.hear(socket, state, frame);
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
    const isKnown = state.authorized || isSocketToken(said["token"], parseSettings(this.around.env));
    if (said["type"] !== "auth" || !isKnown) return close(socket, "authentication_failed");
    keep(socket, { ...state, stage: "hello" });
    socket.send(JSON.stringify({ type: "auth_success" }));
  }

  private async greet(socket: WebSocket, state: SocketState, frame: WorkerFrame): Promise<void> {
    if (frame.type !== "worker.hello.v1") return close(socket, "protocol_error");
    const hello = frame.payload;
    if (!hello.supported_channel_versions.includes(CHANNEL_VERSION)) return close(socket, "unsupported_version");
    const found = await welcome(this.around.toolsOf(state.pool), state.pool.name, hello);
    if ("refused" in found) return close(socket, found.refused);
    // Only now is anything kept: each name that somebody makes up has an object of its own.
    this.around.open();
    if (found.isTemplateGiven) await this.around.readAgain(state.pool);
    const poolId = await this.noteHeartbeat(state.pool, hello.worker_name, hello.heartbeat_interval_seconds);
    if (poolId === null) return close(socket, "heartbeat_persistence_failed");
    const shown = await this.around.inTurn(() => this.look(state.pool));
    // The pool may have been deleted, or made anew, at any point up to here.
    if (shown?.id !== poolId || found.pool.id !== poolId) return close(socket, "authorization_failed");
    this.introduce(socket, state, { hello, queues: found.queues, shown });
    // Prefect: also who gave the pool its template is told that it has one.
    if (found.isTemplateGiven) this.showTo(socket, shown, "work_pool_updated");
    await this.tryToDeliver();
  }

  private introduce(
    socket: WebSocket,
    state: SocketState,
    { hello, queues, shown }: { hello: Hello; queues: { id: string; name: string }[]; shown: ShownPool },
  ): void {
    const now = this.around.clock();
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
    this.greetings.end(socket);
    this.send(socket, "worker.ready.v1", {
      consumer_id: hello.consumer_id,
      worker_id: null,
      selected_channel_version: CHANNEL_VERSION,
      effective_heartbeat_interval_seconds: hello.heartbeat_interval_seconds,
      accepted_capabilities: accepted,
      rejected_capabilities: rejected,
      effective_max_cleanup_concurrency: capacity,
      resolved_work_queues: queues,
      initial_snapshot: {
        snapshot_sequence: worker.sequence,
        reason: "initial",
        work_pool: shown.print(this.around.status()),
      },
    });
  }

  private async hear(socket: WebSocket, state: SocketState, frame: WorkerFrame): Promise<void> {
    const { worker } = state;
    if (!worker || frame.type === "worker.hello.v1") return close(socket, "protocol_error");
    if (frame.type !== "worker.heartbeat.v1") return this.operate(socket, worker, frame);
    const { consumer_id, worker_name, heartbeat_interval_seconds } = frame.payload;
    if (consumer_id !== worker.consumer_id || worker_name !== worker.name) return close(socket, "protocol_error");
    const poolId = await this.noteHeartbeat(state.pool, worker.name, heartbeat_interval_seconds);
    if (poolId !== worker.pool_id) return close(socket, "heartbeat_persistence_failed");
    change(socket, { heard: this.around.clock(), interval_seconds: heartbeat_interval_seconds });
    await this.catchUp(socket, state.pool);
    await this.tryToDeliver();
  }

  /** The id of the pool that the worker serves, or null where that could not be noted. */
  private async noteHeartbeat(pool: Identity, worker: string, intervalSeconds: number): Promise<string | null> {
    try {
      return await this.around.noteHeartbeat(pool, worker, intervalSeconds);
    } catch (error) {
      log({ workspaceId: pool.workspace }, "error", "a worker's heartbeat could not be noted", {
        work_pool_name: pool.name,
        worker_name: worker,
        error,
      });
      return null;
    }
  }

  /** Shows a worker the pool if it was changed since it was shown last. */
  private async catchUp(socket: WebSocket, pool: Identity): Promise<void> {
    if (stateOf(socket).worker?.pool_updated === this.known().updated) return;
    const shown = await this.around.inTurn(() => this.look(pool));
    if (!shown) return close(socket, "authorization_failed");
    const { worker } = stateOf(socket);
    if (worker?.pool_updated !== shown.updated) this.showTo(socket, shown, "heartbeat_reconciliation");
  }

  /** The pool's row was read, and says when it was changed. */
  async noticed(pool: Identity, updated: Micros): Promise<void> {
    if (this.sockets().length > 0 && this.known().updated !== updated) await this.look(pool);
  }

  /**
   * Reads the pool as workers are shown it. Of some changes all are told at once; of the others each learns with its next
   * heartbeat.
   */
  private async look(pool: Identity): Promise<ShownPool | null> {
    const shown = await readShownPool(this.around.toolsOf(pool), pool.name);
    if (!shown) return null;
    const { updated, mark } = this.known();
    if (shown.updated !== updated) this.around.writeMeta("shown updated", String(shown.updated));
    if (shown.mark === mark) return shown;
    this.around.writeMeta("shown mark", shown.mark);
    const told = this.workers().filter(({ worker }) => mark !== null && worker.pool_id === shown.id);
    for (const { socket } of told) this.showTo(socket, shown, "work_pool_updated");
    return shown;
  }

  private known(): { updated: Micros | null; mark: string | null } {
    const updated = this.around.readMeta("shown updated");
    return { updated: updated === null ? null : Number(updated), mark: this.around.readMeta("shown mark") };
  }

  private showTo(socket: WebSocket, shown: ShownPool, reason: string): void {
    const sequence = (stateOf(socket).worker?.sequence ?? 0) + 1;
    change(socket, { sequence, pool_updated: shown.updated });
    this.send(socket, "work_pool.snapshot.v1", {
      snapshot_sequence: sequence,
      reason,
      work_pool: shown.print(this.around.status()),
    });
  }

  private async operate(socket: WebSocket, worker: OpenWorker, frame: OperationFrame): Promise<void> {
    const { message_id } = frame.payload;
    const operation = OPERATIONS[frame.type];
    const outcome = worker.capacity > 0 ? this.outcomeOf(frame) : UNAUTHORIZED;
    this.send(socket, "cleanup.operation_result.v1", {
      request_frame_id: frame.id,
      message_id,
      operation,
      status: outcome.status,
      lease_expires_at: printOptionalTime(outcome.lease_expires_at),
      reason: outcome.reason,
      detail: null,
    });
    await this.tryToDeliver();
  }

  private outcomeOf(frame: OperationFrame): Outcome | typeof FAILED {
    const { message_id, reservation_token } = frame.payload;
    const { cleanups, clock } = this.around;
    try {
      return cleanups.operate(OPERATIONS[frame.type], message_id, reservation_token, clock());
    } catch (error) {
      log({}, "error", "a worker's answer to a cleanup message could not be noted", { message_id, error });
      return FAILED;
    }
  }

  /** A worker may have room for a message now. That none can be given is no fault of its socket. */
  private async tryToDeliver(): Promise<void> {
    try {
      await this.deliver();
    } catch (error) {
      log({}, "error", "cleanup messages could not be sent to workers", { error });
      await this.around.armCleanup(this.around.clock() + RETRY_AFTER);
    }
  }

  /** Gives messages to workers that have room for them, and sets the timer for what is not dealt with in time. */
  async deliver(): Promise<void> {
    const { cleanups, clock } = this.around;
    cleanups.expire(clock());
    while (cleanups.hasWaiting() && this.deliverOne());
    const next = cleanups.nextExpiry();
    if (next !== null) await this.around.armCleanup(next);
  }

  /** First those are asked whose queue it is, then all; who was served longest ago comes first. */
  private deliverOne(): boolean {
    const ready = this.readyForCleanup();
    return (
      ready.some((one) => this.give(one, one.worker.queue_ids)) ||
      ready.some((one) => one.worker.queue_ids !== null && this.give(one, null))
    );
  }

  private give({ socket, worker }: Open, queueIds: string[] | null): boolean {
    const now = this.around.clock();
    const wish = { holder: holderOf(worker), kinds: worker.kinds, queueIds };
    const message = this.around.cleanups.reserve(wish, now);
    if (!message) return false;
    change(socket, { served: now });
    this.send(socket, "cleanup.message.v1", payloadOf(message));
    return true;
  }

  /**
   * Who can be given a message: a worker that is alive and has room. A worker that came back is given messages on its newest
   * socket alone, for the others may be dead without anybody having said so.
   */
  private readyForCleanup(): Open[] {
    const now = this.around.clock();
    const newest = new Map<string, Open>();
    for (const one of this.workers()) {
      const { worker } = one;
      const other = newest.get(holderOf(worker));
      if (worker.capacity > 0 && (!other || other.worker.opened < worker.opened)) newest.set(holderOf(worker), one);
    }
    return [...newest.values()]
      .filter(({ worker }) => now < onlineUntil({ ...worker, last_heartbeat: worker.heard }))
      .filter(({ worker }) => this.around.cleanups.inHand(holderOf(worker), now) < worker.capacity)
      .toSorted((a, b) => a.worker.served - b.worker.served || a.worker.opened - b.worker.opened);
  }

  /** A socket has gone. */
  left(socket: WebSocket): void {
    this.greetings.end(socket);
  }

  /** Closes all sockets, as after the pool was deleted. */
  closeAll(reason: CloseReason): void {
    for (const socket of this.sockets()) close(socket, reason);
  }

  private sockets(): WebSocket[] {
    return this.around.state.getWebSockets(WORKER_CHANNEL);
  }

  /** The types of the workers that are connected, by their names. */
  types(): Map<string, string> {
    return new Map(this.workers().flatMap(({ worker: { name, type } }) => (type === undefined ? [] : [[name, type]])));
  }

  private workers(): Open[] {
    return this.sockets().flatMap((socket) => {
      const { stage, worker } = stateOf(socket);
      return stage === "open" && worker && socket.readyState === WebSocket.READY_STATE_OPEN ? [{ socket, worker }] : [];
    });
  }

  private send(socket: WebSocket, type: ServerFrameType, payload: unknown): void {
    const now = this.around.clock();
    try {
      socket.send(JSON.stringify({ type, id: this.around.ids.ordered(now), sent_at: printTime(now), payload }));
    } catch {
      // The worker has gone. What it was given is given to another when its time is over.
    }
  }
}

const OPERATIONS = {
  "cleanup.ack.v1": "ack",
  "cleanup.release.v1": "release",
  "cleanup.renew.v1": "renew",
} as const;

const FAILED = { status: "error", reason: "cleanup_queue_operation_failed", lease_expires_at: null } as const;
const UNAUTHORIZED = {
  status: "unauthorized",
  reason: "cleanup_delivery_not_accepted",
  lease_expires_at: null,
} as const;

/** A worker, over all its sockets. */
const holderOf = (worker: OpenWorker): string => `${worker.consumer_id} ${worker.name}`;

function payloadOf(message: Reservation) {
  return {
    message_id: message.message_id,
    kind: message.kind,
    reservation_token: message.reservation_token,
    lease_expires_at: printTime(message.lease_expires_at),
    delivery_count: message.delivery_count,
    work_queue_id: message.work_queue_id,
    target: message.target,
    data: message.data,
  };
}

function stateOf(socket: WebSocket): SocketState {
  // Written by `keep` alone.
  return socket.deserializeAttachment() as SocketState;
}

function keep(socket: WebSocket, state: SocketState): void {
  socket.serializeAttachment(state);
}

function change(socket: WebSocket, changes: Partial<OpenWorker>): void {
  const state = stateOf(socket);
  if (state.worker) keep(socket, { ...state, worker: { ...state.worker, ...changes } });
}

function close(socket: WebSocket, reason: CloseReason): void {
  keep(socket, { ...stateOf(socket), stage: "closed" });
  try {
    socket.close(CLOSE_CODES[reason], reason);
  } catch {
    // It is closed, which is all that was wanted.
  }
}

function parseFrame(text: string): WorkerFrame | null {
  const frame = WorkerFrame.safeParse(parseMessage(text));
  return frame.success ? frame.data : null;
}
