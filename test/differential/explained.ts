/** The differences from the original that are meant, each with its reason. Keep it short. */
import { at, type Json } from "../conformance/json.ts";
import type { Played } from "./play.ts";
import type { Sequence, Step } from "./sequence.ts";

/** Where two plays of a sequence first differ. */
export interface Difference {
  path: string;
  /** What is not there is undefined. */
  reference: Json | undefined;
  target: Json | undefined;
  sequence: Sequence;
  /** The number of the step: 0 is the making of the world, the one after the last its end. */
  at: number;
  /** What was proposed; nothing for the making of the world and for its end. */
  step: Step | undefined;
  plays: { reference: Played; target: Played };
}

export interface Explained {
  holds: (difference: Difference) => boolean;
  reason: string;
}

export const explained: Explained[] = [
  {
    holds: ({ plays, at }) =>
      (plays.reference.steps[at]?.status ?? 0) >= 500 && (plays.target.steps[at]?.status ?? 500) < 500,
    reason: "The original fails here; an answer is better.",
  },
  {
    holds: ({ path, plays, at }) =>
      /\.(empirical_policy\.(resuming|pause_keys)|run_count)$/.test(path) &&
      plays.reference.steps.slice(0, at).some(isRefusedPause),
    reason: "A paused run that is refused another state stays as it was; the original marks it as resuming.",
  },
];

/** Whether the step is one that a paused run was refused. */
function isRefusedPause({ answer }: Played["steps"][number]): boolean {
  const reason = at(answer, "details.reason");
  return (
    typeof reason === "string" &&
    (reason.includes("from the StateType.PAUSED state") || reason.startsWith("Cannot reschedule a "))
  );
}
