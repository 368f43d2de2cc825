/** The turns of the clock, one a minute. */
import type { Micros } from "#lib/clock";

const MINUTE: Micros = 60_000_000;

/** What the services that look back an hour look back by. */
export const HOUR: Micros = 60 * MINUTE;

/** Whether this is the first turn of its hour, in which is done what would cost too much in each. */
export function isFirstOfHour(now: Micros): boolean {
  return now % HOUR < MINUTE;
}
