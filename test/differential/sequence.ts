/**
 * A sequence to play on two servers: a few runs, and steps for the runs. A sequence is plain JSON, so it can be stored.
 */
import { z } from "zod";

/** Times are seconds from the beginning of the play. */
const Offset = z.number();

/** The details of a proposed state. Cache keys and transitions are numbers within the sequence. */
export const Details = z.object({
  scheduled_time: Offset.optional(),
  pause_timeout: Offset.optional(),
  pause_reschedule: z.boolean().optional(),
  pause_key: z.string().optional(),
  cache_key: z.string().optional(),
  cache_expiration: Offset.optional(),
  refresh_cache: z.boolean().optional(),
  deferred: z.boolean().optional(),
  retriable: z.boolean().optional(),
  untrackable_result: z.boolean().optional(),
  transition_id: z.string().optional(),
  task_parameters_id: z.string().optional(),
  traceparent: z.string().optional(),
});
export type Details = z.output<typeof Details>;

export const Proposal = z.object({
  type: z.string(),
  name: z.string().optional(),
  message: z.string().optional(),
  data: z.json().optional(),
  details: Details.optional(),
});
export type Proposal = z.output<typeof Proposal>;

const Policy = z.record(z.string(), z.json());

/**
 * A flow run. A deployed run belongs to the only deployment of the sequence. The parent of a subflow is a task run of
 * the sequence.
 */
export const FlowRunSpec = z.object({
  deployed: z.boolean().optional(),
  policy: Policy.optional(),
  parent: z.int().optional(),
  state: Proposal.optional(),
  /** Whether the run has infrastructure. */
  pid: z.boolean().optional(),
});

/** A task run. It belongs to the first flow run unless it has no flow run. */
export const TaskRunSpec = z.object({
  alone: z.boolean().optional(),
  policy: Policy.optional(),
  tags: z.array(z.string()).optional(),
  state: Proposal.optional(),
});

/** The concurrency limit of the deployment. */
export const DeploymentLimit = z.object({
  slots: z.int(),
  strategy: z.string().optional(),
  grace: z.int().optional(),
});

/** The limit of a tag, created by the version 1 or the version 2 API. */
export const TagLimit = z.object({ tag: z.string(), slots: z.int(), old: z.boolean().optional() });

/** A step for a run: the flow run or task run of this number (modulo the number of runs). */
export const Step = z.object({
  flow: z.int().optional(),
  task: z.int().optional(),
  /** The state that is proposed. */
  propose: Proposal.optional(),
  force: z.boolean().optional(),
  /** Instead of a proposal: resume the run, release its lease without its knowledge, or set its infrastructure. */
  act: z.enum(["resume", "lose-lease", "pid"]).optional(),
  /** The version in the client's User-Agent, and the API version that it sends. */
  client: z.string().optional(),
  api: z.string().optional(),
});
export type Step = z.output<typeof Step>;

export const Sequence = z.object({
  flows: z.array(FlowRunSpec),
  tasks: z.array(TaskRunSpec).optional(),
  limit: DeploymentLimit.optional(),
  tags: z.array(TagLimit).optional(),
  steps: z.array(Step),
});
export type Sequence = z.output<typeof Sequence>;
