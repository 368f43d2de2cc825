/** The run carries the type of its state. */
import type { RunContext, Transform } from "#orchestration/transition";

export const setRunStateType: Transform<RunContext> = {
  name: "SetRunStateType",
  apply(_context, { type }) {
    return { changes: { state_type: type } };
  },
};
