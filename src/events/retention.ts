/** How long events are kept. Older events are never shown, and a service removes them. */
import type { Micros } from "#lib/clock";

/** The settings of retention. Periods are in seconds. */
export interface EventRetention {
  /** The kinds of things that are removed when they are old. */
  types: readonly string[];
  event_retention_period: number;
  /** Other periods, by the events' names. */
  event_retention_overrides: Readonly<Record<string, number>>;
}

/** The time from which on events are kept. */
export interface Horizon {
  readonly oldest: Micros;
  /** Later times, by the events' names. */
  readonly oldestByName: ReadonlyMap<string, Micros>;
}

/** A time before all others. */
const EVER: Micros = -9e18;

/** All events are kept. */
export const NO_HORIZON: Horizon = { oldest: EVER, oldestByName: new Map() };

/** Gives the time from which on events are kept, by the settings. A name's own period counts if it is shorter. */
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
