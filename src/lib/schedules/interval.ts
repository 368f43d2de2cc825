/** Moments that lie an interval apart, by the original's rules for the changing of clocks. */
import type { Micros } from "#lib/clock";
import { CALENDAR } from "./calendar";
import { Looks } from "./looks";
import { momentOf, wallAt } from "./zones";

const DAY_SECONDS = 86_400;
const SECOND = 1_000_000;
const DAY: Micros = DAY_SECONDS * SECOND;

/**
 * Every so many seconds from an anchor. From a day on it is counted on the zone's clock, below that in elapsed time. An
 * interval of whole days keeps the time of day of its anchor, whatever clocks did in between.
 */
export interface Interval {
  seconds: number;
  anchor: Micros;
  zone: string;
}

/** Whether an interval of so many seconds keeps the anchor's time of day. */
export function isOfWholeDays(seconds: number): boolean {
  return seconds >= DAY_SECONDS && seconds % DAY_SECONDS === 0;
}

/** The moments at or after `start`, to the end of the calendar. */
export function* intervalMoments(interval: Interval, start: Micros, looks = new Looks()): Generator<Micros> {
  const step = Math.round(interval.seconds * SECOND);
  if (!(step > 0)) return;
  const source = isOfWholeDays(interval.seconds) ? atTimeOfDay(interval, step, start) : oneByOne(interval, step, start);
  for (const moment of source) {
    if (!looks.take()) return;
    if (moment >= start) yield moment;
  }
}

/** A time of day that a change of clocks leaves out is an hour later on that day, and the same as ever on the next. */
function* atTimeOfDay({ anchor, zone }: Interval, step: Micros, start: Micros): Generator<Micros> {
  const first = wallAt(anchor, zone);
  // No clock is changed by more than a day.
  const near = first + Math.floor((wallAt(start, zone) - DAY - first) / step) * step;
  for (let wall = near; wall < CALENDAR.end; wall += step) {
    if (wall >= CALENDAR.first) yield momentOf(wall, zone, "later");
  }
}

/** Each from the one before it, as in the original. It begins with the elapsed time between the anchor and the start. */
function* oneByOne({ seconds, anchor, zone }: Interval, step: Micros, start: Micros): Generator<Micros> {
  const next = (moment: Micros): Micros => {
    if (seconds < DAY_SECONDS) return moment + step;
    const wall = wallAt(moment, zone) + step;
    return wall < CALENDAR.end ? momentOf(wall, zone, "later") : CALENDAR.end;
  };
  let moment = anchor + Math.trunc((start - anchor) / step) * step;
  // Far from 1970 a number may be too coarse for the step.
  for (let last = -Infinity; moment > last && moment < CALENDAR.end; moment = next(moment)) {
    yield moment;
    last = moment;
  }
}
