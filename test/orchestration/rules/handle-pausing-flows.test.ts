import { describe, test } from "vitest";
import { handlePausingFlows as rule } from "#orchestration/rules/scheduling";
import type { StateProposal } from "#wire/state";
import { askFlowRule, DEPLOYMENT_ID, objections, PARENT_ID } from "../builders.ts";

const pause = (pause_key?: string): StateProposal => ({ type: "PAUSED", state_details: { pause_key } });
const suspension: StateProposal = { type: "PAUSED", name: "Suspended", state_details: { pause_reschedule: true } };

test("only a RUNNING flow run becomes PAUSED", ({ expect }) => {
  expect(objections((from, to) => askFlowRule(rule, { from }, to))).toEqual([
    "nothing to PAUSED: ABORT",
    "SCHEDULED to PAUSED: REJECT",
    "PENDING to PAUSED: REJECT",
    "COMPLETED to PAUSED: REJECT",
    "FAILED to PAUSED: REJECT",
    "CANCELLED to PAUSED: REJECT",
    "CRASHED to PAUSED: REJECT",
    "PAUSED to PAUSED: REJECT",
    "CANCELLING to PAUSED: REJECT",
  ]);
});

test.for([
  { from: null, to: pause(), reason: "Cannot pause flows with no state." },
  { from: "PENDING", to: pause(), reason: "Cannot pause flows that are not currently running." },
  { from: "PENDING", to: suspension, reason: "Cannot suspend flows that are not currently running." },
  { from: "RUNNING", to: suspension, reason: "Cannot suspend flows without a deployment." },
  { from: "RUNNING", to: pause("old"), reason: "This pause has already fired." },
] as const)("$reason", ({ from, to, reason }, { expect }) => {
  const run = { empirical_policy: { pause_keys: ["old"] } };
  expect(askFlowRule(rule, { from, run }, to).reason).toBe(reason);
});

describe("a suspension", () => {
  test.for([
    { title: "needs a deployment", run: { deployment_id: DEPLOYMENT_ID }, status: "ACCEPT" },
    {
      title: "is refused for a subflow",
      run: { deployment_id: DEPLOYMENT_ID, parent_task_run_id: PARENT_ID },
      status: "ABORT",
    },
  ])("$title", ({ run, status }, { expect }) => {
    expect(askFlowRule(rule, { from: "RUNNING", run }, suspension).status).toBe(status);
  });

  test("needs pause_reschedule, and the name alone is not enough", ({ expect }) => {
    const named: StateProposal = { type: "PAUSED", name: "Suspended" };
    expect(askFlowRule(rule, { from: "RUNNING" }, named).status).toBe("ACCEPT");
  });
});

describe("the keys of a run's pauses", () => {
  const run = { empirical_policy: { retries: 1, pause_keys: ["old"] } };

  test("grow with each pause", ({ expect }) => {
    const { changes } = askFlowRule(rule, { from: "RUNNING", run }, pause("new"));
    expect(changes.empirical_policy).toEqual({ retries: 1, pause_keys: ["old", "new"] });
  });

  test("get a new key for a pause without a key", ({ expect }) => {
    const { changes, state } = askFlowRule(rule, { from: "RUNNING" }, pause());
    expect(changes.empirical_policy?.pause_keys).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)]);
    expect(state?.state_details.pause_key).toBeUndefined();
  });

  test("do not grow with a refused pause", ({ expect }) => {
    expect(askFlowRule(rule, { from: "PENDING", run }, pause("new")).changes).toEqual({});
  });
});
