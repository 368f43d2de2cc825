/** Moments that are an interval apart. The original's rules say what happens when clocks change. */
import { DAY, type Micros, SECOND } from "#lib/clock";
import { CALENDAR } from "./calendar";
import { Looks } from "./looks";
import { momentOf, wallAt } from "./zones";

const DAY_SECONDS = 86_400;

/**
 * An interval of seconds from an anchor. An interval of a day or more is counted on the zone's clock, a shorter one in elapsed
 * time. An interval of whole days keeps the anchor's time of day when clocks change.
 */
interface Interval {
  seconds: number;
  anchor: Micros;
  zone: string;
}

/** Whether an interval of this length keeps the anchor's time of day. */
export function isOfWholeDays(seconds: number): boolean {
  return seconds >= DAY_SECONDS && seconds % DAY_SECONDS === 0;
}

/** Gives the moments at or after `start`, up to the end of the calendar. */
export function* intervalMoments(interval: Interval, start: Micros, looks = new Looks()): Generator<Micros> {
  const step = Math.round(interval.seconds * SECOND);
  if (!(step > 0)) return;
  const source = isOfWholeDays(interval.seconds) ? atTimeOfDay(interval, step, start) : oneByOne(interval, step, start);
  for (const moment of source) {
    if (!looks.take()) return;
    if (moment >= start) yield moment;
  }
}

/** A time of day that a change of clocks skips is an hour later on that day, and unchanged on the next day. */
function* atTimeOfDay({ anchor, zone }: Interval, step: Micros, start: Micros): Generator<Micros> {
  const first = wallAt(anchor, zone);
  // Clocks change by less than a day.
  const near = first + Math.floor((wallAt(start, zone) - DAY - first) / step) * step;
  for (let wall = near; wall < CALENDAR.end; wall += step) {
    if (wall >= CALENDAR.first) yield momentOf(wall, zone, "later");
  }
}

/** Makes each moment from the one before, as the original does. The first one is found by the elapsed time since the anchor. */
function* oneByOne({ seconds, anchor, zone }: Interval, step: Micros, start: Micros): Generator<Micros> {
  const next = (moment: Micros): Micros => {
    if (seconds < DAY_SECONDS) return moment + step;
    const wall = wallAt(moment, zone) + step;
    return wall < CALENDAR.end ? momentOf(wall, zone, "later") : CALENDAR.end;
  };
  let moment = anchor + Math.trunc((start - anchor) / step) * step;
  // Far from 1970 a float may not be exact enough for the step.
  for (let last = -Infinity; moment > last && moment < CALENDAR.end; moment = next(moment)) {
    yield moment;
    last = moment;
  }
}
