/** Flows on the wire. */
import { Name, Tags } from "#wire/sizes";
import * as z from "zod";
import { EntityText, UuidText } from "#wire/ids";
import { Labels } from "#wire/scalars";

export const FlowCreate = z
  .strictObject({
    name: Name,
    tags: Tags.default([]),
    labels: Labels.nullable().default({}),
  })
  .meta({ id: "FlowCreate" });

export const FlowUpdate = z.strictObject({ tags: Tags.optional() }).meta({ id: "FlowUpdate" });

/** A flow in an answer. */
export const Flow = z
  .object({
    ...EntityText,
    name: z.string(),
    tags: z.array(z.string()),
    labels: Labels.nullable(),
  })
  .meta({ id: "Flow" });

export const FlowBulkDeleteResponse = z.object({ deleted: z.array(UuidText) }).meta({ id: "FlowBulkDeleteResponse" });
