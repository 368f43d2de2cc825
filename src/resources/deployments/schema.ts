/** Deployments and their schedules on the wire. */
import { namedObject, namedStrictObject } from "#wire/named";
import { listOf, LongText, Name, ShortText, SizedObject, SizedParameters, Tags } from "#wire/sizes";
import * as z from "zod";
import { GlobalConcurrencyLimitResponse } from "#resources/concurrency-limits-v2/schema";
import { CreatedBy, FlowRunPolicy } from "#wire/runs";
import { parametersProblem } from "#wire/parameters";
import { Time, TimeText } from "#wire/dates";
import { EntityText, Uuid, UuidText } from "#wire/ids";
import { Bool, Float, Int, JsonObject, Labels } from "#wire/scalars";
import { ScheduleInput, ScheduleText } from "#wire/schedule";
import { StateCreate } from "#wire/state";
import { MissedRuns, VersionInfo } from "#wire/deployments";
import { isObject } from "#lib/json-value";

/** Prefect: PREFECT_DEPLOYMENT_SCHEDULE_MAX_SCHEDULED_RUNS. */
const MAX_SCHEDULED_RUNS = 50;

/** The maximum number of schedules of a deployment: one request creates up to 100 runs of each schedule. */
export const MOST_SCHEDULES = 200;

const MaxScheduledRuns = Int.pipe(z.number().gt(0)).refine(
  (runs) => runs <= MAX_SCHEDULED_RUNS,
  `\`max_scheduled_runs\` must be less than or equal to ${MAX_SCHEDULED_RUNS}.`,
);

export const DeploymentScheduleCreate = namedStrictObject("DeploymentScheduleCreate", {
  /** If absent, a schedule that replaces another schedule keeps the other schedule's `active`. */
  active: Bool.optional().meta({ default: true }),
  schedule: ScheduleInput,
  max_scheduled_runs: MaxScheduledRuns.nullish(),
  parameters: SizedObject.default({}),
  slug: ShortText.nullish(),
  replaces: ShortText.nullish(),
  missed_runs: MissedRuns.nullish(),
});
export type DeploymentScheduleCreate = z.output<typeof DeploymentScheduleCreate>;

export const DeploymentScheduleUpdate = DeploymentScheduleCreate.extend({
  active: Bool.nullish(),
  schedule: ScheduleInput.nullish(),
  parameters: SizedObject.optional(),
}).meta({ id: "DeploymentScheduleUpdate" });
export type DeploymentScheduleUpdate = z.output<typeof DeploymentScheduleUpdate>;

/** The fields of `/deployments/{id}/schedule`: the window of time in which runs are made; `min_time` in seconds. */
export const ScheduleWindow = {
  start_time: Time.nullish(),
  end_time: Time.nullish(),
  min_time: Float.nullish(),
  min_runs: Int.nullish(),
  max_runs: Int.nullish(),
};
export type ScheduleWindow = z.output<z.ZodObject<typeof ScheduleWindow>>;

export const ConcurrencyOptions = namedObject("ConcurrencyOptions", {
  collision_strategy: z.enum(["ENQUEUE", "CANCEL_NEW"]).meta({ id: "ConcurrencyLimitStrategy" }),
  grace_period_seconds: Int.pipe(z.number().min(60).max(86_400))
    .nullish()
    .transform((seconds) => seconds ?? null),
});

/** Prefect: fields of old clients, which are ignored. */
const OLD_FIELDS = ["worker_pool_queue_id", "worker_pool_name", "worker_pool_queue_name", "work_pool_queue_name"];

function withoutOldFields(body: unknown): unknown {
  if (!isObject(body)) return body;
  return Object.fromEntries(Object.entries(body).filter(([key]) => !OLD_FIELDS.includes(key)));
}

type Context = z.core.$RefinementCtx;

/** Reports a fault of the body as a whole. Prefect: then no fault of a field is reported. */
function refuse(context: Context, message: string): typeof z.NEVER {
  context.addIssue({ code: "custom", message });
  return z.NEVER;
}

function withOneLimit(body: unknown, context: Context): unknown {
  if (isObject(body) && body["concurrency_limit"] && body["global_concurrency_limit_id"]) {
    return refuse(context, "A deployment cannot have both a concurrency limit and a global concurrency limit.");
  }
  return withoutOldFields(body);
}

/** Prefect: creation enforces the schema only if the body says so. A body without parameters gets empty parameters. */
function withValidParameters(body: unknown, context: Context): unknown {
  const left = withOneLimit(body, context);
  if (left === z.NEVER || !isObject(body)) return left;
  body["parameters"] = "parameters" in body ? body["parameters"] : {};
  const problem = body["enforce_parameter_schema"]
    ? parametersProblem(body["parameters"], body["parameter_openapi_schema"])
    : undefined;
  return problem ? refuse(context, problem) : withoutOldFields(body);
}

