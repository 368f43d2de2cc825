/**
 * Where a listener goes on that was closed because it had been sent much. The stock client comes back with the same filter,
 * and asks for what occurred from a minute before the newest event that it was shown. That time tells, to the microsecond, that
 * it read all; so it is shown what is left, not that minute again, which may be more than one socket is ever sent.
 */
import type { EventFilter } from "#events/filter";
import type { Cursor } from "#events/page";
import type { Micros } from "#lib/clock";

/** Stored events that a listener has still to be shown: those written from a time on, after a cursor. */
export interface Pass {
  writtenSince: Micros | null;
  after: Cursor | null;
}

/** Prefect: `PrefectEventSubscriber.__anext__` goes back as far from each event. */
const REPLAYED: Micros = 60_000_000;
/** How many listeners are remembered. */
const MAX_KEPT = 200;

/** The places where listeners go on. In memory only: a listener that is not known is shown the minute again. */
export class Resumes {
  private readonly kept = new Map<string, readonly Pass[]>();

  /** Keeps what is left for a listener that was shown events up to `newest`. */
  keep(filter: EventFilter, newest: Micros, passes: readonly Pass[]): void {
    const since = Math.max(filter.occurred?.since ?? newest - REPLAYED, newest - REPLAYED);
    this.kept.set(keyOf(filter, since), passes);
    const [oldest] = this.kept.keys();
    if (this.kept.size > MAX_KEPT && oldest !== undefined) this.kept.delete(oldest);
  }

  /** What is left for the listener that comes with this filter; undefined where it is none of those that were closed. */
  find(filter: EventFilter): readonly Pass[] | undefined {
    const since = filter.occurred?.since;
    return since === undefined ? undefined : this.kept.get(keyOf(filter, since));
  }
}

function keyOf(filter: EventFilter, since: Micros): string {
  return JSON.stringify({ ...filter, occurred: since });
}
