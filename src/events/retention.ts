/** How long events are kept. What is older is shown to nobody, and removed by the clock. */
import type { Micros } from "#lib/clock";

/** What the settings say of it, in seconds. */
export interface EventRetention {
  /** What is removed at all when it is old. */
  types: readonly string[];
  event_retention_period: number;
  /** By the events' names. */
  event_retention_overrides: Readonly<Record<string, number>>;
}

/** From when on events are kept. */
export interface Horizon {
  readonly oldest: Micros;
  /** Later times, of the events of some names. */
  readonly oldestByName: ReadonlyMap<string, Micros>;
}

/** A time before all others. */
const EVER: Micros = -9e18;

/** Nothing is too old. */
export const NO_HORIZON: Horizon = { oldest: EVER, oldestByName: new Map() };

/** From when on events are kept at a time, by the settings. A name's own period counts where it is the shorter one. */
export function eventHorizon(settings: EventRetention, now: Micros): Horizon {
  if (!settings.types.includes("events")) return NO_HORIZON;
  const before = (period: number): Micros => now - period * 1_000_000;
  const shorter = Object.entries(settings.event_retention_overrides).filter(
    ([, period]) => period < settings.event_retention_period,
  );
  return {
    oldest: before(settings.event_retention_period),
    oldestByName: new Map(shorter.map(([name, period]) => [name, before(period)])),
  };
}

/** Whether an event is kept. */
export function isKept({ oldest, oldestByName }: Horizon, name: string, occurred: Micros): boolean {
  return occurred >= (oldestByName.get(name) ?? oldest);
}
