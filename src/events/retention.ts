/** How long events are kept. Older events are not shown, and a sweep removes them. */
import type { ServicesSettings } from "#env";
import type { Micros } from "#lib/clock";

/** The settings for the retention of events, in seconds: for all events, and for events with some names. */
type EventRetention = Pick<
  ServicesSettings["db_vacuum"],
  "types" | "event_retention_period" | "event_retention_overrides"
>;

/** The start times of the retention. Older events are not kept. */
export interface EventCutoff {
  readonly oldest: Micros;
  /** The later times that apply to events with some names. */
  readonly oldestByName: ReadonlyMap<string, Micros>;
}

/** A time earlier than all others. */
const EVER: Micros = -9e18;

/** All events are kept. */
export const NO_CUTOFF: EventCutoff = { oldest: EVER, oldestByName: new Map() };

/** The cutoff from the settings. The period of a name counts if it is shorter than the period of all events. */
export function eventCutoff(settings: EventRetention, now: Micros): EventCutoff {
  if (!settings.types.includes("events")) return NO_CUTOFF;
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
export function isKept({ oldest, oldestByName }: EventCutoff, name: string, occurred: Micros): boolean {
  return occurred >= (oldestByName.get(name) ?? oldest);
}
