/** Walks over states: each state of all workspaces is visited once, some time after it was written. The outbox is one such walk. */
import { type SQL, sql } from "drizzle-orm";
import { isPassing } from "#db/database";
import { earliestId, type Micros } from "#lib/clock";
import { keepUnsent, OUTBOX, sendUnsent } from "#events/outbox";
import { inHalves } from "#lib/halving";
import { log } from "#lib/log";
import type { RowKey } from "#services/due";
import { takeTurn } from "#services/turns";
import { selectStates } from "#services/sweep-store";
import { inWorkspace, type SweepTools, type Tools } from "#tools";

/** How many states a step visits at most, and how many steps a turn takes. */
const AT_ONCE = 500;
const STEPS = 20;
/** How far before the first turn a walk begins. */
const FIRST_LOOK: Micros = 86_400_000_000;

export interface Walk {
  /** The name of the walk's mark. */
  name: string;
  /** How old a state is when the walk visits it. */
  age: Micros;
  /** How old the oldest state is that the first turn visits. */
  firstAge?: Micros;
  /** What to do with a state if its visit is never completed. A log line is written in any case. */
  giveUp?: (tools: Tools, stateId: string) => Promise<void>;
  /** Whether a failure is not caused by the visited states. If so, the failure is thrown, and the mark stays. */
  isPassing?: (error: unknown) => boolean;
}

/** Returns the condition that a column has the id of one of the visited states. */
export type Range = (id: SQL) => SQL;

/**
 * Visits the states that no earlier turn has visited, in the order of their ids. `visit` gets the condition on the ids
 * of some states, and the first of these ids. If the visit of a state fails, the state is logged and skipped. The visit
 * is repeated for the other states, so it must be repeatable.
 */
export function walkStates(
  tools: SweepTools,
  walk: Walk,
  visit: (range: Range, first: string) => Promise<void>,
): Promise<void> {
  const now = tools.clock();
  const until = earliestId(now - walk.age);
  const passOver = async (id: string, error: unknown): Promise<void> =>
    log(tools, "error", "a walk passes over a state", { walk: walk.name, state_id: id, error });
  const giveUp = async ({ id, workspace_id }: RowKey): Promise<void> => {
    await passOver(id, "no turn came to its end with this state");
    await walk.giveUp?.(inWorkspace(tools, workspace_id), id);
  };
  const visitSome = (ids: readonly string[]) =>
    visit((id) => sql`${id} between ${ids[0]} and ${ids.at(-1)}`, ids[0] ?? "");
  return takeTurn(tools, {
    name: walk.name,
    most: AT_ONCE,
    steps: STEPS,
    keepsSizeOnError: true,
    begin: (mark) => {
      const after = mark ?? earliestId(now - (walk.firstAge ?? walk.age + FIRST_LOOK));
      return after < until ? after : null;
    },
    async step({ place, most, note }) {
      const states = await tools.db.rows<RowKey>(selectStates(place, until, Math.max(1, most)));
      const last = states.at(-1);
      if (!last) return { place: until, isEnd: true };
      await note();
      const ids = states.map(({ id }) => id);
      if (most === 0) await giveUp(last);
      else await inHalves(ids, visitSome, passOver, { isPassing: walk.isPassing ?? isPassing });
      return { place: last.id, isEnd: false };
    },
  });
}

/** How long the sweep waits, so that the change of a state can send its own event. */
const PATIENCE: Micros = 60_000_000;

/** Sends the unsent events of states. If events cannot be sent now, the mark stays. */
export async function sweepOutbox(tools: SweepTools): Promise<void> {
  const walk = { ...OUTBOX, age: PATIENCE, giveUp: keepUnsent, isPassing: () => true };
  await walkStates(tools, walk, (range, first) => sendUnsent(tools, range(sql.raw("st.id")), first));
}
