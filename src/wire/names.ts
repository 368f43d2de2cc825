/** Names that Prefect restricts. */
import * as z from "zod";
import { ShortText } from "#wire/sizes";

const WITHOUT_BANNED = "^[^/%&><]+$";

/** A name of a thing that appears in paths. Prefect: BANNED_CHARACTERS. */
export const Name = ShortText.refine((name) => new RegExp(WITHOUT_BANNED).test(name), {
  params: { type: "string_pattern_mismatch", ctx: { pattern: WITHOUT_BANNED } },
  message: `String should match pattern '${WITHOUT_BANNED}'`,
});

/** How long the name of a variable may be. Prefect: MAX_VARIABLE_NAME_LENGTH. */
export const MAX_VARIABLE_NAME_CHARACTERS = 255;

/** Lowercase letters, digits, dashes and underscores, as names of variables. */
export const VariableName = z.string().superRefine((name, context) => {
  if (!/^[a-z0-9_-]*$/.test(name)) {
    context.addIssue({
      code: "custom",
      message: "Value error, Variable name must only contain lowercase letters, numbers, and dashes or underscores.",
      params: { type: "value_error", ctx: { error: {} } },
    });
  } else if (name.length > MAX_VARIABLE_NAME_CHARACTERS) {
    context.addIssue({
      code: "custom",
      message: `Value should have at most ${MAX_VARIABLE_NAME_CHARACTERS} items after validation, not ${name.length}`,
      params: {
        type: "too_long",
        ctx: { field_type: "Value", max_length: MAX_VARIABLE_NAME_CHARACTERS, actual_length: name.length },
      },
    });
  }
});
