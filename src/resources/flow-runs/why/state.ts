/** The reasons about the run itself: its state, or the time of a scheduled run. */
import type { Micros } from "#lib/clock";
import {
  type Facts,
  hasStarted,
  isDue,
  reason,
  type Situation,
  stateMessage,
  stateSince,
} from "#resources/flow-runs/why/reason";
import type { WhyRow } from "#resources/flow-runs/why/rows";
import { printOptionalTime, printTime } from "#wire/dates";
import type { State } from "#wire/state";

export const ended = reason("ended", {
  when: ({ row, state }) =>
    state && {
      state_type: state.type,
      state_name: state.name,
      start_time: hasStarted(row) ? printOptionalTime(row.start_time) : null,
    },
  sentence: ({ state_name }, situation) => {
    const ending = hasStarted(situation.row) ? "The run is over" : "The run ended before it began";
    return `${ending}: it is ${state_name.toLowerCase()}${stateMessage(situation)}.`;
  },
  since: (_, { row, state }) => printOptionalTime(row.end_time ?? state?.timestamp),
  next: () => ({ who: "nobody", message: "Nothing, unless somebody gives it a new state." }),
});

export const running = reason("running", {
  when: ({ row }) => ({ start_time: printOptionalTime(row.start_time) }),
  sentence: () => "The run has started and is running.",
  since: stateSince,
  next: () => ({ who: "process", message: "Its process tells when it ends." }),
});

export const cancelling = reason("cancelling", {
  when: ({ row }) => ({ infrastructure_pid: row.infrastructure_pid }),
  sentence: (_, situation) => `The run is being cancelled${stateMessage(situation)}.`,
  since: stateSince,
  next: () => ({ who: "worker", message: "Its worker or process stops it and tells so." }),
});

type PauseFacts = Facts<"paused">;

export const paused = reason("paused", {
  when: ({ state }) => (isSuspended(state) ? null : pauseFacts(state)),
  sentence: (facts) => `The run is paused: its process waits until it is ${wanted(facts)}.`,
  since: stateSince,
  next: nextOfPause,
});

export const suspended = reason("suspended", {
  when: ({ state }) => (isSuspended(state) ? pauseFacts(state) : null),
  sentence: (facts) => `The run is suspended: its process has ended until it is ${wanted(facts)}.`,
  since: stateSince,
  next: nextOfPause,
});

function isSuspended(state: State | null): boolean {
  return state?.state_details.pause_reschedule === true;
}

function pauseFacts(state: State | null): PauseFacts {
  const details = state?.state_details;
  return { until: printOptionalTime(details?.pause_timeout), waits_for_input: Boolean(details?.run_input_keyset) };
}

function wanted({ waits_for_input }: PauseFacts): string {
  return waits_for_input ? "resumed with the input that it waits for" : "resumed";
}

function nextOfPause({ until }: PauseFacts) {
  const message = until === null ? "It waits without an end." : `If it is not resumed until ${until}, it fails.`;
  return { who: "somebody" as const, at: until, message };
}

export const pending = reason("pending", {
  when: (situation) => ({
    infrastructure_pid: situation.row.infrastructure_pid,
    scheduled_time: printOptionalTime(situation.state?.state_details.scheduled_time),
    given_up_at: isEarly(situation) ? null : printOptionalTime(givenUpAt(situation)),
  }),
  sentence: ({ scheduled_time }, situation) =>
    isEarly(situation)
      ? `${taken(situation.row)}, ahead of its time (${scheduled_time}).`
      : `${taken(situation.row)}; ${progress(situation.row)}.`,
  since: stateSince,
  next: ({ infrastructure_pid, scheduled_time, given_up_at }, situation) => ({
    who: infrastructure_pid === null && situation.row.q_id !== null ? "worker" : "process",
    at: isEarly(situation) ? scheduled_time : given_up_at,
    message:
      "Its process starts and says that it is running." +
      (given_up_at === null ? "" : ` If nothing is heard of it until ${given_up_at}, it is scheduled anew.`),
  }),
});

