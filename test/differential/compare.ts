/** Finds the first step at which two plays of one sequence differ. */
import { isObject, type Json } from "../conformance/json.ts";
import { type Difference, explained } from "./explained.ts";
import type { Played, PlayedStep } from "./play.ts";
import type { Sequence } from "./sequence.ts";

export interface Comparison {
  /** The first step at which the plays differ. */
  at: number;
  unexplained: Difference[];
  /** The reasons of all explained differences. */
  reasons: string[];
}

/** Compares two plays up to the first step that differs, because most later differences follow from the first. */
export function compare(sequence: Sequence, reference: Played, target: Played): Comparison {
  const reasons: string[] = [];
  const ends = [reference.end, target.end] as const;
  const pairs = [...reference.steps.map((step, index) => [json(step), json(target.steps[index])] as const), ends];
  for (const [at, [expected, actual]] of pairs.entries()) {
    const facts = { sequence, at, step: sequence.steps[at - 1], plays: { reference, target } };
    const differences = differ(expected, actual).map((found) => ({ ...found, ...facts }));
    const unexplained = differences.filter((one) => !explained.some(({ holds }) => holds(one)));
    if (unexplained.length > 0) return { at, unexplained, reasons };
    const why = differences.flatMap((one) => explained.find(({ holds }) => holds(one)) ?? []);
    reasons.push(...why.map(({ reason }) => reason));
    if (why.some(({ goesOn }) => !goesOn)) return { at, unexplained, reasons };
  }
  return { at: pairs.length, unexplained: [], reasons };
}

/** The kind of a difference, without the numbers of this sequence. */
export function kindOf(differences: readonly Difference[]): string {
  const kinds = differences.map(({ path, reference, target }) => `${path}: ${show(reference)} -> ${show(target)}`);
  return kinds
    .join("; ")
    .replaceAll(/\bt\d+/g, "t#")
    .replaceAll(/\b(flow|task|lease) \d+/g, "$1 #")
    .slice(0, 600);
}

type Found = Pick<Difference, "path" | "reference" | "target">;

/** The differences of each property, also if one of the two values is missing. */
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
