/** When clients that were refused a slot should ask again. Pure. The times are estimates, so losing the memory does no harm. */
import { type Micros, SECOND } from "#lib/clock";
import type { Limit } from "#objects/concurrency-limits/ledger";

/** Prefect: `maximum_concurrency_slot_wait_seconds` and `tag_concurrency_slot_wait_seconds`, 30 s both. */
const MOST_SECONDS = 30;
/** At least one waiting client asks this often, so that a slot that was given back is soon taken again. */
const SLOWEST_SECONDS = 1;
const FASTEST_SECONDS = 0.01;
/** How many clients ask while one slot becomes free. */
const ASKS_A_SLOT = 2;
/** Prefect: `avg_slot_occupancy_seconds` of a new limit. */
const FIRST_OCCUPANCY_SECONDS = 2;
/** Prefect: OCCUPANCY_SAMPLES_MULTIPLIER; the average covers the last `limit` times this many samples. */
const SAMPLES = 2;

/** A limit that refused a client, and the seconds until enough of its slots have decayed. */
export interface Refusal {
  limit: Limit;
  free_in_seconds: number;
}

/**
 * The clients that were refused. Each client gets its own time, later than the time of the client before it. The time
 * between two clients is the time in which a slot decays, or half the expected time until a slot is given back. The
 * expected time comes from the average time that slots were in use.
 */
export class Waiters {
  private readonly lastTimes = new Map<string, Micros>();
  private readonly occupancies = new Map<string, number>();

  /** The number of seconds after which a client that these limits refused should ask again. */
  join(refusals: readonly Refusal[], slots: number, now: Micros): number {
    return Math.max(...refusals.map((refusal) => this.joinOne(refusal, slots, now)));
  }

  /** Records how long a slot was in use. */
  noteOccupancy(limitId: string, limit: number, secondsPerSlot: number): void {
    const average = this.occupancyOf(limitId);
    const next = average + (secondsPerSlot - average) / (Math.max(1, limit) * SAMPLES);
    this.occupancies.set(limitId, Math.max(next, FASTEST_SECONDS));
  }

  /** Sets how many slots clients wait for. */
  setWaiting(limit: Limit, slots: number, now: Micros): void {
    this.lastTimes.set(limit.id, now + Math.min(MOST_SECONDS, slots * this.spacing(limit, 1)) * SECOND);
  }

  /** Forgets a limit. */
  forget(limitId: string): void {
    this.lastTimes.delete(limitId);
    this.occupancies.delete(limitId);
  }

  private joinOne({ limit, free_in_seconds: freeIn }: Refusal, slots: number, now: Micros): number {
    const spacing = this.spacing(limit, slots);
    const last = (this.lastTimes.get(limit.id) ?? 0) - now;
    const first = limit.slot_decay_per_second > 0 ? freeIn : spacing;
    const wanted = Math.max(first, last / SECOND + spacing, FASTEST_SECONDS);
    const seconds = Math.min(wanted, Math.max(MOST_SECONDS, freeIn));
    this.lastTimes.set(limit.id, now + seconds * SECOND);
    return seconds;
  }

  private spacing(limit: Limit, slots: number): number {
    if (limit.slot_decay_per_second > 0) return slots / limit.slot_decay_per_second;
    const expected = (this.occupancyOf(limit.id) * slots) / Math.max(1, limit.limit);
    return Math.min(SLOWEST_SECONDS, Math.max(FASTEST_SECONDS, expected / ASKS_A_SLOT));
  }

  private occupancyOf(limitId: string): number {
    return this.occupancies.get(limitId) ?? FIRST_OCCUPANCY_SECONDS;
  }
}
