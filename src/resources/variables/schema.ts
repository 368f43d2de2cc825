/** Variables on the wire. */
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

export const VariableCreate = z
  .strictObject({
    name: VariableName,
    value: VariableValue,
    tags: Tags.default([]),
  })
  .meta({ id: "VariableCreate" });

export const VariableUpdate = z
  .strictObject({
    name: VariableName.nullish(),
    value: VariableValue.optional(),
    tags: Tags.nullish(),
  })
  .meta({ id: "VariableUpdate" });

export const Variable = z
  .object({
    ...EntityText,
    name: z.string(),
    value: z.unknown(),
    tags: z.array(z.string()),
  })
  .meta({ id: "Variable" });
