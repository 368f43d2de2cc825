/** The `WorkPool` object: the due runs of one work pool, its slots, its status and its workers. A shell over its components. */
import { parseSettings } from "#env";
import { type Micros, systemIds } from "#lib/clock";
import type { Implementation } from "#objects/call";
import { SocketObject } from "#objects/sockets";
import { CleanupQueue } from "#objects/work-pool/channel/cleanup-queue";
import { newToken } from "#objects/work-pool/channel/token";
import { WorkerChannel } from "#objects/work-pool/channel/worker-channel";
import { Lateness } from "#objects/work-pool/lateness";
import { livenessAt, onlineUntil } from "#objects/work-pool/liveness";
import {
  type CleanupMessage,
  type Offer,
  type PlaceInQueue,
  type PollAnswer,
  type PollAsk,
  type PoolLiveness,
  type QueuePollAsk,
  type RunNote,
  WORK_POOL,
  type WorkerAnswer,
} from "#objects/work-pool/messages";
import { placeInQueue } from "#objects/work-pool/place-in-queue";
import type { PoolState } from "#objects/work-pool/pool-state";
import { Reconciler } from "#objects/work-pool/reconciler";
import { Slots } from "#objects/work-pool/slots";
import { StatusReport } from "#objects/work-pool/status-report";
import { POOL_TABLES } from "#objects/work-pool/tables";

interface Components {
  pool: Reconciler;
  slots: Slots;
  status: StatusReport;
  lateness: Lateness;
  channel: WorkerChannel;
  cleanups: CleanupQueue;
}

export class WorkPool extends SocketObject implements Implementation<typeof WORK_POOL> {
  /** The object's memory: made when it is needed first, as after an eviction. */
  private components: Components | null = null;

  override migrations(): readonly string[] {
    return POOL_TABLES;
  }

  override contract(): typeof WORK_POOL {
    return WORK_POOL;
  }

  override async onTimer(name: string): Promise<void> {
    const { pool, status, lateness, channel } = this.parts();
    if (name === "check") await pool.check();
    if (name === "change") await status.send();
    if (name === "late") {
      const state = await pool.ready();
      if (state) await lateness.mark(state);
    }
    if (name === "cleanup") await channel.deliver();
  }

  override accept(request: Request): Response {
    return this.parts().channel.accept(request);
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    return this.parts().channel.receive(socket, message);
  }

  override left(socket: WebSocket): void {
    this.greetings.end(socket);
  }

  poll(ask: PollAsk): Promise<PollAnswer> {
    return this.parts().slots.poll(ask);
  }

  pollQueue(poolId: string, ask: QueuePollAsk): Promise<PollAnswer> {
    return this.parts().slots.pollQueue(poolId, ask);
  }

  notice(poolId: string, runs: readonly RunNote[]): Promise<void> {
    return this.parts().slots.notice(poolId, runs);
  }

  take(poolId: string, queueId: string, runId: string): Promise<boolean> {
    return this.parts().slots.take(poolId, queueId, runId);
  }

  /** An object that knows nothing yet reads the pool when it is asked. */
  async change(): Promise<void> {
    const { pool } = this.parts();
    if (!pool.isBuilt()) return;
    await pool.ready();
    await pool.readAgain();
  }

  async noticeDeployments(queueIds: readonly string[]): Promise<void> {
    const { pool } = this.parts();
    const state = await pool.ready();
    if (queueIds.some((id) => state && !state.queues.has(id))) await pool.readAgain();
    pool.state?.noteUnmarked(queueIds);
  }

  async heartbeat(worker: string, intervalSeconds: number | null): Promise<boolean> {
    const { pool, status } = this.parts();
    const state = await pool.ready();
    if (!state) return false;
    const now = this.clock();
    state.noteHeartbeat(worker, intervalSeconds, now);
    await status.arm(state, now);
    return true;
  }

