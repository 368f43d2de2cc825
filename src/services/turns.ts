/** The turns of the clock, one a minute. */
import { sql } from "drizzle-orm";
import { sweep_mark } from "#db/tables/event";
import { earliestId, type Micros, timeOfId } from "#lib/clock";
import type { SweepTools } from "#tools";

const MINUTE: Micros = 60_000_000;

/** An hour. */
export const HOUR: Micros = 60 * MINUTE;

/** Whether this is the first turn of its hour. Work that costs too much for each turn is done in this one. */
export function isFirstOfHour(now: Micros): boolean {
  return now % HOUR < MINUTE;
}

/** A stretch of time: the first moment is not part of it, the last one is. */
export interface Period {
  after: Micros;
  until: Micros;
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

/** A longer gap between two turns means that the server did not listen. */
const LONGEST_GAP: Micros = 150_000_000;

/**
 * Notes this turn of a service, and gives the time of the first turn since the last gap. Before that time this server heard of no
 * run, so the silence of a run before that time says nothing. One round trip.
 */
export async function listeningSince({ db }: SweepTools, service: string, now: Micros): Promise<Micros> {
  const [since, last] = [`${service}: listening since`, `${service}: last turn`];
  const unbroken = sql`(select s.mark from ${sweep_mark} s cross join ${sweep_mark} l where s.name = ${since}
    and l.name = ${last} and l.mark between ${earliestId(now - LONGEST_GAP)} and ${earliestId(now + LONGEST_GAP)}
    and s.mark <= ${earliestId(now)})`;
  const [, marks] = await db.repeatable([
    sql`insert into ${sweep_mark} (name, mark)
      select ${since}, coalesce(${unbroken}, ${earliestId(now)}) union all select ${last}, ${earliestId(now)}
      where true on conflict (name) do update set mark = excluded.mark where mark <> excluded.mark`,
    sql`select mark from ${sweep_mark} where name = ${since}`,
  ]);
  const mark = marks?.rows[0]?.["mark"];
  return typeof mark === "string" ? timeOfId(mark) : now;
}
