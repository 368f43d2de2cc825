/** The differences from the original that are meant, each with its reason. Keep it short. */
import type { Difference } from "./diff.ts";

export interface Explained {
  /** Left out, it holds in every scenario. */
  scenario?: string;
  /** Left out, it holds in every step. */
  step?: RegExp;
  path: RegExp;
  holds?: (difference: Difference) => boolean;
  reason: string;
}

export const explained: Explained[] = [];
