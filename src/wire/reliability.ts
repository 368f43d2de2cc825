/** Settings for runs of a deployment that stop responding or start twice. Prefect 3 has no such settings. */
import * as z from "zod";
import { parseJson } from "#lib/json";

/** The settings of a deployment that `/deployments/{id}/reliability` reads and sets. */
export const Reliability = z
  .strictObject({
    /** Refuses to start a run a second time while it is running (Prefect 1: version locking). */
    exactly_once: z.boolean(),
    /** Marks a run Crashed that has sent heartbeats and sends no more of them. */
    zombie_detection: z.boolean(),
    /** Schedules a run anew that stays Pending without a sign of life. */
    lazarus: z.boolean(),
  })
  .meta({ id: "DeploymentReliability" });
export type Reliability = z.output<typeof Reliability>;

/** The settings of a deployment without settings. */
export const DEFAULT_RELIABILITY: Reliability = { exactly_once: false, zombie_detection: true, lazarus: true };

/** The settings in a deployment's column. A setting that is absent or unreadable has its default. */
export function readReliability(column: string | null): Reliability {
  if (column === null) return DEFAULT_RELIABILITY;
  const said = Said.safeParse(readable(column));
  return { ...DEFAULT_RELIABILITY, ...said.data };
}

const Said = Reliability.partial();

function readable(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    // An old row may have a value out of bounds: it has the defaults.
    return undefined;
  }
}
