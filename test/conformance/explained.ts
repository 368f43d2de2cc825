/** The differences from the original that are meant, each with its reason. Keep it short. */
import type { TranscriptStep } from "./play.ts";

export interface Explained {
  /** Left out, it holds in every scenario. */
  scenario?: string;
  /** Left out, it holds in every step. */
  step?: RegExp;
  path: RegExp;
  holds?: (reference: TranscriptStep, target: TranscriptStep) => boolean;
  reason: string;
}

export const explained: Explained[] = [
  {
    path: /^\$/,
    holds: (reference, target) => reference.status === 500 && target.status >= 400 && target.status < 500,
    reason: "The original fails here (500); a clear refusal is better.",
  },
  {
    scenario: "flow-runs",
    step: /^bad label$/,
    path: /^\$/,
    reason: "The original keeps labels of any kind and can then no longer show the run; they are refused.",
  },
];
