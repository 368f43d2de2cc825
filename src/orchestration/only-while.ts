/** Proposals of the clock: they hold for the run as it was found, and not for what somebody made of it since. */
import { ANY_STATE, type FlowRunContext, type Policy } from "#orchestration/transition";

/** The policy, and before it the condition under which the proposal is made at all; otherwise nothing is written. */
export function onlyWhile(
  holds: (context: FlowRunContext) => boolean,
  policy: Policy<FlowRunContext>,
): Policy<FlowRunContext> {
  const condition: Policy<FlowRunContext>["rules"][number] = {
    name: "OnlyWhile",
    from: ANY_STATE,
    to: ANY_STATE,
    decide: (context) =>
      holds(context) ? undefined : { kind: "abort", reason: "The run has gone on in the meantime." },
  };
  return { name: policy.name, rules: [condition, ...policy.rules] };
}
