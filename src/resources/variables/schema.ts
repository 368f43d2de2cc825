/** Variables on the wire. */
import { namedObject, namedStrictObject } from "#wire/named";
import { Tags, VariableName } from "#wire/sizes";
import * as z from "zod";
import { EntityText } from "#wire/ids";
import { byteLength } from "#lib/bytes";

/** Prefect: MAX_VARIABLE_VALUE_LENGTH, of the value as JSON. */
const MAX_VALUE_BYTES = 5000;

/** Any JSON that is not too long. An absent value is refused; `z.unknown()` alone would accept it. */
const VariableValue = z
  .unknown()
  .refine((value) => value !== undefined && byteLength(JSON.stringify(value)) <= MAX_VALUE_BYTES, {
    message: `Variable value must be less than ${MAX_VALUE_BYTES} characters`,
  });

export const VariableCreate = namedStrictObject("VariableCreate", {
  name: VariableName,
  value: VariableValue,
  tags: Tags.default([]),
});

export const VariableUpdate = namedStrictObject("VariableUpdate", {
  name: VariableName.nullish(),
  value: VariableValue.optional(),
  tags: Tags.nullish(),
});

export const Variable = namedObject("Variable", {
  ...EntityText,
  name: z.string(),
  value: z.unknown(),
  tags: z.array(z.string()),
});
