import { describe, test } from "vitest";
import { validateDeploymentConcurrencyAtRunning as rule } from "#orchestration/rules/validate-deployment-concurrency-at-running";
import type { StateProposal } from "#wire/state";
import { aDeployment, askFlowRule, DEPLOYMENT_ID, LEASE_ID, LIMIT_ID } from "../builders.ts";

const run = { deployment_id: DEPLOYMENT_ID };
const from: StateProposal = { type: "PENDING", state_details: { deployment_concurrency_lease_id: LEASE_ID } };

test("a run that starts keeps its slot, or takes it again", ({ expect }) => {
  const asked = { from, run, deployment: aDeployment(), clientVersion: "3.8.8" };
  const { status, state, effects } = askFlowRule(rule, asked, "RUNNING");
  expect([status, state?.state_details.deployment_concurrency_lease_id]).toEqual(["ACCEPT", LEASE_ID]);
  expect(effects).toEqual([{ kind: "keep-slot", limit_id: LIMIT_ID, lease_id: LEASE_ID, seconds: 300 }]);
});

test("a run that lost its slot to others is cancelled", ({ expect }) => {
  const asked = { from, run, deployment: aDeployment(), clientVersion: "3.8.8", slot: "full" } as const;
  const { status, state, reason } = askFlowRule(rule, asked, "RUNNING");
  expect([status, state?.type, reason]).toEqual([
    "REJECT",
    "CANCELLED",
    "Deployment concurrency limit reached after lease expiry.",
  ]);
});

describe("a lease is not looked at", () => {
  const known = { run, deployment: aDeployment(), clientVersion: "3.8.8" };
  test.for([
    { title: "where there is none", asked: { ...known, from: "PENDING" as const } },
    {
      title: "of a deployment that has no limit any more",
      asked: { ...known, from, deployment: aDeployment({ limit: null }) },
    },
    { title: "of a client that cannot renew it", asked: { ...known, from, clientVersion: "3.4.10" } },
    { title: "of a program that is no Prefect client", asked: { ...known, from, clientVersion: null } },
  ])("$title", ({ asked }, { expect }) => {
    const { status, effects } = askFlowRule(rule, asked, "RUNNING");
    expect([status, effects]).toEqual(["ACCEPT", []]);
  });
});
