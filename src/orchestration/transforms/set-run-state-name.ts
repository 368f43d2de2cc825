/** The run carries the name of its state. */
import type { RunContext, Transform } from "#orchestration/transition";

export const setRunStateName: Transform<RunContext> = {
  name: "SetRunStateName",
  apply(_context, { name }) {
    return { changes: { state_name: name } };
  },
};
