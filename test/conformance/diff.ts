/** Finds the differences of two transcripts of one scenario, step by step and path by path. */
import { explained } from "./explained.ts";
import { isObject, type Json } from "./json.ts";
import type { TranscriptStep } from "./play.ts";

export interface Difference {
  path: string;
  /** A missing value is shown as `<absent>`. */
  reference: Json;
  target: Json;
  reason?: string;
}

export interface StepDifferences {
  scenario: string;
  step: string;
  request: string;
  differences: Difference[];
}

export interface Comparison {
  scenario: string;
  reference: TranscriptStep[];
  target: TranscriptStep[];
}

/** The differences without an explanation, and the differences that `explained.ts` explains. */
export function compareTranscripts(comparison: Comparison): {
  unexplained: StepDifferences[];
  explained: StepDifferences[];
} {
  const { scenario, reference, target } = comparison;
  const names = new Set([...reference, ...target].map((step) => step.name));
  const all = [...names].map((name): StepDifferences => {
    const expected = reference.find((step) => step.name === name);
    const actual = target.find((step) => step.name === name);
    return {
      scenario,
      step: name,
      request: (expected ?? actual)?.request ?? "",
      differences: differ(asJson(expected), asJson(actual), "$").map((difference) =>
        withReason({ scenario, step: name, difference, expected, actual }),
      ),
    };
  });
  const keep = (isWanted: (difference: Difference) => boolean): StepDifferences[] =>
    all
      .map((step) => ({ ...step, differences: step.differences.filter(isWanted) }))
      .filter((step) => step.differences.length > 0);
  return {
    unexplained: keep((difference) => difference.reason === undefined),
    explained: keep((difference) => difference.reason !== undefined),
  };
}

function asJson(step: TranscriptStep | undefined): Json | undefined {
  if (step === undefined) return undefined;
  return { status: step.status, headers: step.headers ?? null, body: step.body ?? null };
}

function differ(reference: Json | undefined, target: Json | undefined, path: string): Difference[] {
  if (Array.isArray(reference) && Array.isArray(target)) {
    const indexes = [...Array(Math.max(reference.length, target.length)).keys()];
    return indexes.flatMap((index) => differ(reference[index], target[index], `${path}[${index}]`));
  }
  if (isObject(reference) && isObject(target)) {
    const keys = [...new Set([...Object.keys(reference), ...Object.keys(target)])].sort();
    return keys.flatMap((key) => differ(reference[key], target[key], `${path}.${key}`));
  }
  if (reference === target) return [];
  return [{ path, reference: reference ?? orAbsent(reference), target: target ?? orAbsent(target) }];
}

function orAbsent(value: null | undefined): null | "<absent>" {
  return value === undefined ? "<absent>" : null;
}

interface Found {
  scenario: string;
  step: string;
  difference: Difference;
  expected: TranscriptStep | undefined;
  actual: TranscriptStep | undefined;
}

function withReason(found: Found): Difference {
  const match = explained.find(
    (entry) =>
      (entry.scenario === undefined || entry.scenario === found.scenario) &&
      (entry.step === undefined || entry.step.test(found.step)) &&
      entry.path.test(found.difference.path) &&
      (entry.holds === undefined ||
        (found.expected !== undefined && found.actual !== undefined && entry.holds(found.expected, found.actual))),
  );
  return match === undefined ? found.difference : { ...found.difference, reason: match.reason };
}
