/** The turns of the clock, one a minute. */
import type { Micros } from "#lib/clock";
import type { Period } from "#services/sweep-store";

const MINUTE: Micros = 60_000_000;

/** An hour. */
export const HOUR: Micros = 60 * MINUTE;

/** Whether this is the first turn of its hour. Work that costs too much for each turn is done in this one. */
export function isFirstOfHour(now: Micros): boolean {
  return now % HOUR < MINUTE;
}

/**
 * The period whose overdue runs a turn looks at, and the name of the mark. Runs that nobody starts stay overdue, so a turn
 * looks back for `span`, and the first turn of each hour looks back for ever: the two kinds of turn have a mark each.
 */
export function overduePeriod(
  name: string,
  now: Micros,
  until: Micros,
  span: Micros,
): { name: string; period: Period } {
  if (isFirstOfHour(now)) return { name: `${name}, all`, period: { after: 0, until } };
  return { name, period: { after: until - span, until } };
}
