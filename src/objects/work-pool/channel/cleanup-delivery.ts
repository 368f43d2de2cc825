/** Sends clean-up messages to the workers of a pool, and handles the workers' answers. */
import { Buffer } from "node:buffer";
import type { Micros } from "#lib/clock";
import { log } from "#lib/log";
import type { SluiceObject } from "#objects/base";
import { CleanupQueue, type Outcome, refusal } from "#objects/work-pool/channel/cleanup-queue";
import type { OperationFrame } from "#objects/work-pool/channel/frames";
import { change, type Open, type OpenWorker, openWorkers, send } from "#objects/work-pool/channel/sockets";
import { onlineUntil } from "#objects/work-pool/status";
import type { CleanupMessage } from "#objects/work-pool/messages";
import { printOptionalTime, printTime } from "#wire/dates";

/** How long after a failed delivery the next delivery is tried. */
const RETRY_AFTER: Micros = 5_000_000;

const OPERATIONS = {
  "cleanup.ack.v1": "ack",
  "cleanup.release.v1": "release",
  "cleanup.renew.v1": "renew",
} as const;

export class CleanupDelivery {
  private readonly object: SluiceObject;
  private readonly queue: CleanupQueue;

  constructor(object: SluiceObject) {
    this.object = object;
    this.queue = new CleanupQueue(object.storage, newToken);
  }

  /** Takes a message for any of the workers. */
  async enqueue(message: CleanupMessage): Promise<void> {
    this.queue.enqueue(message, this.object.clock());
    await this.deliver();
  }

  /** Handles a worker's request that has the token of a message. */
  async operate(socket: WebSocket, worker: OpenWorker, frame: OperationFrame): Promise<void> {
    const { message_id } = frame.payload;
    const outcome = worker.capacity > 0 ? this.outcomeOf(frame) : refusal("unauthorized");
    send(this.object, socket, "cleanup.operation_result.v1", {
      request_frame_id: frame.id,
      message_id,
      operation: OPERATIONS[frame.type],
      ...outcome,
      lease_expires_at: printOptionalTime(outcome.lease_expires_at),
      detail: null,
    });
    await this.tryToDeliver();
  }

  private outcomeOf(frame: OperationFrame): Outcome {
    const { message_id, reservation_token } = frame.payload;
    try {
      return this.queue.operate(OPERATIONS[frame.type], message_id, reservation_token, this.object.clock());
    } catch (error) {
      log({}, "error", "a worker's answer to a cleanup message could not be noted", { message_id, error });
      return refusal("error");
    }
  }

  /** Delivers when a worker may have room for a message. A failure does not close the worker's socket. */
  async tryToDeliver(): Promise<void> {
    try {
      await this.deliver();
    } catch (error) {
      log({}, "error", "cleanup messages could not be sent to workers", { error });
      await this.object.setTimer("cleanup", this.object.clock() + RETRY_AFTER);
    }
  }

  /** Sends messages to workers that have room for them, and sets the timer for the next reservation that expires. */
  async deliver(): Promise<void> {
    this.queue.expire(this.object.clock());
    while (this.queue.hasWaiting() && this.deliverOne());
    const next = this.queue.nextExpiry();
    if (next !== null) await this.object.setTimer("cleanup", next);
  }

  /** The workers of the message's queue come first, then all others. Among them, the worker that got a message longest ago comes first. */
  private deliverOne(): boolean {
    const ready = this.readyForCleanup();
    return (
      ready.some((one) => this.give(one, one.worker.queue_ids)) ||
      ready.some((one) => one.worker.queue_ids !== null && this.give(one, null))
    );
  }

  private give({ socket, worker }: Open, queueIds: string[] | null): boolean {
    const now = this.object.clock();
    const message = this.queue.reserve({ holder: holderOf(worker), kinds: worker.kinds, queueIds }, now);
    if (!message) return false;
    change(socket, { served: now });
    const lease_expires_at = printTime(message.lease_expires_at);
    send(this.object, socket, "cleanup.message.v1", { ...message, lease_expires_at });
    return true;
  }

  /** The online workers that have room for a message, each with its newest socket. The older sockets may be broken without an error. */
  private readyForCleanup(): Open[] {
    const now = this.object.clock();
    const newest = new Map<string, Open>();
    for (const one of openWorkers(this.object)) {
      const { worker } = one;
      const other = newest.get(holderOf(worker));
      if (worker.capacity > 0 && (!other || other.worker.opened < worker.opened)) newest.set(holderOf(worker), one);
    }
    return [...newest.values()]
      .filter(({ worker }) => now < onlineUntil({ ...worker, last_heartbeat: worker.heard }))
      .filter(({ worker }) => this.queue.inHand(holderOf(worker), now) < worker.capacity)
      .toSorted((a, b) => a.worker.served - b.worker.served || a.worker.opened - b.worker.opened);
  }
}

/** A token that cannot be guessed: 32 random bytes in base64url. */
const newToken = (): string => Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");

/** The key of a worker, the same for all its sockets. */
const holderOf = (worker: OpenWorker): string => `${worker.consumer_id} ${worker.name}`;
