/** Names that the original restricts. */
import { z } from "zod";

const WITHOUT_BANNED = "^[^/%&><]+$";

/** A name of a thing that appears in paths. Prefect: BANNED_CHARACTERS. */
export const Name = z.string().refine((name) => new RegExp(WITHOUT_BANNED).test(name), {
  params: { type: "string_pattern_mismatch", ctx: { pattern: WITHOUT_BANNED } },
  message: `String should match pattern '${WITHOUT_BANNED}'`,
});

/** Lowercase letters, digits and underscores, as names of variables. */
export const VariableName = z
  .string()
  .max(255)
  .refine((name) => /^[a-z0-9_]*$/.test(name), {
    params: { type: "value_error", ctx: { error: {} } },
    message: "Value error, name must only contain lowercase letters, numbers, and underscores.",
  });
