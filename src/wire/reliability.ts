/** How a deployment's runs are kept honest; ours alone, Prefect 3 has nothing like it. */
import { z } from "zod";
import { parseJson } from "#lib/json";

/** The switches of a deployment, as they are read and set by `/deployments/{id}/reliability`. */
export const Reliability = z
  .strictObject({
    /** Refuses to start a run a second time while it is running (Prefect 1: version locking). */
    exactly_once: z.boolean(),
    /** Marks a run Crashed that has sent heartbeats and then sends none any more. */
    zombie_detection: z.boolean(),
    /** Schedules a run anew that stays Pending without a sign of life. */
    lazarus: z.boolean(),
  })
  .meta({ id: "DeploymentReliability" });
export type Reliability = z.output<typeof Reliability>;

/** What holds for a deployment that says nothing. */
export const DEFAULT_RELIABILITY: Reliability = { exactly_once: false, zombie_detection: true, lazarus: true };

/** The switches out of a deployment's column; what it does not say, or cannot be read, has its default. */
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
    // A row from before there were bounds says nothing.
    return undefined;
  }
}
