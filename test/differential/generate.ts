/** Random sequences. A seed always gives the same sequences. */
import fc from "fast-check";
import { Sequence } from "./sequence.ts";

const FAR = 3600;
/** At earlier times, services of the original would change runs during a play. */
const PAST = -2;

const NAMES: Record<string, string[]> = {
  SCHEDULED: ["Late", "AwaitingRetry", "Resuming", "AwaitingConcurrencySlot", "Delayed"],
  PENDING: ["Submitting", "InfrastructurePending", "Pending"],
  RUNNING: ["Retrying", "Rerunning", "Running"],
  COMPLETED: ["Cached", "RolledBack"],
  FAILED: ["TimedOut"],
  CRASHED: [],
  CANCELLED: [],
  PAUSED: ["Suspended", "NotReady"],
  CANCELLING: ["CancellingTimedOut"],
};
const ANY_NAME = ["Paused", "Late", "Resuming", "AwaitingRetry", "Suspended", "Retrying", "Mine", ""];

const DATA = [
  { type: "unpersisted" },
  { type: "reference", storage_key: "a", expiration: null },
  { storage_key: "a", prefect_version: "3.8.8", type: "result" },
  {},
  "text",
  7,
  false,
  [],
  { value: null },
];

const CLIENTS = ["3.8.8", "3.4.11", "3.4.10", "3.0.3", "3.0.0rc20", "2.20.1"];
const API_VERSIONS = ["0.8.4", "0.8.3", "0.8.2", "0.8.0", "0.9.0", "0.7.9"];

/** The value in one of `oneIn` cases; otherwise undefined. */
function rarely<T>(value: fc.Arbitrary<T>, oneIn: number): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: 1, arbitrary: value }, { weight: oneIn - 1, arbitrary: fc.constant(undefined) });
}

function weighted<T>(...choices: [weight: number, value: T][]): fc.Arbitrary<T> {
  return fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })));
}

const aTime = weighted([2, FAR], [2, PAST], [1, 60]);
const aType = weighted(
  [5, "SCHEDULED"],
  [5, "PENDING"],
  [8, "RUNNING"],
  [4, "COMPLETED"],
  [5, "FAILED"],
  [2, "CRASHED"],
  [2, "CANCELLED"],
  [4, "PAUSED"],
  [3, "CANCELLING"],
);

function nameFor(type: string): fc.Arbitrary<string | undefined> {
  const names = NAMES[type] ?? [];
  const own = names.length > 0 ? fc.constantFrom(...names) : fc.constant(undefined);
  return fc.oneof(
    { weight: 6, arbitrary: fc.constant(undefined) },
    { weight: 4, arbitrary: own },
    { weight: 1, arbitrary: fc.constantFrom(...ANY_NAME) },
  );
}

function detailsFor(type: string): fc.Arbitrary<object | undefined> {
  const often = (types: string[], oneIn: number) => (types.includes(type) ? oneIn : 40);
  return rarely(
    fc.record({
      scheduled_time: rarely(aTime, often(["SCHEDULED", "PENDING"], 2)),
      pause_timeout: rarely(weighted([4, FAR], [1, PAST]), often(["PAUSED"], 2)),
      pause_reschedule: rarely(fc.boolean(), often(["PAUSED"], 2)),
      pause_key: rarely(fc.constantFrom("a", "b"), often(["PAUSED"], 2)),
      cache_key: rarely(weighted([4, "a"], [2, "b"], [1, "long"]), often(["RUNNING", "COMPLETED"], 2)),
      cache_expiration: rarely(weighted([3, FAR], [1, PAST]), often(["COMPLETED"], 3)),
      refresh_cache: rarely(fc.boolean(), often(["RUNNING"], 5)),
      deferred: rarely(fc.boolean(), 6),
      retriable: rarely(fc.boolean(), often(["FAILED"], 3)),
      untrackable_result: rarely(fc.boolean(), 20),
      transition_id: rarely(fc.constantFrom("a", "b"), 6),
      task_parameters_id: rarely(fc.constant("a"), 12),
      traceparent: rarely(fc.constant("00-1-2-01"), 30),
    }),
    2,
  );
}

const aProposal = aType.chain((type) =>
  fc.record({
    type: fc.constant(type),
    name: nameFor(type),
    message: rarely(fc.constantFrom("m", ""), 4),
    data: rarely(fc.constantFrom(...DATA), ["COMPLETED", "FAILED"].includes(type) ? 2 : 12),
    details: detailsFor(type),
  }),
);

const aFlowPolicy = rarely(
  fc.record({
    retries: rarely(fc.constantFrom(0, 1, 2), 2),
    retry_delay: rarely(fc.constantFrom(0, 90, 120), 3),
    max_retries: rarely(fc.constantFrom(0, 1), 20),
    retry_delay_seconds: rarely(fc.constantFrom(0, 30), 20),
    pause_keys: rarely(
      fc.subarray(["a", "b"]).map((keys) => keys.slice(0, 1)),
      4,
    ),
    resuming: rarely(fc.boolean(), 5),
    retry_type: rarely(fc.constantFrom("in_process", "reschedule"), 4),
  }),
  2,
);

const aTaskPolicy = rarely(
  fc.record({
    retries: rarely(fc.constantFrom(0, 1, 2), 2),
    retry_delay: rarely(fc.constantFrom<number | number[]>(0, 90.2, 120, [60], [60, 120, 600], [0, 60]), 3),
    retry_jitter_factor: rarely(weighted([3, 0], [1, 0.5]), 5),
    max_retries: rarely(fc.constantFrom(0, 1), 20),
    retry_delay_seconds: rarely(fc.constantFrom(0, 92.2), 20),
  }),
  2,
);