/** Whether the run was taken before its scheduled time. */
function isEarly({ state, now }: Situation): boolean {
  const at = state?.state_details.scheduled_time ?? null;
  return at !== null && at > now;
}

/** The earliest time at which the run is scheduled anew. A sign of life makes the time later. */
function givenUpAt({ state, patienceSeconds }: Situation): Micros | null {
  return state === null || patienceSeconds === null ? null : state.timestamp + patienceSeconds * 1_000_000;
}

function taken({ q_id, deployment_id }: WhyRow): string {
  if (q_id !== null) return "A worker has taken the run";
  return deployment_id === null
    ? "The run was made by the process that is to run it"
    : "The process that serves its deployment has taken the run";
}

function progress({ q_id, infrastructure_pid: pid }: WhyRow): string {
  if (pid !== null) return `what it runs on is there (${pid}), but has not said that it is running`;
  return q_id === null ? "it has not said that it is running" : "what it is to run on is being made";
}

/** Whether the process in which the run failed retries the run by itself. */
export function isRetriedInProcess({ row, state }: Situation): boolean {
  return state?.name === "AwaitingRetry" && row.retry_type === "in_process";
}

/** The run's scheduled time, if it is in the future and `isWanted` accepts the name of the run's state. */
function timeAhead(situation: Situation, isWanted: (stateName: string | undefined) => boolean) {
  const { row, state } = situation;
  if (row.due === null || isDue(situation) || !isWanted(state?.name)) return null;
  return { scheduled_time: printTime(row.due) };
}

/** The next step of a run that a worker starts at its scheduled time. */
const startedThen =
  (message: string) =>
  ({ scheduled_time: at }: { scheduled_time: string }) => ({ who: "worker" as const, at, message });

/** A retry by the process in which the run failed: no other reason counts. */
export const retryInProcess = reason("awaiting_retry", {
  when: ({ row, now }) => ({ scheduled_time: printTime(row.due ?? now), run_count: row.run_count, in_process: true }),
  sentence: ({ scheduled_time: at }) => `The run failed and is tried again at ${at} by the process that it failed in.`,
  since: stateSince,
  next: ({ scheduled_time: at }) => ({
    who: "process",
    at,
    message: "Its process goes on with it then, if it is still there.",
  }),
});

export const awaitingRetry = reason("awaiting_retry", {
  when: (situation) => {
    const time = timeAhead(situation, (name) => name === "AwaitingRetry");
    return time && { ...time, run_count: situation.row.run_count, in_process: false };
  },
  sentence: ({ scheduled_time: at }) => `The run failed and is tried again at ${at}.`,
  since: stateSince,
  next: startedThen("It is started again then."),
});

export const waitingForTime = reason("waiting_for_time", {
  when: (situation) => timeAhead(situation, (name) => name !== "AwaitingRetry" && name !== "AwaitingConcurrencySlot"),
  sentence: ({ scheduled_time: at }) => `The run is scheduled for ${at}.`,
  since: stateSince,
  next: startedThen("It is started then, if nothing else keeps it back."),
});

export const awaitingSlot = reason("awaiting_concurrency_slot", {
  when: (situation) => timeAhead(situation, (name) => name === "AwaitingConcurrencySlot"),
  sentence: ({ scheduled_time: at }) =>
    `No slot of its deployment's concurrency limit was free; it asks for one again at ${at}.`,
  since: stateSince,
  next: startedThen("It is offered again then, and starts if a slot is free."),
});

export const skipped = reason("will_be_skipped", {
  when: ({ row, missed }) =>
    missed === null || row.due === null ? null : { scheduled_time: printTime(row.due), ...missed },
  sentence: ({ scheduled_time: at, window_seconds }) =>
    `The run was due at ${at} and nobody began it within the ${window_seconds} s that its schedule allows.`,
  since: ({ window_seconds }, { row }) => (row.due === null ? null : printTime(row.due + window_seconds * 1_000_000)),
  next: () => ({ who: "nobody", message: "It is cancelled as Skipped within a minute." }),
});
