import { describe, test } from "vitest";
import { CoreFlowPolicy, CoreTaskPolicy, MinimalFlowPolicy } from "#orchestration/policies";
import { decideFlowRun, decideTaskRun } from "#orchestration/decide";
import type { StateProposal, StateType } from "#wire/state";
import { aFlowRunContext, aState, aTaskRunContext, LEASE_ID } from "../builders.ts";

const withLease = (type: StateType): StateProposal => ({
  type,
  state_details: { deployment_concurrency_lease_id: LEASE_ID },
});
const RELEASED = [{ kind: "release-slot", lease_id: LEASE_ID }];

describe("a flow run releases its slot", () => {
  test.for<[StateType, StateType, boolean]>([
    ["PENDING", "COMPLETED", true],
    ["PENDING", "SCHEDULED", true],
    ["RUNNING", "COMPLETED", true],
    ["RUNNING", "CRASHED", true],
    ["RUNNING", "PAUSED", true],
    ["CANCELLING", "CANCELLED", true],
    ["PENDING", "RUNNING", false],
    ["RUNNING", "CANCELLING", false],
    ["RUNNING", "PENDING", false],
    ["SCHEDULED", "CANCELLED", false],
    ["PAUSED", "CANCELLED", false],
  ])("%s to %s: %s", ([from, to, isReleased], { expect }) => {
    const { effects } = decideFlowRun(MinimalFlowPolicy, aFlowRunContext({ from: withLease(from) }), aState(to));
    expect(effects.filter(({ kind }) => kind === "release-slot")).toEqual(isReleased ? RELEASED : []);
  });

  test("a flow run keeps its slot while its process waits for a retry", ({ expect }) => {
    const run = { empirical_policy: { retries: 1 }, run_count: 1 };
    const decision = decideFlowRun(
      CoreFlowPolicy,
      aFlowRunContext({ from: withLease("RUNNING"), run }),
      aState("FAILED"),
    );
    expect([decision.state?.name, decision.effects]).toEqual(["AwaitingRetry", []]);
    expect(decision.state?.state_details.deployment_concurrency_lease_id).toBe(LEASE_ID);
  });

  test("a flow run that its client reschedules releases its slot", ({ expect }) => {
    const to = aState({ type: "SCHEDULED", name: "AwaitingRetry" });
    expect(decideFlowRun(CoreFlowPolicy, aFlowRunContext({ from: withLease("RUNNING") }), to).effects).toEqual(
      RELEASED,
    );
  });
});

describe("a task run releases the slots of its tags", () => {
  test.for<[StateType, StateType, boolean]>([
    ["RUNNING", "COMPLETED", true],
    ["RUNNING", "PENDING", true],
    ["RUNNING", "CANCELLING", false],
    ["CANCELLING", "CANCELLED", true],
    ["PENDING", "CANCELLED", true],
  ])("%s to %s: %s", ([from, to, isReleased], { expect }) => {
    const context = aTaskRunContext({ from, run: { tags: ["limited"] } });
    const { effects } = decideTaskRun(CoreTaskPolicy, context, aState(to));
    const released = [{ kind: "release-tag-slots", tags: ["limited"] }];
    expect(effects.filter(({ kind }) => kind === "release-tag-slots")).toEqual(isReleased ? released : []);
  });
});
