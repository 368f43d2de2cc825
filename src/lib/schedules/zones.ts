/** The time on a wall clock in a time zone, and the moment of such a time. Both are in microseconds. */
import { Temporal } from "temporal-polyfill";
import { DAY, type Micros, SECOND } from "#lib/clock";

/** The time on a wall clock, in microseconds, as if the clock were in UTC. */
export type Wall = number;

/** Whether the name is an IANA time zone. */
export function isZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
    return true;
  } catch {
    return false;
  }
}

/** Returns the time on a clock in the zone at a moment. */
export function wallAt(moment: Micros, zone: string): Wall {
  if (zone === "UTC") return moment;
  return moment + offsetAt(moment, zone);
}

/**
 * Returns the moment at which a clock in the zone shows `wall`. Near a clock change there are two candidates: with the offset before
 * the change and with the offset after it. `choice` says which candidate counts, for repeated and for skipped times.
 */
export function momentOf(wall: Wall, zone: string, choice: "earlier" | "later"): Micros {
  if (zone === "UTC") return wall;
  // Between these two moments the clocks of a zone change at most once.
  const readings = [wall - offsetAt(wall - DAY, zone), wall - offsetAt(wall + DAY, zone)];
  const shown = readings.filter((moment) => wallAt(moment, zone) === wall);
  const possible = shown.length > 0 ? shown : readings;
  return choice === "earlier" ? Math.min(...possible) : Math.max(...possible);
}

/** The zone's offset at a moment, in microseconds. */
function offsetAt(moment: Micros, zone: string): number {
  const seconds = Math.floor(moment / SECOND);
  const zoned = Temporal.Instant.fromEpochMilliseconds(seconds * 1000).toZonedDateTimeISO(zone);
  return zoned.offsetNanoseconds / 1000;
}

/** Returns a moment on the zone's clock as Python prints it: `2026-11-21 12:00:00+01:00`. */
export function printZoned(moment: Micros, zone: string): string {
  const wall = wallAt(moment, zone);
  const micros = ((wall % SECOND) + SECOND) % SECOND;
  const fraction = micros === 0 ? "" : `.${String(micros).padStart(6, "0")}`;
  const text = new Date((wall - micros) / 1000).toISOString().slice(0, 19).replace("T", " ");
  const minutes = Math.round((wall - moment) / (60 * SECOND));
  const two = (number: number) => String(number).padStart(2, "0");
  return `${text}${fraction}${minutes < 0 ? "-" : "+"}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
}
