/** Since when this server listens. Before that it heard of nobody, so silence before that says nothing. */
import { sql } from "drizzle-orm";
import { sweep_mark } from "#db/tables/event";
import { earliestId, timeOfId } from "#events/ordered-ids";
import type { Micros } from "#lib/clock";
import type { SweepTools } from "#tools";

/** Turns come each minute. A longer gap between two turns means that the server did not listen. */
const LONGEST_GAP: Micros = 150_000_000;

/** Notes this turn of a service, and gives the first of its turns since the last gap. One round trip. */
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
