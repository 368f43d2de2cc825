/** The live runs of a pool, in memory and in the table `run`. Both change together. All methods are synchronous. */
import type { Micros } from "#lib/clock";
import type { Sql } from "#objects/sql";
import { type LedgerRun, RunLedger } from "#objects/work-pool/ledger";
import type { Offer, Phase } from "#objects/work-pool/messages";

/** How long a slot is reserved for a state that is about to be committed. A commit takes far less time, or never happens. */
export const RESERVED: Micros = 20_000_000;
/** How long a slot stays after a caller said that the run is due. The caller may not know the newest commit yet. */
export const DOUBTED: Micros = 2_000_000;

/** A read of runs from D1, and its time. */
export interface Reading {
  at: Micros;
  /** The runs in D1 that are due or have slots. */
  runs: readonly LedgerRun[];
  /** Whether the read would have returned a known run if the run were still live. */
  covers: (run: LedgerRun) => boolean;
  /** Whether a caller has reported a newer phase of a run since the read. */
  isOutdated: (id: string) => boolean;
}

export class PoolRuns {
  readonly ledger = new RunLedger();
  /**
   * Runs with a slot that is reserved for a state. It is not known whether the state is committed. The value is the
   * time until which the slot stays anyway.
   */
  private readonly reserved = new Map<string, Micros>();
  private readonly sql: Sql;

  constructor(sql: Sql) {
    this.sql = sql;
  }

  /** Reads the table. */
  load(): void {
    for (const { reserved_until, ...run } of this.sql.rows<LedgerRun & { reserved_until: Micros | null }>("run")) {
      this.ledger.put(run);
      if (reserved_until !== null) this.reserved.set(run.id, reserved_until);
    }
  }

  /** Gives a slot to a run. The slot stays until the reservation expires, or until a caller reports the run's state. */
  reserve(id: string, queueId: string, now: Micros): void {
    this.ledger.put({ id, queue_id: queueId, due: null, is_late: false });
    this.reserved.set(id, now + RESERVED);
    this.write(id);
  }

  /**
   * Records the phase of a run. False if a caller says that a run with a slot is due. The caller may not know the
   * newest commit, so the slot stays for two seconds.
   */
  note(id: string, queueId: string, phase: Phase, now: Micros): boolean {
    const isBelieved = typeof phase !== "number" || this.ledger.read(id)?.due !== null;
    if (isBelieved) this.set(id, queueId, phase);
    else this.reserved.set(id, Math.min(this.reserved.get(id) ?? Infinity, now + DOUBTED));
    return isBelieved;
  }

  /** When the first reservation expires, or null. */
  nextExpiry(): Micros | null {
    const times = [...this.reserved.values()];
    return times.length > 0 ? Math.min(...times) : null;
  }

  /**
   * Corrects the known runs with the runs that D1 returned. A reservation that had not expired at the read stays,
   * because its commit may still come.
   */
  reconcile({ at, runs, covers, isOutdated }: Reading): void {
    const found = new Set(runs.map(({ id }) => id));
    const stays = (id: string) => (this.reserved.get(id) ?? 0) > at || isOutdated(id);
    for (const run of this.ledger.all()) if (!found.has(run.id) && covers(run) && !stays(run.id)) this.remove(run.id);
    for (const { id, queue_id, due, is_late } of runs) {
      if (due === null ? isOutdated(id) : stays(id)) continue;
      this.set(id, queue_id, due ?? "holds");
      const run = this.ledger.read(id);
      if (run && is_late) this.put({ ...run, is_late });
    }
  }

  /** Records that the lateness of runs was handled. A run is skipped if its due time has changed. */
  noteLate(runs: readonly Offer[]): void {
    for (const { id, due } of runs) {
      const run = this.ledger.read(id);
      if (run && run.due === due) this.put({ ...run, is_late: true });
    }
  }

  /** Forgets the runs of all other queues. */
  keepOnly(queueIds: ReadonlySet<string>): void {
    for (const run of this.ledger.all()) if (!queueIds.has(run.queue_id)) this.remove(run.id);
  }

  private set(id: string, queueId: string, phase: Phase): void {
    this.reserved.delete(id);
    const known = this.ledger.read(id);
    if (phase === null) this.remove(id);
    else if (phase === "holds") this.put({ id, queue_id: queueId, due: null, is_late: false });
    else this.put({ id, queue_id: queueId, due: phase, is_late: known?.due === phase && known.is_late });
  }

  private put(run: LedgerRun): void {
    if (this.ledger.put(run)) this.write(run.id);
  }

  /** The commit of a reservation's state is not written to the table. After the reservation has expired, it makes no difference. */
  private write(id: string): void {
    const run = this.ledger.read(id);
    if (run) this.sql.put("run", "id", { ...run, reserved_until: this.reserved.get(id) ?? null });
  }

  private remove(id: string): void {
    this.reserved.delete(id);
    if (this.ledger.remove(id)) this.sql.write("delete from run where id = ?", id);
  }
}
