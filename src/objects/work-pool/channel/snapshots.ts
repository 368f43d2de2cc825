/** The snapshots by which workers are shown their pool when it was changed. */
import type { Micros } from "#lib/clock";
import type { SluiceObject } from "#objects/base";
import { type ChannelSockets, change, close, stateOf } from "#objects/work-pool/channel/sockets";
import { readShownPool, type ShownPool } from "#objects/work-pool/channel/welcome";
import { livenessAt } from "#objects/work-pool/status";
import type { Reconciler } from "#objects/work-pool/reconciler";

export class PoolSnapshots {
  private readonly object: SluiceObject;
  private readonly pool: Reconciler;
  private readonly sockets: ChannelSockets;

  constructor(object: SluiceObject, pool: Reconciler, sockets: ChannelSockets) {
    this.object = object;
    this.pool = pool;
    this.sockets = sockets;
  }

  /** The pool as it is in D1 now, or null. */
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

  /** The pool's row was read, and says when the pool was changed. */
  async poolRead(updated: Micros): Promise<void> {
    if (this.sockets.all().length > 0 && this.last().updated !== updated) await this.readNow();
  }

  show(socket: WebSocket, shown: ShownPool, reason: string): void {
    const sequence = (stateOf(socket).worker?.sequence ?? 0) + 1;
    change(socket, { sequence, pool_updated: shown.updated });
    this.sockets.send(socket, "work_pool.snapshot.v1", this.print(shown, sequence, reason));
  }

  print(shown: ShownPool, sequence: number, reason: string) {
    const { state } = this.pool;
    const status = state && livenessAt(state.readyUntil(), this.object.clock());
    return { snapshot_sequence: sequence, reason, work_pool: shown.print(status) };
  }

  /** Of some changes all workers are told at once; of the others each worker learns with its next heartbeat. */
  private async readNow(): Promise<ShownPool | null> {
    const shown = await readShownPool(this.object.tools(), this.pool.name);
    if (!shown) return null;
    const { updated, mark } = this.last();
    if (shown.updated !== updated) this.object.writeMeta("shown updated", String(shown.updated));
    if (shown.mark === mark) return shown;
    this.object.writeMeta("shown mark", shown.mark);
    const told = this.sockets.workers().filter(({ worker }) => mark !== null && worker.pool_id === shown.id);
    for (const { socket } of told) this.show(socket, shown, "work_pool_updated");
    return shown;
  }

  private last(): { updated: Micros | null; mark: string | null } {
    const updated = this.object.readMeta("shown updated");
    return { updated: updated === null ? null : Number(updated), mark: this.object.readMeta("shown mark") };
  }
}
