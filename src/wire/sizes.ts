/** How long texts and lists in requests may be, so that no row, index or page grows beyond what others can bear. */
import { z } from "zod";
import { JsonObject } from "#wire/scalars";
import { byteLength } from "#lib/bytes";

/** A name, a key, a version: what is shown in a line, and what indexes hold. */
export const ShortText = z.string().max(2_000);

/** A description, a path, an entry point. */
export const LongText = z.string().max(100_000);

/**
 * The message of a state, a run's input: what a program writes. D1 takes a row of 2 MB; a state has its data beside it.
 */
export const HugeText = z.string().max(1_500_000);

/**
 * A list of at most `max` items. A longer one is refused before its items are looked at: of a million wrong items each would
 * have an issue of its own.
 */
export function listOf<S extends z.ZodType>(item: S, max: number) {
  return z.preprocess((value: z.input<S>[], context) => {
    if (!Array.isArray(value) || value.length <= max) return value;
    context.addIssue({ code: "too_big", origin: "array", maximum: max, inclusive: true, input: value.length });
    return z.NEVER;
  }, z.array(item).max(max));
}

/** Tags of a thing. */
export const Tags = listOf(ShortText, 1_000);

/** Prefect: `server.api.max_parameter_size`, of parameters as compact JSON. Other objects of users' are bounded alike. */
export const MAX_OBJECT_BYTES = 524_288;

/** Whether a JSON value is at most as large as the original lets parameters be. */
export function isSized(value: unknown): boolean {
  return byteLength(JSON.stringify(value) ?? "") <= MAX_OBJECT_BYTES;
}

/** An object with any content, as large as the original lets parameters be. */
export const SizedObject = JsonObject.refine(isSized, `An object must be less than ${MAX_OBJECT_BYTES} bytes as JSON`);
