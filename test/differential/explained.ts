/** The intended differences from the original, each with its reason (docs/orchestration.md lists all of them). */
import { at as lookAt, isObject, type Json } from "../conformance/json.ts";
import type { Played } from "./play.ts";
import type { Sequence, Step } from "./sequence.ts";

/** The first difference between two plays of a sequence. */
export interface Difference {
  path: string;
  /** A missing value is undefined. */
  reference: Json | undefined;
  target: Json | undefined;
  sequence: Sequence;
  /**
   * The number of the step. Step 0 creates the runs, and the number after the last step compares the end of the play.
   */
  at: number;
  /** The proposed step; undefined for step 0 and for the end of the play. */
  step: Step | undefined;
  plays: { reference: Played; target: Played };
}

export interface Explained {
  holds: (difference: Difference) => boolean;
  reason: string;
  /** The runs are in the same state despite the difference, so the next steps are compared too. */
  goesOn?: boolean;
}

export const explained: Explained[] = [
  {
    holds: ({ plays, at }) =>
      (plays.reference.steps[at]?.status ?? 0) >= 500 && (plays.target.steps[at]?.status ?? 500) < 500,
    reason: "The original fails here; an answer is better.",
  },
  {
    holds: ({ path, target, plays, at }) =>
      (/\.(empirical_policy\.(resuming|pause_keys)|run_count)$/.test(path) ||
        // The whole policy is a difference where one of its fields is.
        (path.includes(".empirical_policy.") && target === undefined)) &&
      plays.reference.steps.slice(0, at).some(isRefusedPause),
    reason: "A paused run that is refused another state stays as it was; the original marks it as resuming.",
  },
  {
    holds: ({ path, reference, target }) =>
      path.endsWith("state.transition_id") && reference === undefined && target !== undefined,
    reason: "A state put in the place of a proposed one carries the proposal's transition_id.",
    goesOn: true,
  },
  {
    holds: ({ plays, at }) =>
      reasonOf(plays.target, at) === "This run has already made this state transition." &&
      reasonOf(plays.reference, at) !== reasonOf(plays.target, at),
    reason: "A proposal sent again is answered by the state that was put in its place the first time.",
  },
  {
    holds: ({ plays, at }) =>
      /^Deployment concurrency limit reached|^The deployment concurrency limit is 0|^The concurrency limit on tag/.test(
        reasonOf(plays.reference, at),
      ) && !/concurrency limit/.test(reasonOf(plays.target, at)),
    reason: "Slots are asked for last: what is refused for another reason is refused for that one.",
  },
  {
    holds: ({ path, plays, at }) =>
      (path === "slots" || reasonOf(plays.target, at) === "Deployment concurrency limit reached.") &&
      givesBackWhatItHasNot(plays.reference, at),
    reason: "A run that holds no lease gives back no slot; the original takes one from whoever holds it.",
  },
  {
    holds: ({ path, sequence, at }) =>
      path.endsWith("deployment_concurrency_lease_id") && sequence.steps.slice(0, at).some(losesLease),
    reason: "A lease that ran out before RUNNING is taken again under its own id.",
  },
  {
    holds: ({ path, sequence }) => path === "slots" && sequence.steps.some(losesLease),
    reason: "A client of old holds its slot by a lease, too, which can be given back; the original forgets the lease.",
  },
  {
    holds: ({ path, plays, at }) =>
      /details\.(delay_seconds|reason)$/.test(path) &&
      reasonOf(plays.reference, at).startsWith("Concurrency limit reached for tags: ") &&
      reasonOf(plays.target, at).startsWith("Concurrency limit reached for tags: "),
    reason: "A task run waits by how fast slots become free, and is told which limits are full.",
    goesOn: true,
  },
  {
    holds: ({ plays, at }) =>
      /^(This run is already completed|Run is already COMPLETED)\.$/.test(reasonOf(plays.target, at)) &&
      reasonOf(plays.reference, at) !== reasonOf(plays.target, at) &&
      isPlainResult(lookAt(plays.target.steps[at]?.answer, "state.data")),
    reason:
      "A result that stands in the state as a list, a text, a number or a flag counts as one; the original runs it again.",
  },
  {
    holds: ({ path, plays, at }) =>
      path === "tags" && plays.reference.steps.slice(0, at + 1).some((_, index) => isDeadlock(plays.reference, index)),
    reason: "A task run that is told to abort holds no slot; the original keeps those of its other tags taken.",
  },
  {
    holds: ({ path, step, sequence }) =>
      /task \d/.test(path) &&
      sequence.flows.some(({ parent }) => parent !== undefined) &&
      JSON.stringify([step ?? null, sequence.flows]).includes('"deferred":true'),
    reason: "A subflow whose state calls itself deferred makes no background task of its parent's task run.",
  },
  {
    holds: ({ path, sequence }) =>
      /task \d+\.flow_run_run_count$/.test(path) && JSON.stringify(sequence.tasks).includes('"deferred":true'),
    reason: "A background task run that is made already running does not take its flow run's count.",
  },
  {
    holds: ({ path, step, sequence, plays, at }) =>
      wasCancelled(plays.reference, at) &&
      (/^tags|task \d/.test(path) ||
        step?.task !== undefined ||
        sequence.flows.some(({ parent }) => parent !== undefined)),
    reason: "What belongs to a cancelled run is cancelled at once; the original has a service that does so.",
  },
];

