/** Requests and answers of the routes under /ui. */
import * as z from "zod";
import { TimeText } from "#wire/dates";
import { Uuid, UuidText } from "#wire/ids";
import { namedObject } from "#wire/named";
import { listOf } from "#wire/sizes";
import { STATE_TYPES, StateType } from "#wire/state";

/** How many flows or flow runs a request may name. The user interface names those of one page. */
const MAX_NAMED = 1_000;

/** The flows or flow runs that a request names. */
export const NamedIds = listOf(Uuid, MAX_NAMED);

/** The flow run of a bar in a chart. Durations are in seconds. */
export const SimpleFlowRun = namedObject("SimpleFlowRun", {
  id: UuidText,
  state_type: StateType,
  timestamp: TimeText,
  duration: z.number(),
  lateness: z.number(),
});

/** The next run of a flow. */
export const SimpleNextFlowRun = namedObject("SimpleNextFlowRun", {
  id: UuidText,
  flow_id: UuidText,
  name: z.string(),
  state_name: z.string(),
  state_type: StateType,
  next_scheduled_start_time: TimeText,
});

/** How many task runs of a bucket of time have ended well, and how many have not. */
export const TaskRunCount = namedObject("TaskRunCount", { completed: z.int(), failed: z.int() });

/** How many runs are in a state of each type. */
export const CountByState = namedObject(
  "CountByState",
  Object.fromEntries(STATE_TYPES.map((type) => [type, z.int()])) as Record<StateType, z.ZodInt>,
);

/** Numbers by the ids that a request names. */
export const CountById = z.record(UuidText, z.int());

/** The faults of a value: its own, and those of its properties and its items. */
export type ValueErrors = (
  | string
  | { property: string; errors: ValueErrors }
  | { index: number; errors: ValueErrors }
)[];

const SchemaValuePropertyError = namedObject("SchemaValuePropertyError", {
  property: z.string(),
  get errors(): z.ZodType<ValueErrors> {
    return errorsOf();
  },
});
const SchemaValueIndexError = namedObject("SchemaValueIndexError", {
  index: z.int(),
  get errors(): z.ZodType<ValueErrors> {
    return errorsOf();
  },
});

/** Made for each schema anew, so that only the two names are recursive in the OpenAPI document. */
function errorsOf(): z.ZodType<ValueErrors> {
  return z.array(z.union([z.string(), SchemaValuePropertyError, SchemaValueIndexError]));
}

/** Whether values meet a schema, and the faults of each property and each item. */
export const SchemaValuesValidationResponse = namedObject("SchemaValuesValidationResponse", {
  errors: errorsOf(),
  valid: z.boolean(),
});
