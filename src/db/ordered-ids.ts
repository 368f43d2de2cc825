/** Ids of version 7, which are in the order of time, as the ends of ranges. */
import type { Micros } from "#lib/clock";

/** Gives the smallest id of version 7 of this time: smaller ids are older. */
export function earliestId(at: Micros): string {
  const hex = Math.max(0, Math.floor(at / 1000))
    .toString(16)
    .padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/** Gives the time at which an ordered id was made, to the millisecond. */
export function timeOfId(id: string): Micros {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) * 1000;
}
