import { test } from "vitest";
import { removeDeploymentConcurrencyLeaseForOldClientVersions as rule } from "#orchestration/rules/slots";
import type { StateProposal, StateType } from "#wire/state";
import { askFlowRule, LEASE_ID } from "../builders.ts";

const from: StateProposal = { type: "PENDING", state_details: { deployment_concurrency_lease_id: LEASE_ID } };
const WITHOUT_END = [{ kind: "keep-slot-without-end", lease_id: LEASE_ID }];

test.for<[string | null, StateType, unknown[]]>([
  ["3.4.10", "RUNNING", WITHOUT_END],
  ["3.4.10", "CANCELLING", WITHOUT_END],
  ["2.20.0", "RUNNING", WITHOUT_END],
  ["3.4.11.dev2", "RUNNING", WITHOUT_END],
  ["3.4.11rc1", "RUNNING", WITHOUT_END],
  [null, "RUNNING", WITHOUT_END],
  ["3.4.11", "RUNNING", []],
  ["3.4.11.post1", "RUNNING", []],
  ["3.4.11+local", "RUNNING", []],
  ["3.5.0", "RUNNING", []],
  ["3.8.8", "CANCELLING", []],
  ["4.0.0", "RUNNING", []],
])("client %s, PENDING to %s", ([clientVersion, to, effects], { expect }) => {
  expect(askFlowRule(rule, { from, clientVersion }, to).effects).toEqual(effects);
});

test("a run that ends releases its slot", ({ expect }) => {
  const { effects } = askFlowRule(rule, { from, clientVersion: "3.4.10" }, "COMPLETED");
  expect(effects).toEqual([{ kind: "release-slot", lease_id: LEASE_ID }]);
});

test("a run without a lease has no effect", ({ expect }) => {
  expect(askFlowRule(rule, { from: "PENDING", clientVersion: null }, "RUNNING").effects).toEqual([]);
});
