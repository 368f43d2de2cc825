import { describe, test } from "vitest";
import { validateDeploymentConcurrencyAtRunning as rule } from "#orchestration/rules/slots";
import type { StateProposal } from "#wire/state";
import { aDeployment, askFlowRule, DEPLOYMENT_ID, LEASE_ID, LIMIT_ID } from "../builders.ts";

const run = { deployment_id: DEPLOYMENT_ID };
const from: StateProposal = { type: "PENDING", state_details: { deployment_concurrency_lease_id: LEASE_ID } };

test("a run that becomes RUNNING keeps its slot, or takes it again", ({ expect }) => {
  const asked = { from, run, deployment: aDeployment(), clientVersion: "3.8.8" };
  const { status, state, effects } = askFlowRule(rule, asked, "RUNNING");
  expect([status, state?.state_details.deployment_concurrency_lease_id]).toEqual(["ACCEPT", LEASE_ID]);
  expect(effects).toEqual([{ kind: "keep-slot", limit_id: LIMIT_ID, lease_id: LEASE_ID, seconds: 300 }]);
});

test("a run becomes CANCELLED if another run has taken its slot", ({ expect }) => {
  const asked = { from, run, deployment: aDeployment(), clientVersion: "3.8.8", slot: "full" } as const;
  const { status, state, reason } = askFlowRule(rule, asked, "RUNNING");
  expect([status, state?.type, reason]).toEqual([
    "REJECT",
    "CANCELLED",
    "Deployment concurrency limit reached after lease expiry.",
  ]);
});

describe("the lease is not checked", () => {
  const known = { run, deployment: aDeployment(), clientVersion: "3.8.8" };
  test.for([
    { title: "if there is none", asked: { ...known, from: "PENDING" as const } },
    {
      title: "if the deployment no longer has a limit",
      asked: { ...known, from, deployment: aDeployment({ limit: null }) },
    },
    { title: "if the client cannot renew it", asked: { ...known, from, clientVersion: "3.4.10" } },
    { title: "if the program is no Prefect client", asked: { ...known, from, clientVersion: null } },
  ])("$title", ({ asked }, { expect }) => {
    const { status, effects } = askFlowRule(rule, asked, "RUNNING");
    expect([status, effects]).toEqual(["ACCEPT", []]);
  });
});
