/** The snapshots that show workers their pool after the pool was changed. */
import { createHash } from "node:crypto";
import type { Micros } from "#lib/clock";
import type { SluiceObject } from "#objects/base";
import { change, close, openWorkers, send, socketsOf, stateOf } from "#objects/work-pool/channel/sockets";
import { livenessAt } from "#objects/work-pool/status";
import { printWorkPool } from "#resources/work-pools/show";
import { type Counted, type WorkPoolRow, WorkPoolStore } from "#resources/work-pools/store";

/** A pool as workers see it. */
export type ShownPool = Counted<WorkPoolRow>;
import type { Reconciler } from "#objects/work-pool/reconciler";

export class PoolSnapshots {
  private readonly object: SluiceObject;
  private readonly pool: Reconciler;

  constructor(object: SluiceObject, pool: Reconciler) {
    this.object = object;
    this.pool = pool;
  }

  /** The pool in D1 now, or null. */
  read(): Promise<ShownPool | null> {
    return this.pool.reads.take(() => this.readNow());
  }

  /** Shows a worker the pool if the pool was changed since the worker's last snapshot. */
  async catchUp(socket: WebSocket): Promise<void> {
    if (stateOf(socket).worker?.pool_updated === this.last().updated) return;
    const shown = await this.read();
    if (!shown) return close(socket, "authorization_failed");
    const { worker } = stateOf(socket);
    if (worker?.pool_updated !== shown.updated) this.show(socket, shown, "heartbeat_reconciliation");
  }

  /** Handles a read of the pool's row. `updated` is the time of the pool's last change. */
  async poolRead(updated: Micros): Promise<void> {
    if (socketsOf(this.object).length > 0 && this.last().updated !== updated) await this.readNow();
  }

  show(socket: WebSocket, shown: ShownPool, reason: string): void {
    const sequence = (stateOf(socket).worker?.sequence ?? 0) + 1;
    change(socket, { sequence, pool_updated: shown.updated });
    send(this.object, socket, "work_pool.snapshot.v1", this.print(shown, sequence, reason));
  }

  print(shown: ShownPool, sequence: number, reason: string) {
    const { state } = this.pool;
    const status = state && livenessAt(state.readyUntil(), this.object.clock());
    return { snapshot_sequence: sequence, reason, work_pool: printWorkPool(shown, status) };
  }

  /** Some changes are sent to all workers at once. Each worker gets the other changes with its next heartbeat. */
  private async readNow(): Promise<ShownPool | null> {
    const shown = await new WorkPoolStore(this.object.tools()).readCountedPool(this.pool.name);
    if (!shown) return null;
    const { updated, mark: lastMark } = this.last();
    const mark = markOf(shown);
    if (shown.updated !== updated) this.object.writeMeta("shown updated", String(shown.updated));
    if (mark === lastMark) return shown;
    this.object.writeMeta("shown mark", mark);
    const told = openWorkers(this.object).filter(({ worker }) => lastMark !== null && worker.pool_id === shown.id);
    for (const { socket } of told) this.show(socket, shown, "work_pool_updated");
    return shown;
  }

  private last(): { updated: Micros | null; mark: string | null } {
    const updated = this.object.readMeta("shown updated");
    return { updated: updated === null ? null : Number(updated), mark: this.object.readMeta("shown mark") };
  }
}

/**
 * A digest of some fields. If one of these fields changes, all workers get the change at once. Prefect:
 * WORK_POOL_FIELDS_THAT_TRIGGER_SNAPSHOTS.
 */
function markOf(row: WorkPoolRow): string {
  const fields = [row.base_job_template, row.concurrency_limit, row.is_paused, row.storage_configuration];
  return createHash("sha256").update(JSON.stringify(fields)).digest("hex");
}
