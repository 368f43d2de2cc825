/** Makes a sequence smaller, as long as the kind of difference stays the same. */
import { isObject, type Json } from "../conformance/json.ts";
import { Sequence } from "./sequence.ts";

/** The smallest sequence that was found in `tries` tries. */
export async function reduce(
  sequence: Sequence,
  isSame: (candidate: Sequence) => Promise<boolean>,
  tries = 80,
): Promise<Sequence> {
  let smallest = sequence;
  let left = tries;
  for (let candidates = smallerOf(smallest); left > 0;) {
    const candidate = candidates.next();
    if (candidate.done) return smallest;
    left -= 1;
    if (!(await isSame(candidate.value))) continue;
    smallest = candidate.value;
    candidates = smallerOf(smallest);
  }
  return smallest;
}

/** The sequence without one part: first without half of its steps, then without each single step and property. */
function* smallerOf(sequence: Sequence): Generator<Sequence> {
  const { steps } = sequence;
  if (steps.length > 3) {
    yield { ...sequence, steps: steps.slice(Math.floor(steps.length / 2)) };
    yield { ...sequence, steps: steps.slice(0, Math.floor(steps.length / 2)) };
  }
  for (const smaller of without(sequence)) {
    const parsed = Sequence.safeParse(smaller);
    if (parsed.success) yield parsed.data;
  }
}

/** The value without one element or one property, the outer ones first. A sequence without a required property is invalid. */
function* without(value: Json): Generator<Json> {
  if (Array.isArray(value)) {
    for (const index of value.keys()) yield value.toSpliced(index, 1);
    for (const [index, item] of value.entries()) {
      for (const smaller of without(item)) yield value.with(index, smaller);
    }
  } else if (isObject(value)) {
    for (const key of Object.keys(value)) {
      const { [key]: _left, ...rest } = value;
      yield rest;
    }
    for (const [key, item] of Object.entries(value)) {
      for (const smaller of without(item ?? null)) yield { ...value, [key]: smaller };
    }
  }
}