const shared = {
  version: ShortText.nullish(),
  description: LongText.nullish(),
  paused: Bool.optional(),
  concurrency_limit: Int.pipe(z.number().gt(0)).nullish(),
  concurrency_options: ConcurrencyOptions.nullish(),
  global_concurrency_limit_id: Uuid.nullish(),
  parameter_openapi_schema: SizedObject.nullish(),
  tags: Tags.optional(),
  work_queue_name: ShortText.nullish(),
  work_pool_name: ShortText.nullish(),
  path: LongText.nullish(),
  pull_steps: listOf(SizedObject, 1_000).nullish(),
  entrypoint: LongText.nullish(),
  storage_document_id: Uuid.nullish(),
  infrastructure_document_id: Uuid.nullish(),
  version_info: VersionInfo.nullish(),
};

const DeploymentCreateFields = namedStrictObject("DeploymentCreate", {
  name: Name,
  flow_id: Uuid,
  ...shared,
  schedules: z.array(DeploymentScheduleCreate).max(MOST_SCHEDULES).optional(),
  enforce_parameter_schema: Bool.optional(),
  parameters: SizedParameters.optional(),
  labels: Labels.nullish(),
  job_variables: SizedObject.optional(),
});

/** A new deployment, or a change of the deployment with this flow and name. A change applies only the given fields. */
export const DeploymentCreate = z.preprocess(withValidParameters, DeploymentCreateFields);
export type DeploymentCreate = z.output<typeof DeploymentCreate>;

const DeploymentUpdateFields = namedStrictObject("DeploymentUpdate", {
  ...shared,
  schedules: z.array(DeploymentScheduleUpdate).max(MOST_SCHEDULES).optional(),
  enforce_parameter_schema: Bool.nullish(),
  parameters: SizedParameters.nullish(),
  job_variables: SizedObject.nullish(),
});

export const DeploymentUpdate = z.preprocess(withOneLimit, DeploymentUpdateFields);
export type DeploymentUpdate = z.output<typeof DeploymentUpdate>;

export const DeploymentFlowRunCreate = namedStrictObject("DeploymentFlowRunCreate", {
  state: StateCreate.nullish(),
  name: ShortText.nullish(),
  parameters: SizedParameters.default({}),
  enforce_parameter_schema: Bool.nullish(),
  context: SizedObject.optional(),
  infrastructure_document_id: Uuid.nullish(),
  empirical_policy: FlowRunPolicy.optional(),
  tags: Tags.default([]),
  idempotency_key: ShortText.nullish(),
  labels: Labels.nullish(),
  parent_task_run_id: Uuid.nullish(),
  work_queue_name: ShortText.nullish(),
  job_variables: SizedObject.nullish(),
  /** Not in Prefect: the older version from which the run is made. */
  deployment_version_id: Uuid.nullish(),
});
export type DeploymentFlowRunCreate = z.output<typeof DeploymentFlowRunCreate>;

/** A schedule of a deployment in an answer. */
export const DeploymentSchedule = namedObject("DeploymentSchedule", {
  ...EntityText,
  deployment_id: UuidText,
  schedule: ScheduleText,
  active: z.boolean(),
  max_scheduled_runs: z.int().nullable(),
  parameters: JsonObject,
  slug: z.string().nullable(),
  /** Not in Prefect. Present only if it was set. */
  missed_runs: MissedRuns.optional(),
});

/** A deployment in an answer. */
export const DeploymentResponse = namedObject("DeploymentResponse", {
  ...EntityText,
  name: z.string(),
  version: z.string().nullable(),
  /** Prefect: the open-source server has neither `version_id` nor `version_info`. Its client reads both. */
  version_id: UuidText.nullable(),
  version_info: VersionInfo.nullable(),
  description: z.string().nullable(),
  flow_id: UuidText,
  paused: z.boolean(),
  schedules: z.array(DeploymentSchedule),
  /** Prefect: always null, `global_concurrency_limit` has the limit. */
  concurrency_limit: z.int().nullable(),
  global_concurrency_limit: GlobalConcurrencyLimitResponse.nullable(),
  concurrency_options: ConcurrencyOptions.nullable(),
  job_variables: JsonObject,
  parameters: JsonObject,
  tags: z.array(z.string()),
  labels: Labels.nullable(),
  work_queue_name: z.string().nullable(),
  work_queue_id: UuidText.nullable(),
  last_polled: TimeText.nullable(),
  parameter_openapi_schema: JsonObject.nullable(),
  path: z.string().nullable(),
  pull_steps: z.array(JsonObject).nullable(),
  entrypoint: z.string().nullable(),
  storage_document_id: UuidText.nullable(),
  infrastructure_document_id: UuidText.nullable(),
  created_by: CreatedBy.nullable(),
  updated_by: CreatedBy.nullable(),
  work_pool_name: z.string().nullable(),
  status: z.enum(["READY", "NOT_READY"]).meta({ id: "DeploymentStatus" }),
  enforce_parameter_schema: z.boolean(),
});

export const FlowRunBulkCreateResponse = namedObject("FlowRunBulkCreateResponse", {
  results: z.array(
    namedObject("FlowRunCreateResult", {
      flow_run_id: UuidText.nullable(),
      status: z.enum(["CREATED", "FAILED"]),
      error: z.string().nullable(),
    }),
  ),
});

export const DeploymentBulkDeleteResponse = namedObject("DeploymentBulkDeleteResponse", { deleted: z.array(UuidText) });
