/** Where two plays of one sequence part. */
import { isObject, type Json } from "../conformance/json.ts";
import { type Difference, explained } from "./explained.ts";
import type { Played, PlayedStep } from "./play.ts";
import type { Sequence } from "./sequence.ts";

export interface Parting {
  /** The number of the step: 0 is the making of the world, the one after the last its end. */
  at: number;
  unexplained: Difference[];
  /** The reasons of the others. */
  reasons: string[];
}

/** The first step that differs; what comes after it follows from it and says nothing. */
export function compare(sequence: Sequence, reference: Played, target: Played): Parting | undefined {
  const steps = [...reference.steps.keys()];
  const at = steps.find((index) => differ(json(reference.steps[index]), json(target.steps[index])).length > 0);
  if (at !== undefined) {
    const [expected, actual] = [reference.steps[at], target.steps[at]];
    return parting(at, differ(json(expected), json(actual)), { sequence, plays: { reference, target } });
  }
  const found = differ(reference.end, target.end, "end");
  if (found.length === 0) return undefined;
  return parting(steps.length, found, { sequence, plays: { reference, target } });
}

/** What kind of difference it is, without the numbers of this sequence. */
export function kindOf(differences: readonly Difference[]): string {
  const kinds = differences.map(({ path, reference, target }) => `${path}: ${show(reference)} -> ${show(target)}`);
  return kinds
    .join("; ")
    .replaceAll(/\bt\d+/g, "t#")
    .replaceAll(/\b(flow|task|lease) \d+/g, "$1 #")
    .slice(0, 600);
}

type Found = Pick<Difference, "path" | "reference" | "target">;

function parting(at: number, found: readonly Found[], facts: Pick<Difference, "sequence" | "plays">): Parting {
  const differences = found.map((one) => ({ ...one, ...facts, at, step: facts.sequence.steps[at - 1] }));
  const withReason = differences.map((one) => ({ one, reason: explained.find(({ holds }) => holds(one))?.reason }));
  return {
    at,
    unexplained: withReason.filter(({ reason }) => reason === undefined).map(({ one }) => one),
    reasons: withReason.flatMap(({ reason }) => reason ?? []),
  };
}

/** Property by property, also where one of the two is not there at all. */
function differ(reference: Json | undefined, target: Json | undefined, path = ""): Found[] {
  const [left, right] = [reference ?? {}, target ?? {}];
  if (isObject(left) && isObject(right) && (reference ?? target ?? null) !== null) {
    const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])];
    return keys.flatMap((key) => differ(left[key], right[key], path ? `${path}.${key}` : key));
  }
  if (JSON.stringify(reference) === JSON.stringify(target)) return [];
  return [{ path, reference, target }];
}

function json(step: PlayedStep | undefined): Json | undefined {
  return step && { status: step.status, answer: step.answer, changed: step.changed };
}

function show(value: Json | undefined): string {
  return value === undefined ? "(none)" : JSON.stringify(value);
}
