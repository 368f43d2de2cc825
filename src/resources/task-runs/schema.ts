/** Task runs on the wire. */
import { namedObject, namedStrictObject } from "#wire/named";
import { ShortText, Tags } from "#wire/sizes";
import * as z from "zod";
import { Time, TimeText } from "#wire/dates";
import { EntityText, Uuid, UuidText } from "#wire/ids";
import { Labels } from "#wire/scalars";
import { TaskInputs, TaskRunPolicy } from "#wire/runs";
import { StateCreate, StateText, StateType } from "#wire/state";

/** Prefect: `server.tasks.max_cache_key_length`. */
const MAX_CACHE_KEY_CHARACTERS = 2000;

export const TaskRunCreate = namedStrictObject("TaskRunCreate", {
  id: Uuid.nullish(),
  state: StateCreate.nullish(),
  name: ShortText.nullish(),
  flow_run_id: Uuid.nullish(),
  task_key: ShortText,
  dynamic_key: ShortText,
  cache_key: z
    .string()
    .refine(
      (key) => Array.from(key).length <= MAX_CACHE_KEY_CHARACTERS,
      `Cache key exceeded maximum allowed length of ${MAX_CACHE_KEY_CHARACTERS} characters.`,
    )
    .nullish(),
  cache_expiration: Time.nullish(),
  task_version: ShortText.nullish(),
  empirical_policy: TaskRunPolicy.optional(),
  tags: Tags.optional(),
  labels: Labels.nullish(),
  task_inputs: TaskInputs.optional(),
});

export const TaskRunUpdate = namedStrictObject("TaskRunUpdate", { name: ShortText.nullish() });

/** A task run in an answer. */
export const TaskRun = namedObject("TaskRun", {
  ...EntityText,
  name: z.string(),
  flow_run_id: UuidText.nullable(),
  task_key: z.string(),
  dynamic_key: z.string(),
  cache_key: z.string().nullable(),
  cache_expiration: TimeText.nullable(),
  task_version: z.string().nullable(),
  empirical_policy: TaskRunPolicy,
  tags: z.array(z.string()),
  labels: Labels.nullable(),
  state_id: UuidText.nullable(),
  task_inputs: TaskInputs,
  state_type: StateType.nullable(),
  state_name: z.string().nullable(),
  run_count: z.int(),
  flow_run_run_count: z.int(),
  expected_start_time: TimeText.nullable(),
  next_scheduled_start_time: TimeText.nullable(),
  start_time: TimeText.nullable(),
  end_time: TimeText.nullable(),
  total_run_time: z.number(),
  estimated_run_time: z.number(),
  estimated_start_time_delta: z.number(),
  state: StateText.nullable(),
});
