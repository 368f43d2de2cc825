/** The explained differences of a comparison, in the form in which differences.json keeps them. */
import type { StepDifferences } from "./diff.ts";

/** The reasons why the answers of steps differ, by scenario and step. */
export type Differences = Record<string, Record<string, string[]>>;

/** The reasons of each step of one scenario. */
export function reasonsOf(explained: readonly StepDifferences[]): Record<string, string[]> {
  return Object.fromEntries(
    explained.map(({ step, differences }) => [step, [...new Set(differences.flatMap(({ reason }) => reason ?? []))]]),
  );
}
