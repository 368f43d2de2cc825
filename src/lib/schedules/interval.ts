/** Moments with an interval between them. At clock changes, the original's rules apply. */
import { CALENDAR, momentOf, wallAt } from "./calendar";
import { DAY, type Micros, SECOND } from "#lib/clock";
import { Looks } from "./looks";

const DAY_SECONDS = 86_400;

/**
 * An interval of seconds from an anchor. An interval of a day or more is counted on the zone's clock, a shorter one in
 * elapsed time. An interval of whole days keeps the anchor's time of day at clock changes.
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

/** Returns the moments at or after `start`, up to the end of the calendar. */
export function* intervalMoments(interval: Interval, start: Micros, looks = new Looks()): Generator<Micros> {
  const step = Math.round(interval.seconds * SECOND);
  if (!(step > 0)) return;
  const source = isOfWholeDays(interval.seconds) ? atTimeOfDay(interval, step, start) : oneByOne(interval, step, start);
  for (const moment of source) {
    if (!looks.take()) return;
    if (moment >= start) yield moment;
  }
}

/** If a clock change skips a time of day, that day's moment is an hour later. The next day's moment is unchanged. */
function* atTimeOfDay({ anchor, zone }: Interval, step: Micros, start: Micros): Generator<Micros> {
  const first = wallAt(anchor, zone);
  // Clocks change by less than a day.
  const near = first + Math.floor((wallAt(start, zone) - DAY - first) / step) * step;
  for (let wall = near; wall < CALENDAR.end; wall += step) {
    if (wall >= CALENDAR.first) yield momentOf(wall, zone, "later");
  }
}

/** Makes each moment from the previous moment, as the original does. The first moment is found by the elapsed time since the anchor. */
function* oneByOne({ seconds, anchor, zone }: Interval, step: Micros, start: Micros): Generator<Micros> {
  const next = (moment: Micros): Micros => {
    if (seconds < DAY_SECONDS) return moment + step;
    const wall = wallAt(moment, zone) + step;
    return wall < CALENDAR.end ? momentOf(wall, zone, "later") : CALENDAR.end;
  };
  let moment = anchor + Math.trunc((start - anchor) / step) * step;
  // Far from 1970 a float may be too inexact for the step.
  for (let last = -Infinity; moment > last && moment < CALENDAR.end; moment = next(moment)) {
    yield moment;
    last = moment;
  }
}
