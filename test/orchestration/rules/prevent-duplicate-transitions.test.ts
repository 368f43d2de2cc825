import { test } from "vitest";
import { preventDuplicateTransitions } from "#orchestration/rules/retries";
import type { StateProposal } from "#wire/state";
import { askFlowRule, LEASE_ID, PARENT_ID } from "../builders.ts";

const running = (transition_id?: string): StateProposal => ({ type: "RUNNING", state_details: { transition_id } });

test.for([
  {
    title: "a transition sent twice changes nothing",
    from: running(LEASE_ID),
    to: running(LEASE_ID),
    status: "REJECT",
  },
  { title: "another transition is accepted", from: running(LEASE_ID), to: running(PARENT_ID), status: "ACCEPT" },
  { title: "a transition without an id is accepted", from: running(LEASE_ID), to: running(), status: "ACCEPT" },
  { title: "two transitions without ids are not the same", from: running(), to: running(), status: "ACCEPT" },
  { title: "a first state is accepted", from: null, to: running(LEASE_ID), status: "ACCEPT" },
])("$title", ({ from, to, status }, { expect }) => {
  const decision = askFlowRule(preventDuplicateTransitions, { from }, to);
  expect(decision.status).toBe(status);
  expect(decision.state === null).toBe(status === "REJECT");
});

test("the id decides, not the type", ({ expect }) => {
  const to: StateProposal = { type: "COMPLETED", state_details: { transition_id: LEASE_ID } };
  const { reason } = askFlowRule(preventDuplicateTransitions, { from: running(LEASE_ID) }, to);
  expect(reason).toBe("This run has already made this state transition.");
});
