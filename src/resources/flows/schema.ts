/** Flows on the wire. */
import { namedObject, namedStrictObject } from "#wire/named";
import { Name, Tags } from "#wire/sizes";
import * as z from "zod";
import { EntityText, UuidText } from "#wire/ids";
import { Labels } from "#wire/scalars";

export const FlowCreate = namedStrictObject("FlowCreate", {
  name: Name,
  tags: Tags.default([]),
  labels: Labels.nullable().default({}),
});

export const FlowUpdate = namedStrictObject("FlowUpdate", { tags: Tags.optional() });

/** A flow in an answer. */
export const Flow = namedObject("Flow", {
  ...EntityText,
  name: z.string(),
  tags: z.array(z.string()),
  labels: Labels.nullable(),
});

export const FlowBulkDeleteResponse = namedObject("FlowBulkDeleteResponse", { deleted: z.array(UuidText) });