function reasonOf(played: Played, at: number): string {
  const reason = lookAt(played.steps[at]?.answer, "details.reason");
  return typeof reason === "string" ? reason : "";
}

/** Whether the data of a state is a value. The data may also be an object that names where the value is stored. */
function isPlainResult(data: Json | undefined): boolean {
  return data !== undefined && data !== null && !isObject(data);
}

/** Whether the answer aborts a task run because a limit is 0. */
function isDeadlock(played: Played, at: number): boolean {
  return reasonOf(played, at).startsWith("The concurrency limit on tag");
}

/** Whether the step was refused because the run is paused. */
function isRefusedPause({ answer }: Played["steps"][number]): boolean {
  const reason = lookAt(answer, "details.reason");
  return (
    typeof reason === "string" &&
    (reason.includes("from the StateType.PAUSED state") || reason.startsWith("Cannot reschedule a "))
  );
}

function losesLease({ act }: Step): boolean {
  return act === "lose-lease";
}

/** The states of each flow run up to this step. */
function statesUntil(played: Played, at: number): JsonState[][] {
  const runs = new Map<string, JsonState[]>();
  for (const { changed } of played.steps.slice(0, at + 1)) {
    for (const [run, news] of Object.entries(changed ?? {})) {
      const type = lookAt(news, "state_type");
      const lease = lookAt(news, "state.deployment_concurrency_lease_id");
      const states = runs.get(run) ?? [];
      runs.set(run, states);
      if (!run.startsWith("flow ") || !isObject(lookAt(news, "state"))) continue;
      states.push({ type: typeof type === "string" ? type : (states.at(-1)?.type ?? ""), hasLease: Boolean(lease) });
    }
  }
  return [...runs.values()];
}

interface JsonState {
  type: string;
  hasLease: boolean;
}

const HOLDING = new Set(["PENDING", "RUNNING", "CANCELLING"]);

/** Whether a run without a slot left the states that have a slot. */
function givesBackWhatItHasNot(played: Played, at: number): boolean {
  return statesUntil(played, at).some((states) =>
    states.some(({ type, hasLease }, index) => {
      const next = states[index + 1];
      return next !== undefined && HOLDING.has(type) && !hasLease && !HOLDING.has(next.type);
    }),
  );
}

function wasCancelled(played: Played, at: number): boolean {
  return statesUntil(played, at).some((states) => states.some(({ type }) => type === "CANCELLED"));
}
