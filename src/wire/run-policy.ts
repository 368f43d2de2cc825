/** How runs are retried and paused, on the wire. */
import * as z from "zod";
import { Bool, Float, Int } from "#wire/scalars";
import { listOf, ShortText } from "#wire/sizes";

const retired = { max_retries: Int.optional(), retry_delay_seconds: Float.optional() };

/**
 * Prefect: `set_run_policy_deprecated_fields`. An old field counts where the new field has no value.
 * An old delay that the new field would refuse is refused under the name of the new field.
 */
function heedRetired<
  T extends { max_retries?: number; retry_delay_seconds?: number; retries?: number | null; retry_delay?: unknown },
>(policy: T, context: z.core.$RefinementCtx, wholeSeconds: boolean): T {
  const { max_retries: retries, retry_delay_seconds: delay } = policy;
  const heeded = { ...policy };
  if (!policy.retries && retries) heeded.retries = retries;
  if (policy.retry_delay || !delay) return heeded;
  if (wholeSeconds && !Number.isInteger(delay)) {
    context.addIssue({
      code: "custom",
      path: ["retry_delay"],
      message: "Input should be a valid integer, got a number with a fractional part",
      params: { type: "int_from_float", input: delay },
    });
  }
  heeded.retry_delay = delay;
  return heeded;
}

export const FlowRunPolicy = z
  .object({
    ...retired,
    retries: Int.nullish(),
    retry_delay: Int.nullish(),
    pause_keys: listOf(ShortText, 1_000).nullish(),
    resuming: Bool.nullish(),
    retry_type: z.enum(["in_process", "reschedule"]).nullish(),
  })
  .meta({ id: "FlowRunPolicy" })
  .transform((policy, context) => heedRetired(policy, context, true));
/** The empirical policy of a flow run. Its row has it as JSON. */
export type FlowRunPolicy = z.output<typeof FlowRunPolicy>;

/** Prefect: `list_length_50_or_less`. */
const MOST_DELAYS = 50;

export const TaskRunPolicy = z
  .object({
    ...retired,
    retries: Int.nullish(),
    retry_delay: z
      .union([Float, z.array(Float)])
      .refine((delay) => !Array.isArray(delay) || delay.length <= MOST_DELAYS, {
        message: `Can not configure more than ${MOST_DELAYS} retry delays per task.`,
      })
      .nullish(),
    retry_jitter_factor: Float.refine((factor) => factor >= 0, {
      message: "`retry_jitter_factor` must be >= 0.",
    }).nullish(),
  })
  .meta({ id: "TaskRunPolicy" })
  .transform((policy, context) => heedRetired(policy, context, false));
/** The empirical policy of a task run. Its row has it as JSON. */
export type TaskRunPolicy = z.output<typeof TaskRunPolicy>;
