import { test } from "vitest";
import { preserveDeploymentConcurrencyLeaseId } from "#orchestration/rules/slots";
import type { StateDetails, StateProposal } from "#wire/state";
import { askFlowRule, LEASE_ID } from "../builders.ts";

const OTHER = "00000000-0000-4000-8000-0000000000c2";
const pending = (lease?: string | null): StateProposal => ({
  type: "PENDING",
  state_details: { deployment_concurrency_lease_id: lease } satisfies StateDetails,
});

test.for([
  { title: "a lease that is left out is kept", from: pending(LEASE_ID), to: pending(), lease: LEASE_ID },
  { title: "a lease sent as null is kept", from: pending(LEASE_ID), to: pending(null), lease: LEASE_ID },
  { title: "a new lease replaces the old one", from: pending(LEASE_ID), to: pending(OTHER), lease: OTHER },
  { title: "a run without a lease gets none", from: pending(), to: pending(), lease: undefined },
  { title: "a first state has no lease to keep", from: null, to: pending(), lease: undefined },
])("$title", ({ from, to, lease }, { expect }) => {
  const { state } = askFlowRule(preserveDeploymentConcurrencyLeaseId, { from }, to);
  expect(state?.state_details.deployment_concurrency_lease_id).toBe(lease);
});
