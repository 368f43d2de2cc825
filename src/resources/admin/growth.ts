/** How fast the database grows, and how long it has room, from its size on each of the last days. Pure. */
import * as z from "zod";
import { DAY, type Micros } from "#lib/clock";

/** Sizes of the database, at most one for each day, the oldest first. */
export const DailySizes = z.array(z.object({ at: z.number(), bytes: z.number() }));
type DailySizes = z.output<typeof DailySizes>;

/** How many sizes are remembered: today's, and those of the week before. */
const MAX_SIZES = 8;

const dayOf = (time: Micros) => Math.floor(time / DAY);

/** The sizes of the last days. A size with a later time was remembered by a clock that was wrong. */
const known = (sizes: DailySizes, now: Micros) =>
  sizes.filter(({ at }) => at <= now && dayOf(now) - dayOf(at) < MAX_SIZES);

/** Adds the size of today to the remembered sizes; null if today has one already. */
export function withToday(sizes: DailySizes, now: Micros, bytes: number): DailySizes | null {
  const kept = known(sizes, now);
  const last = kept.at(-1);
  return last && dayOf(last.at) === dayOf(now) ? null : [...kept, { at: now, bytes }];
}

/** The average growth since the oldest size of the last week, in whole bytes a day; null if no size is a day old. */
export function growthPerDay(sizes: DailySizes, now: Micros, bytes: number): number | null {
  const first = known(sizes, now)[0];
  if (!first || now - first.at < DAY) return null;
  return Math.round((bytes - first.bytes) / ((now - first.at) / DAY)) || 0;
}

/** In how many days a growing thing has no room left: the first whole number of days that is enough. Null if it does not grow. */
export function daysLeft(room: number, growth: number | null): number | null {
  if (growth === null || growth <= 0) return null;
  return Math.ceil(Math.max(0, room) / growth);
}
