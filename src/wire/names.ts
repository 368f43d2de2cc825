/** Names that the original restricts. */
import { z } from "zod";

const WITH_BANNED = /[/%&><]/;

/** A name of a thing that appears in paths. Prefect: BANNED_CHARACTERS. */
export const Name = z.string().refine((name) => !WITH_BANNED.test(name), {
  params: { type: "value_error", ctx: { error: {} } },
  message: "Value error, name may not contain any of the characters / % & > <",
});

/** Lowercase letters, digits and underscores, as names of variables. */
export const VariableName = z
  .string()
  .max(255)
  .refine((name) => /^[a-z0-9_]*$/.test(name), {
    params: { type: "value_error", ctx: { error: {} } },
    message: "Value error, name must only contain lowercase letters, numbers, and underscores.",
  });
