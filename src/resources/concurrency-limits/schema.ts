/** Limits of tags on the wire: concurrency limits, version 1. */
import { MAX_NAMES } from "#resources/concurrency-limits-v2/schema";
import { ShortText, listOf } from "#wire/sizes";
import * as z from "zod";
import { EntityText, Uuid, UuidText } from "#wire/ids";
import { Int } from "#wire/scalars";

const BANNED = /[/%&><]/;

/** Prefect: a tag whose limit could have no name is answered by a 500. */
const LimitedTag = ShortText.refine((tag) => !BANNED.test(tag), {
  params: { type: "string_pattern_mismatch", ctx: { pattern: "^[^/%&><]*$" } },
  message: "String should match pattern '^[^/%&><]*$'",
});

export const ConcurrencyLimitCreate = z
  .strictObject({ tag: LimitedTag, concurrency_limit: Int })
  .meta({ id: "ConcurrencyLimitCreate" });

export const ConcurrencyLimit = z
  .object({
    ...EntityText,
    tag: z.string(),
    concurrency_limit: z.int(),
    active_slots: z.array(UuidText),
  })
  .meta({ id: "ConcurrencyLimit" });

/** The body by which a task run takes or gives back a slot of each tag. */
export const tagSlots = { names: listOf(ShortText, MAX_NAMES), task_run_id: Uuid };

export const resetting = { slot_override: listOf(Uuid, MAX_NAMES).nullish() };
