/** The answer of `set_state`. */
import { namedObject } from "#wire/named";
import * as z from "zod";
import type { Decision, RunContext } from "#orchestration/transition";
import { printState, type State, StateText } from "#wire/state";

export const OrchestrationResult = namedObject("OrchestrationResult", {
  state: StateText.nullable(),
  status: z.enum(["ACCEPT", "REJECT", "ABORT", "WAIT"]).meta({ id: "SetStateStatus" }),
  details: z.union([
    namedObject("StateAcceptDetails", { type: z.literal("accept_details") }),
    namedObject("StateRejectDetails", { type: z.literal("reject_details"), reason: z.string().nullable() }),
    namedObject("StateAbortDetails", { type: z.literal("abort_details"), reason: z.string().nullable() }),
    namedObject("StateWaitDetails", {
      type: z.literal("wait_details"),
      delay_seconds: z.int(),
      reason: z.string().nullable(),
    }),
  ]),
});

/** The result of a proposal. */
export interface Orchestrated {
  decision: Pick<Decision<RunContext>, "status" | "reason" | "delaySeconds">;
  /** The written state, or the run's present state if none was written. */
  state: State | null;
  /** Whether a state was written. */
  written: boolean;
}

/** The body of the answer. */
export function printResult({ decision, state }: Orchestrated) {
  return { state: state && printState(state), status: decision.status, details: printDetails(decision) };
}

function printDetails({ status, reason, delaySeconds }: Orchestrated["decision"]) {
  switch (status) {
    case "ACCEPT":
      return { type: "accept_details" };
    case "REJECT":
      return { type: "reject_details", reason };
    case "ABORT":
      return { type: "abort_details", reason };
    case "WAIT":
      return { type: "wait_details", delay_seconds: delaySeconds ?? 0, reason };
    default:
      return status satisfies never;
  }
}

/** Prefect: 201 if a state was written, or else 200. */
export function statusOf(result: Orchestrated): 200 | 201 {
  return result.written ? 201 : 200;
}
