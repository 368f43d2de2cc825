/** Goes once through all states that are written, each a while after it was: a mark keeps how far it has come. */
import { type SQL, sql } from "drizzle-orm";
import { isPassing } from "#db/database";
import { sweep_mark } from "#db/tables/event";
import { flow_run_state } from "#db/tables/flow-run";
import { earliestId } from "#events/ordered-ids";
import { inHalves } from "#lib/halving";
import type { Micros } from "#lib/clock";
import { log } from "#lib/log";
import type { Tools } from "#tools";

/** How many states are looked at at a time, and how often in one turn. */
const AT_ONCE = 500;
const ROUNDS = 20;
/** How far back the first walk goes. */
const FIRST_LOOK: Micros = 86_400_000_000;

/** A walk: its name, which its mark has too, and how old a state is when it is visited. */
export interface Walk {
  name: string;
  age: Micros;
}

/**
 * Visits the states between the mark and `age` ago, stretch by stretch: `range` gives the condition on a state's id. The
 * mark moves when a stretch was visited, so a walk that breaks off goes on there with the next turn. A state at which the
 * visit fails is logged and passed over; the visit is repeated for the others, so it must be repeatable.
 */
export async function walkStates(
  tools: Tools,
  { name, age }: Walk,
  visit: (range: (id: SQL) => SQL) => Promise<void>,
): Promise<void> {
  const until = earliestId(tools.clock() - age);
  const [mark] = await tools.db.rows<{ mark: string }>(sql`select mark from ${sweep_mark} where name = ${name}`);
  let after = mark?.mark ?? earliestId(tools.clock() - age - FIRST_LOOK);
  for (let round = 0; round < ROUNDS && after < until; round++) {
    const states = await readStretch(tools, after, until);
    await inHalves(
      states,
      (some) => visit((id) => sql`${id} between ${some[0]} and ${some.at(-1)}`),
      async (id, error) => log(tools, "error", "a walk passes over a state", { walk: name, state_id: id, error }),
      { isPassing },
    );
    const end = states.at(-1) ?? until;
    await tools.db.run(sql`insert into ${sweep_mark} (name, mark) values (${name}, ${end})
      on conflict (name) do update set mark = max(mark, excluded.mark)`);
    after = end;
  }
}

/** The ids of the next states, in order; none at the end of the walk. */
async function readStretch(tools: Tools, after: string, until: string): Promise<string[]> {
  const rows = await tools.db.rows<{ id: string }>(sql`
    select id from ${flow_run_state} where id > ${after} and id < ${until} order by id limit ${AT_ONCE}`);
  return rows.map(({ id }) => id);
}
