/** The run carries the timestamp of its state. */
import type { RunContext, Transform } from "#orchestration/transition";

export const setRunStateTimestamp: Transform<RunContext> = {
  name: "SetRunStateTimestamp",
  apply(_context, { timestamp }) {
    return { changes: { state_timestamp: timestamp } };
  },
};
