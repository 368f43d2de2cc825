/** The differences from the original that are meant, each with its reason. Keep it short. */
import type { Json } from "../conformance/json.ts";
import type { PlayedStep } from "./play.ts";
import type { Sequence, Step } from "./sequence.ts";

/** Where two plays of a sequence first differ. */
export interface Difference {
  path: string;
  /** What is not there is undefined. */
  reference: Json | undefined;
  target: Json | undefined;
  /** The step as it was played; none for the making of the world, and for its end. */
  step: Step | undefined;
  played: { reference: PlayedStep | undefined; target: PlayedStep | undefined };
  sequence: Sequence;
}

export interface Explained {
  holds: (difference: Difference) => boolean;
  reason: string;
}

export const explained: Explained[] = [
  {
    holds: ({ played }) => (played.reference?.status ?? 0) >= 500 && (played.target?.status ?? 500) < 500,
    reason: "The original fails here; an answer is better.",
  },
];