/** A run's first state: none, a usual one, or any. */
const aFirstState = fc.oneof(
  { weight: 5, arbitrary: fc.constant(undefined) },
  { weight: 3, arbitrary: fc.constant({ type: "SCHEDULED" }) },
  { weight: 3, arbitrary: fc.constant({ type: "RUNNING" }) },
  { weight: 2, arbitrary: aProposal },
);

const aSlotCount = weighted([1, 0], [5, 1], [2, 2]);

const aLimit = fc.record({
  slots: aSlotCount,
  strategy: rarely(fc.constantFrom("ENQUEUE", "CANCEL_NEW"), 2),
  grace: rarely(fc.constantFrom(60, 600), 3),
});

/** The next states of a run, as a client proposes them. */
const NEXT: Record<string, string> = {
  SCHEDULED: "PENDING",
  PENDING: "RUNNING",
  PAUSED: "RUNNING",
  CANCELLING: "CANCELLED",
};

/** A step. If the step proposes the next state of its run, also the type with which the run ends. */
interface Led {
  flow?: number;
  task?: number;
  propose?: { type: string };
  led?: string;
}

/** The steps. Some steps propose the next state of their run, as far as the next state is known beforehand. */
function ledOn(steps: readonly Led[], flows: readonly Begun[], tasks: readonly Begun[]): object[] {
  const first = ({ state, deployed }: Begun) => state?.type ?? (deployed ? "SCHEDULED" : "PENDING");
  const last = { flows: flows.map(first), tasks: tasks.map(first) };
  return steps.map(({ led, ...step }) => {
    if (!step.propose) return step;
    const types = step.task === undefined ? last.flows : last.tasks;
    const run = (step.task ?? step.flow ?? 0) % types.length;
    const type = led ? (NEXT[types[run] ?? ""] ?? led) : step.propose.type;
    types[run] = type;
    return { ...step, propose: type === step.propose.type ? step.propose : { type } };
  });
}

/** A run as it is created. */
interface Begun {
  state?: { type: string };
  deployed?: boolean;
}

/** The options of sequences. */
export interface Leanings {
  /** Whether there are limits of deployments and of tags. */
  limits: boolean;
}

/** A sequence of up to twelve steps. */
export function aSequence({ limits }: Leanings): fc.Arbitrary<Sequence> {
  const aWorld = fc.record({
    limit: limits ? rarely(aLimit, 3) : fc.constant(undefined),
    hasTasks: fc.boolean(),
    tags: limits
      ? rarely(
          fc.uniqueArray(fc.record({ tag: fc.constantFrom("a", "b"), slots: aSlotCount, old: fc.boolean() }), {
            minLength: 1,
            maxLength: 2,
            selector: ({ tag }) => tag,
          }),
          4,
        )
      : fc.constant(undefined),
  });
  const any = aWorld.chain(({ limit, tags, hasTasks: some }) => {
    const hasTasks = some || tags !== undefined;
    const aFlowRun = fc.record({
      deployed: limit ? weighted([8, true], [1, undefined]) : rarely(fc.constant(true), 4),
      policy: aFlowPolicy,
      parent: rarely(fc.nat(1), 3),
      state: aFirstState,
      pid: rarely(fc.constant(true), 4),
    });
    const aTaskRun = fc.record({
      alone: rarely(fc.constant(true), 4),
      policy: aTaskPolicy,
      tags: tags ? fc.subarray(["a", "b"]) : fc.constant(undefined),
      state: aFirstState,
    });
    const aStep = fc.record({
      run: fc.oneof(
        { weight: tags ? 1 : 3, arbitrary: fc.record({ flow: fc.nat(2) }) },
        { weight: hasTasks ? 2 : 0, arbitrary: fc.record({ task: fc.nat(2) }) },
      ),
      propose: aProposal,
      // Most steps propose the next state. Otherwise few runs would reach a retry or a full limit.
      led: fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom("FAILED", "PAUSED", "COMPLETED", "FAILED", "CANCELLING", "SCHEDULED") },
        { weight: 2, arbitrary: fc.constant(undefined) },
      ),
      act: rarely(weighted([2, "resume"], [limit ? 2 : 0, "lose-lease"], [1, "pid"]), 12),
      force: rarely(fc.constant(true), 7),
      client: rarely(fc.constantFrom(...CLIENTS), limit ? 2 : 10),
      api: rarely(fc.constantFrom(...API_VERSIONS), 10),
    });
    const aWhole = fc.record({
      flows: fc.array(aFlowRun, { minLength: limit ? 2 : 1, maxLength: limit ? 3 : 2 }),
      tasks: fc.array(aTaskRun, { minLength: hasTasks ? 1 : 0, maxLength: hasTasks ? 3 : 0 }),
      limit: fc.constant(limit),
      tags: fc.constant(tags),
      steps: fc.array(aStep, { minLength: 1, maxLength: 12, size: "max" }),
    });
    return aWhole.map(({ steps, ...world }) => {
      const taken = steps.map(({ run, act, propose, ...step }) => ({
        ...run,
        ...(act ? { act } : { propose }),
        ...step,
      }));
      return { ...world, steps: ledOn(taken, world.flows, world.tasks) };
    });
  });
  // JSON removes the undefined properties.
  return any.map((sequence) => Sequence.parse(JSON.parse(JSON.stringify(sequence))));
}

/** So many sequences. A seed always gives the same sequences. */
export function sequences(count: number, seed: number, leanings: Leanings): Sequence[] {
  return fc.sample(aSequence(leanings), { numRuns: count, seed });
}
