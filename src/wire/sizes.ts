/** Texts, names, lists and objects in requests, with their maximum sizes. The sizes bound rows, indexes and pages. */
import * as z from "zod";
import { byteLength } from "#lib/bytes";
import { JsonObject, refuse } from "#wire/scalars";

/** A name, a key or a version: a text of one line, which an index may hold. */
export const ShortText = z.string().max(2_000);

const WITHOUT_BANNED = "^[^/%&><]+$";

/** A name that paths contain. Prefect: BANNED_CHARACTERS. */
export const Name = ShortText.refine((name) => new RegExp(WITHOUT_BANNED).test(name), {
  params: { type: "string_pattern_mismatch", ctx: { pattern: WITHOUT_BANNED } },
  message: `String should match pattern '${WITHOUT_BANNED}'`,
});

/** How long the name of a variable may be. Prefect: MAX_VARIABLE_NAME_LENGTH. */
export const MAX_VARIABLE_NAME_CHARACTERS = 255;

/** Lowercase letters, digits, dashes and underscores, as names of variables. */
export const VariableName = z.string().superRefine((name, context) => {
  const [max_length, actual_length] = [MAX_VARIABLE_NAME_CHARACTERS, name.length];
  if (!/^[a-z0-9_-]*$/.test(name)) {
    const message = "Variable name must only contain lowercase letters, numbers, and dashes or underscores.";
    context.addIssue({ code: "custom", message });
  } else if (actual_length > max_length) {
    const message = `Value should have at most ${max_length} items after validation, not ${actual_length}`;
    refuse(context, "too_long", message, { field_type: "Value", max_length, actual_length });
  }
});

/** A description, a path, an entry point. */
export const LongText = z.string().max(100_000);

/** The message of a state or the input of a run. A row of D1 has at most 2 MB, and the row of a state also has the state's data. */
export const HugeText = z.string().max(1_500_000);

/** A list of at most `max` items. The length is checked before the items, because each wrong item has an issue. */
export function listOf<S extends z.ZodType>(item: S, max: number) {
  return z.preprocess((value: z.input<S>[], context) => {
    if (!Array.isArray(value) || value.length <= max) return value;
    context.addIssue({ code: "too_big", origin: "array", maximum: max, inclusive: true, input: value.length });
    return z.NEVER;
  }, z.array(item).max(max));
}

/** The tags of a run, a flow or another resource. */
export const Tags = listOf(ShortText, 1_000);

/** The maximum size of parameters and users' objects as compact JSON. Prefect: `server.api.max_parameter_size`. */
const MAX_OBJECT_BYTES = 524_288;

/** Whether a JSON value has at most `MAX_OBJECT_BYTES`. */
export function isSized(value: unknown): boolean {
  return byteLength(JSON.stringify(value) ?? "") <= MAX_OBJECT_BYTES;
}

/** An object with any content of at most `MAX_OBJECT_BYTES`. */
export const SizedObject = JsonObject.refine(isSized, `An object must be less than ${MAX_OBJECT_BYTES} bytes as JSON`);

/** Parameters of a run, of at most `MAX_OBJECT_BYTES`. */
export const SizedParameters = JsonObject.superRefine((parameters, context) => {
  const bytes = byteLength(JSON.stringify(parameters));
  if (bytes <= MAX_OBJECT_BYTES) return;
  const [most, size] = [MAX_OBJECT_BYTES, bytes].map((number) => number.toLocaleString("en-US"));
  context.addIssue({
    code: "custom",
    message: `Flow run parameters must be less than ${most} bytes when serialized (got ${size} bytes).`,
  });
});
