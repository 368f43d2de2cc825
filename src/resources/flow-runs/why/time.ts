/** The reasons that lie in the time of a scheduled run: the time has not come, or the time is long past. */
import { isDue, reason, type Situation, stateSince } from "#resources/flow-runs/why/reason";
import { printTime } from "#wire/dates";

/** Whether the process in which the run failed tries the run again by itself. */
export function isRetriedInProcess({ row, state }: Situation): boolean {
  return state?.name === "AwaitingRetry" && row.retry_type === "in_process";
}

/** The run's time, if it has not come and the run's state has a name that the caller wants. */
function timeAhead(situation: Situation, isWanted: (stateName: string | undefined) => boolean) {
  const { row, state } = situation;
  if (row.due === null || isDue(situation) || !isWanted(state?.name)) return null;
  return { scheduled_time: printTime(row.due) };
}

/** The next step of a run that a worker starts at its time. */
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
