/** Moments that lie an interval apart, by the original's rules for the changing of clocks. */
import type { Micros } from "#lib/clock";
import { momentOf, wallAt } from "./zones";

const DAY_SECONDS = 86_400;
const SECOND = 1_000_000;

/** Every so many seconds from an anchor. From a day on it is counted on the zone's clock, below that in elapsed time. */
export interface Interval {
  seconds: number;
  anchor: Micros;
  zone: string;
}

/** The moments at or after `start`, without end. */
export function* intervalMoments({ seconds, anchor, zone }: Interval, start: Micros): Generator<Micros> {
  const step = Math.round(seconds * SECOND);
  const isElapsed = seconds < DAY_SECONDS;
  const next = (moment: Micros): Micros =>
    isElapsed ? moment + step : momentOf(wallAt(moment, zone) + step, zone, "later");
  let moment = anchor + Math.trunc((start - anchor) / step) * step;
  while (moment < start) moment = next(moment);
  for (;;) {
    yield moment;
    moment = next(moment);
  }
}
