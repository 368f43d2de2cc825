/** A condition for a proposal that a sweep makes: the run must still be as the sweep found it. */
import { abort, ANY_STATE, type FlowRunContext, type Policy } from "#orchestration/transition";

/** A policy that writes nothing unless `holds` is true of the run; then it is as `policy`. */
export function onlyWhile(
  holds: (context: FlowRunContext) => boolean,
  policy: Policy<FlowRunContext>,
): Policy<FlowRunContext> {
  const condition: Policy<FlowRunContext>["rules"][number] = {
    name: "OnlyWhile",
    from: ANY_STATE,
    to: ANY_STATE,
    decide: (context) => (holds(context) ? undefined : abort("The run has gone on in the meantime.")),
  };
  return { name: policy.name, rules: [condition, ...policy.rules] };
}
