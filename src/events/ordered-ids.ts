/** Time-ordered ids as ends of ranges. */
import type { Micros } from "#lib/clock";

/** The smallest id of version 7 that can have been made at this time: ids before it are older. */
export function earliestId(at: Micros): string {
  const hex = Math.max(0, Math.floor(at / 1000))
    .toString(16)
    .padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/** When an ordered id was made, to the millisecond. */
export function timeOfId(id: string): Micros {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) * 1000;
}