  async liveness(poolId: string): Promise<PoolLiveness | null> {
    const state = await this.parts().pool.ready(poolId);
    if (!state) return null;
    const now = this.clock();
    const queues = [...state.queues.values()].map(
      (queue) => [queue.id, { status: livenessAt(queue.ready_until, now), last_polled: queue.last_polled }] as const,
    );
    return { status: livenessAt(state.readyUntil(), now), queues: Object.fromEntries(queues) };
  }

  async placeInQueue(poolId: string, run: Offer): Promise<PlaceInQueue | null> {
    const { pool, channel } = this.parts();
    const state = await pool.readyWith(run.queue_id, poolId);
    return state ? placeInQueue(state, channel.types(), run, this.clock()) : null;
  }

  reportNow(): Promise<void> {
    return this.parts().status.send();
  }

  async workers(poolId: string): Promise<WorkerAnswer[]> {
    const state = await this.parts().pool.ready(poolId);
    const now = this.clock();
    return [...(state?.workers.values() ?? [])].map((worker) => ({ ...worker, is_online: now < onlineUntil(worker) }));
  }

  async deleteWorker(poolId: string, name: string): Promise<boolean> {
    const { pool, status } = this.parts();
    const state = await pool.ready(poolId);
    if (!state) return false;
    const now = this.clock();
    const isRemoved = state.removeWorker(name, now);
    await status.arm(state, now);
    return isRemoved;
  }

  async enqueueCleanup(poolId: string, message: CleanupMessage): Promise<boolean> {
    const { pool, channel, cleanups } = this.parts();
    if (!(await pool.ready(poolId))) return false;
    cleanups.enqueue(message, this.clock());
    await channel.deliver();
    return true;
  }

  /** A worker's heartbeat on its channel. No other message may tell that the pool was changed, so it is checked in time. */
  private async channelHeartbeat(worker: string, intervalSeconds: number): Promise<string | null> {
    if (!(await this.heartbeat(worker, intervalSeconds))) return null;
    const { pool } = this.parts();
    await pool.checkIfStale(this.clock());
    return pool.state?.pool?.id ?? null;
  }

  private parts(): Components {
    return (this.components ??= this.makeParts());
  }

  private makeParts(): Components {
    const base = {
      clock: () => this.clock(),
      storage: this.storage,
      tools: () => this.tools(),
      poolName: () => this.identity().name ?? "",
      settings: () => parseSettings(this.bindings).services,
      readMeta: (key: string) => this.readMeta(key),
      writeMeta: (key: string, value: string) => this.writeMeta(key, value),
      setTimerBy: (name: string, at: Micros) => this.setTimerBy(name, at),
      armStatus: (state: PoolState, now: Micros) => status.arm(state, now),
      armLateness: (state: PoolState) => lateness.arm(state),
    };
    const pool = new Reconciler({
      ...base,
      keepIdentity: () => this.keepIdentity(),
      forget: () => this.forget(),
      poolRead: (updated) => channel.poolRead(updated),
      poolGone: () => {
        channel.closeAll("authorization_failed");
        status.reset();
        lateness.reset();
      },
    });
    const status = new StatusReport({ ...base, pool });
    const lateness = new Lateness(base);
    const slots = new Slots({ ...base, pool });
    const cleanups = new CleanupQueue({ ...this.storage, newToken });
    const channel = new WorkerChannel({
      ...base,
      state: this.state,
      env: () => this.bindings,
      greetings: this.greetings,
      ids: systemIds(),
      cleanups,
      open: () => this.open(),
      identify: (identity) => this.identify(identity),
      heartbeat: (worker, intervalSeconds) => this.channelHeartbeat(worker, intervalSeconds),
      readAgain: () => pool.readAgain(),
      inTurn: (work) => pool.inTurn(work),
      status: () => (pool.state ? livenessAt(pool.state.readyUntil(), this.clock()) : null),
      armCleanup: (at) => this.setTimer("cleanup", at),
    });
    return { pool, status, lateness, slots, cleanups, channel };
  }
}
