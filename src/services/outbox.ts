/** The outbox's sweep: sends the events of states that have none, a minute after the states were written. */
import { sql } from "drizzle-orm";
import { keepUnsent, OUTBOX, sendUnsent } from "#events/outbox";
import type { Micros } from "#lib/clock";
import { walkStates } from "#services/walk-states";
import type { SweepTools } from "#tools";

/** How long a change is given to send its event itself. */
const PATIENCE: Micros = 60_000_000;

/** Sends the events of states that have none. The mark stays where events cannot be sent now. */
export async function sweepOutbox(tools: SweepTools): Promise<void> {
  const walk = { ...OUTBOX, age: PATIENCE, giveUp: keepUnsent, isPassing: () => true };
  await walkStates(tools, walk, (range, first) => sendUnsent(tools, range(sql.raw("st.id")), first));
}
