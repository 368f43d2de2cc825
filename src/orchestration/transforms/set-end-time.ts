/** A run ended when it first reached an end; leaving it takes the time back, and one that ended unstarted started then too. */
import type { RunContext, Transform } from "#orchestration/transition";
import { isTerminal } from "#wire/state";

export const setEndTime: Transform<RunContext> = {
  name: "SetEndTime",
  apply({ initial, run }, proposed) {
    if (!isTerminal(proposed)) return initial && isTerminal(initial) ? { changes: { end_time: null } } : undefined;
    if (run.end_time !== null) return undefined;
    return { changes: { start_time: run.start_time ?? proposed.timestamp, end_time: proposed.timestamp } };
  },
};
