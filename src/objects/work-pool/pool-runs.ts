/**
 * The live runs of a pool, in memory. D1 has them, so after an eviction they are read from D1. Only a slot that is reserved under a limit is
 * in a table, `reservation`, because D1 does not have it yet. All methods are synchronous.
 */
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

/** Which of the live runs in D1 are known: none after an eviction; those that have slots or are due soon; or all. */
export type Known = "none" | "soon" | "all";

export class PoolRuns {
  readonly ledger = new RunLedger();
  known: Known = "none";
  /**
   * Runs with a slot that is reserved for a state. It is not known whether the state is committed. The value is the
   * time until which the slot stays anyway.
   */
  private readonly reserved = new Map<string, Micros>();
  /** The runs with a row in the table. */
  private readonly written = new Set<string>();
  private readonly sql: Sql;

  constructor(sql: Sql) {
    this.sql = sql;
  }

  /** Reads the table. */
  load(): void {
    for (const { run_id, queue_id, until } of this.sql.rows<Reservation>("reservation")) {
      this.ledger.put({ id: run_id, queue_id, due: null, is_late: false });
      this.reserved.set(run_id, until);
      this.written.add(run_id);
    }
  }

  /**
   * Gives a slot to a run. The slot stays until the reservation expires, or until a caller reports the run's state.
   * `isLimited`: the reservation has to survive an eviction.
   */
  reserve(id: string, queueId: string, now: Micros, isLimited: boolean): void {
    const until = now + RESERVED;
    this.ledger.put({ id, queue_id: queueId, due: null, is_late: false });
    this.reserved.set(id, until);
    if (!isLimited) return;
    this.sql.put("reservation", "run_id", { run_id: id, queue_id: queueId, until });
    this.written.add(id);
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

  /** Whether no run has a slot or is due by a time. */
  isQuietUntil(time: Micros): boolean {
    return [...this.ledger.all()].every(({ due }) => due !== null && due > time);
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
      if (run && is_late) this.ledger.put({ ...run, is_late });
    }
  }

  /** Records that the lateness of runs was handled. A run is skipped if its due time has changed. */
  noteLate(runs: readonly Offer[]): void {
    for (const { id, due } of runs) {
      const run = this.ledger.read(id);
      if (run && run.due === due) this.ledger.put({ ...run, is_late: true });
    }
  }

  /** Forgets the runs of all other queues. */
  keepOnly(queueIds: ReadonlySet<string>): void {
    for (const run of this.ledger.all()) if (!queueIds.has(run.queue_id)) this.remove(run.id);
  }

  private set(id: string, queueId: string, phase: Phase): void {
    this.endReservation(id);
    const known = this.ledger.read(id);
    if (phase === null) this.ledger.remove(id);
    else if (phase === "holds") this.ledger.put({ id, queue_id: queueId, due: null, is_late: false });
    else this.ledger.put({ id, queue_id: queueId, due: phase, is_late: known?.due === phase && known.is_late });
  }

  private remove(id: string): void {
    this.endReservation(id);
    this.ledger.remove(id);
  }

  private endReservation(id: string): void {
    this.reserved.delete(id);
    if (this.written.delete(id)) this.sql.write("delete from reservation where run_id = ?", id);
  }
}

/** A row of `reservation`. */
interface Reservation {
  run_id: string;
  queue_id: string;
  until: Micros;
}
