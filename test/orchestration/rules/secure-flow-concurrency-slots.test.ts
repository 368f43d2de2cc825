import { describe, test } from "vitest";
import { secureFlowConcurrencySlots as rule } from "#orchestration/rules/slots";
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

test("a run without a slot takes a slot to become PENDING", ({ expect }) => {
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

test("the state names the lease, and the first duration of the lease is the deployment's grace period", ({
  expect,
}) => {
  const deployment = aDeployment({ grace_period_seconds: 120 });
  const { state, effects } = askFlowRule(rule, { from: "SCHEDULED", run, deployment }, "PENDING");
  expect(state?.state_details.deployment_concurrency_lease_id).toBe(OWN_LEASE_ID);
  expect(effects).toEqual([{ kind: "take-slot", limit_id: LIMIT_ID, lease_id: OWN_LEASE_ID, seconds: 120 }]);
});

describe("no slot is taken", () => {
  test.for([
    { title: "by a run without a deployment", asked: { run: {}, deployment: null } },
    { title: "if the deployment has no limit", asked: { run, deployment: aDeployment({ limit: null }) } },
    { title: "if no limit applies to the run", asked: { run, deployment: aDeployment(), slot: "none" as const } },
    {
      title: "for a worker that takes slots itself",
      asked: { run, deployment: aDeployment(), clientVersion: "3.0.3" },
    },
  ])("$title", ({ asked }, { expect }) => {
    const { status, state, effects } = askFlowRule(rule, { from: "SCHEDULED", ...asked }, "PENDING");
    const leaseId = state?.state_details.deployment_concurrency_lease_id;
    expect([status, leaseId, effects]).toEqual(["ACCEPT", undefined, []]);
  });
});

test.for([
  { title: "if its deployment is not found", deployment: null, reason: "Deployment not found." },
  {
    title: "if the limit is 0",
    deployment: aDeployment({ limit: { id: LIMIT_ID, slots: 0 } }),
    reason: "The deployment concurrency limit is 0. The flow will deadlock if submitted again.",
  },
])("a run is aborted $title", ({ deployment, reason }, { expect }) => {
  const decision = askFlowRule(rule, { from: "SCHEDULED", run, deployment }, "PENDING");
  expect([decision.status, decision.state, decision.reason]).toEqual(["ABORT", null, reason]);
});

describe("if all slots are taken, a run", () => {
  const reason = "Deployment concurrency limit reached.";

  test("waits half a minute for a slot", ({ expect }) => {
    const asked = { from: "SCHEDULED", run, deployment: aDeployment(), slot: "full" } as const;
    const decision = askFlowRule(rule, asked, "PENDING");
    expect([decision.status, decision.reason]).toEqual(["REJECT", reason]);
    expect(decision.state).toMatchObject({ type: "SCHEDULED", name: "AwaitingConcurrencySlot" });
    expect(decision.state?.state_details.scheduled_time).toBe(NOW + 30 * SECOND);
    expect(decision.effects).toEqual([]);
  });

  test("becomes CANCELLED if its deployment says so", ({ expect }) => {
    const deployment = aDeployment({ collision_strategy: "CANCEL_NEW" });
    const decision = askFlowRule(rule, { from: "SCHEDULED", run, deployment, slot: "full" }, "PENDING");
    expect([decision.status, decision.reason]).toEqual(["REJECT", reason]);
    expect(decision.state).toMatchObject({ type: "CANCELLED", message: reason });
  });
});
