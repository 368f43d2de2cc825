/** How long events are kept. Older events are not shown, and a sweep removes them. */
import type { ServicesSettings, Settings } from "#env";
import type { Micros } from "#lib/clock";
import type { Tools } from "#tools";

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

/** Whether events move to the archive. */
export function isMoving({ archive, settings }: Pick<Tools, "archive" | "settings">): boolean {
  return archive !== null && settings.archive.enabled;
}

/** The cutoff of the events that are shown. With an archive, the period of the archive is the period of all events. */
export function shownSince({ archive, settings }: Pick<Tools, "archive" | "settings">, now: Micros): EventCutoff {
  const { db_vacuum } = settings.services;
  return archive === null ? eventCutoff(db_vacuum, now) : eventCutoff(db_vacuum, now, archivePeriod(settings));
}

/** The cutoff of the events that stay in D1. If the moves are switched off, events end in D1 as if there were no archive. */
export function storedSince(tools: Pick<Tools, "archive" | "settings">, now: Micros): EventCutoff {
  return isMoving(tools) ? shownSince(tools, now) : eventCutoff(tools.settings.services.db_vacuum, now);
}

/** In seconds. 0 means for ever. */
const archivePeriod = ({ archive }: Settings): number => archive.retention_period || Infinity;

/** The cutoff from the settings. The period of a name counts if it is shorter than the period of all events, in seconds. */
export function eventCutoff(
  settings: EventRetention,
  now: Micros,
  period = settings.event_retention_period,
): EventCutoff {
  if (!settings.types.includes("events")) return NO_CUTOFF;
  const before = (age: number): Micros => Math.max(EVER, now - age * 1_000_000);
  const shorter = Object.entries(settings.event_retention_overrides).filter(([, own]) => own < period);
  return {
    oldest: before(period),
    oldestByName: new Map(shorter.map(([name, period]) => [name, before(period)])),
  };
}

/** Whether an event is kept. */
export function isKept({ oldest, oldestByName }: EventCutoff, name: string, occurred: Micros): boolean {
  return occurred >= (oldestByName.get(name) ?? oldest);
}
