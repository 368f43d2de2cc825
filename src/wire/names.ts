/** Names that Prefect restricts. */
import * as z from "zod";
import { refuse } from "#wire/refusal";
import { ShortText } from "#wire/sizes";

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
