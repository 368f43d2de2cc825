import { describe, test } from "vitest";
import { secureFlowConcurrencySlots as rule } from "#orchestration/rules/secure-flow-concurrency-slots";
import {
  aDeployment,
  askFlowRule,
  DEPLOYMENT_ID,
  LIMIT_ID,
  NOW,
  objections,
  OWN_LEASE_ID,
  SECOND,
} from "../builders.ts";

const run = { deployment_id: DEPLOYMENT_ID };

test("a slot is taken on the way to PENDING, by a run that holds none", ({ expect }) => {
  const asked = objections((from, to) => {
    const { effects } = askFlowRule(rule, { from, run, deployment: aDeployment() }, to);
    return { status: effects.length > 0 ? "WAIT" : "ACCEPT", state: null };
  });
  expect(asked).toEqual([
    "nothing to PENDING: WAIT",
    "SCHEDULED to PENDING: WAIT",
    "COMPLETED to PENDING: WAIT",
    "FAILED to PENDING: WAIT",
    "CANCELLED to PENDING: WAIT",
    "CRASHED to PENDING: WAIT",
    "PAUSED to PENDING: WAIT",
  ]);
});

test("the lease is named in the state, and lasts for the deployment's grace period at first", ({ expect }) => {
  const deployment = aDeployment({ grace_period_seconds: 120 });
  const { state, effects } = askFlowRule(rule, { from: "SCHEDULED", run, deployment }, "PENDING");
  expect(state?.state_details.deployment_concurrency_lease_id).toBe(OWN_LEASE_ID);
  expect(effects).toEqual([{ kind: "take-slot", limit_id: LIMIT_ID, lease_id: OWN_LEASE_ID, seconds: 120 }]);
});

describe("no slot is asked for", () => {
  test.for([
    { title: "by a run without a deployment", asked: { run: {}, deployment: null } },
    { title: "where the deployment has no limit", asked: { run, deployment: aDeployment({ limit: null }) } },
    { title: "where nothing limits it after all", asked: { run, deployment: aDeployment(), slot: "none" as const } },
    { title: "by a worker that takes slots itself", asked: { run, deployment: aDeployment(), clientVersion: "3.0.3" } },
  ])("$title", ({ asked }, { expect }) => {
    const { status, state, effects } = askFlowRule(rule, { from: "SCHEDULED", ...asked }, "PENDING");
    const leaseId = state?.state_details.deployment_concurrency_lease_id;
    expect([status, leaseId, effects]).toEqual(["ACCEPT", undefined, []]);
  });
});

test.for([
  { title: "without its deployment", deployment: null, reason: "Deployment not found." },
  {
    title: "where the limit is 0",
    deployment: aDeployment({ limit: { id: LIMIT_ID, slots: 0 } }),
    reason: "The deployment concurrency limit is 0. The flow will deadlock if submitted again.",
  },
])("a run goes nowhere $title", ({ deployment, reason }, { expect }) => {
  const decision = askFlowRule(rule, { from: "SCHEDULED", run, deployment }, "PENDING");
  expect([decision.status, decision.state, decision.reason]).toEqual(["ABORT", null, reason]);
});

describe("where all slots are taken, a run", () => {
  const reason = "Deployment concurrency limit reached.";

  test("waits for one, half a minute at a time", ({ expect }) => {
    const asked = { from: "SCHEDULED", run, deployment: aDeployment(), slot: "full" } as const;
    const decision = askFlowRule(rule, asked, "PENDING");
    expect([decision.status, decision.reason]).toEqual(["REJECT", reason]);
    expect(decision.state).toMatchObject({ type: "SCHEDULED", name: "AwaitingConcurrencySlot" });
    expect(decision.state?.state_details.scheduled_time).toBe(NOW + 30 * SECOND);
    expect(decision.effects).toEqual([]);
  });

  test("is cancelled if its deployment says so", ({ expect }) => {
    const deployment = aDeployment({ collision_strategy: "CANCEL_NEW" });
    const decision = askFlowRule(rule, { from: "SCHEDULED", run, deployment, slot: "full" }, "PENDING");
    expect([decision.status, decision.reason]).toEqual(["REJECT", reason]);
    expect(decision.state).toMatchObject({ type: "CANCELLED", message: reason });
  });
});
