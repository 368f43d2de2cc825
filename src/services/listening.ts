/** Since when this server listens: silence before that is its own. */
import { sql } from "drizzle-orm";
import { sweep_mark } from "#db/tables/event";
import { earliestId, timeOfId } from "#events/ordered-ids";
import type { Micros } from "#lib/clock";
import type { Tools } from "#tools";

/** Turns come each minute. Where none came for so long, nothing was heard of anybody. */
const LONGEST_GAP: Micros = 150_000_000;

/** Notes this turn of a service, and says since when its turns have come without a gap; where there was one, since now. */
export async function listeningSince({ db }: Tools, service: string, now: Micros): Promise<Micros> {
  const names = { since: `${service}: listening since`, last: `${service}: last turn` };
  const rows = await db.rows<{ name: string; mark: string }>(
    sql`select name, mark from ${sweep_mark} where name in (${names.since}, ${names.last})`,
  );
  const marks = new Map(rows.map(({ name, mark }) => [name, timeOfId(mark)]));
  const since = marks.get(names.since);
  const last = marks.get(names.last);
  const isUnbroken = since !== undefined && last !== undefined && Math.abs(now - last) <= LONGEST_GAP && since <= now;
  const begun = isUnbroken ? since : now;
  await db.run(sql`insert into ${sweep_mark} (name, mark)
    values (${names.since}, ${earliestId(begun)}), (${names.last}, ${earliestId(now)})
    on conflict (name) do update set mark = excluded.mark where mark <> excluded.mark`);
  return begun;
}
