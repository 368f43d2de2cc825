/** The clock and the source of ids. They are passed in, so that rules, stores and tests never ask the machine. */
import { V7Generator } from "uuidv7";

/** Microseconds since 1970 in UTC. Times are integers of this unit everywhere except on the wire. */
export type Micros = number;

/** A second, and a day of 24 hours. */
export const SECOND: Micros = 1_000_000;
export const DAY: Micros = 86_400 * SECOND;

/** Returns the time in microseconds. Within one isolate, each time is later than the time before. */
export type Clock = () => Micros;

/** Makes new ids: version 4 for things that clients name by id, version 7 (time-ordered) for states, events and segments. */
export interface Ids {
  random(): string;
  /** A time-ordered id. Its first 48 bits are the milliseconds of `at`. */
  ordered(at: Micros): string;
}

/** The machine's clock. `Date.now()` returns milliseconds; the microseconds below them only make two readings different. */
export function systemClock(): Clock {
  let last = 0;
  return () => {
    const now = Date.now() * 1000;
    last = now > last ? now : last + 1;
    return last;
  };
}

/** Ids from the machine's random source. */
export function systemIds(): Ids {
  const generator = new V7Generator();
  return {
    random: () => crypto.randomUUID(),
    ordered: (at) => generator.generateOrResetWithTs(Math.floor(at / 1000)).toString(),
  };
}

/** Returns the smallest version 7 id of this time, as the end of a range: smaller ids are older. */
export function earliestId(at: Micros): string {
  const hex = Math.max(0, Math.floor(at / 1000))
    .toString(16)
    .padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/** Returns the time at which an ordered id was made, exact to the millisecond. */
export function timeOfId(id: string): Micros {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) * 1000;
}
