import { describe, test } from "vitest";
import { handleFlowTerminalStateTransitions as rule } from "#orchestration/rules/handle-flow-terminal-state-transitions";
import { askFlowRule, DEPLOYMENT_ID, objections, PERSISTED } from "../builders.ts";

const STOPS = ["CRASHED: ABORT", "PAUSED: ABORT", "CANCELLING: ABORT"];
const ENDS = ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"];
const all = (froms: string[], tos: string[]) => froms.flatMap((from) => tos.map((to) => `${from} to ${to}`));

describe("of all transitions", () => {
  test("a run at its end cannot stop again, nor be rescheduled without a deployment", ({ expect }) => {
    const refused = objections((from, to) => askFlowRule(rule, { from }, to));
    expect(refused).toEqual(all(ENDS, ["SCHEDULED: ABORT", ...STOPS]));
  });

  test("with a deployment a run can be rescheduled from any end", ({ expect }) => {
    const run = { deployment_id: DEPLOYMENT_ID };
    expect(objections((from, to) => askFlowRule(rule, { from, run }, to))).toEqual(all(ENDS, STOPS));
  });

  test("a stored result keeps a completed run from running or being completed without it", ({ expect }) => {
    const from = { type: "COMPLETED", data: PERSISTED } as const;
    const refused = objections((type, to) =>
      askFlowRule(rule, { from: type === "COMPLETED" ? from : null, run: { deployment_id: DEPLOYMENT_ID } }, to),
    );
    expect(refused).toEqual([
      "COMPLETED to SCHEDULED: REJECT",
      "COMPLETED to PENDING: REJECT",
      "COMPLETED to RUNNING: REJECT",
      "COMPLETED to COMPLETED: REJECT",
      "COMPLETED to CRASHED: ABORT",
      "COMPLETED to PAUSED: ABORT",
      "COMPLETED to CANCELLING: ABORT",
    ]);
  });
});

describe("data that is a stored result", () => {
  test.for([
    { title: "a reference", data: PERSISTED, status: "REJECT" },
    { title: "an object without a type", data: { key: 1 }, status: "REJECT" },
    { title: "not: an unpersisted one", data: { type: "unpersisted" }, status: "ACCEPT" },
    { title: "not: an empty object", data: {}, status: "ACCEPT" },
    { title: "a list", data: [1, 2], status: "REJECT" },
    { title: "an empty list", data: [], status: "REJECT" },
    { title: "a text", data: "result", status: "REJECT" },
    { title: "an empty text", data: "", status: "REJECT" },
    { title: "a number", data: 0, status: "REJECT" },
    { title: "false", data: false, status: "REJECT" },
    { title: "not: nothing", data: null, status: "ACCEPT" },
  ])("$title", ({ data, status }, { expect }) => {
    expect(askFlowRule(rule, { from: { type: "COMPLETED", data } }, "RUNNING").status).toBe(status);
  });
});

describe("the reasons", () => {
  test.for([
    { from: "FAILED", to: "PAUSED", reason: "Run is already in terminal state FAILED." },
    { from: { type: "COMPLETED", data: PERSISTED }, to: "RUNNING", reason: "Run is already COMPLETED." },
    { from: "FAILED", to: "SCHEDULED", reason: "Cannot reschedule a run without an associated deployment." },
  ] as const)("$reason", ({ from, to, reason }, { expect }) => {
    expect(askFlowRule(rule, { from }, to).reason).toBe(reason);
  });
});

describe("the pauses of a run that leaves its end", () => {
  const empirical_policy = { retries: 3, resuming: true, pause_keys: ["key"], retry_type: "in_process" } as const;
  const run = { deployment_id: DEPLOYMENT_ID, empirical_policy: { ...empirical_policy, pause_keys: ["key"] } };

  test.for([
    { title: "are forgotten when it runs again", to: "RUNNING", retry_type: null },
    { title: "are forgotten when it is pending again", to: "PENDING", retry_type: null },
    { title: "are forgotten when it is rescheduled", to: "SCHEDULED", retry_type: "reschedule" },
  ] as const)("$title", ({ to, retry_type }, { expect }) => {
    const { changes } = askFlowRule(rule, { from: "FAILED", run }, to);
    expect(changes.empirical_policy).toEqual({ retries: 3, resuming: false, pause_keys: [], retry_type });
  });

  test.for([
    { title: "stay where it goes to another end", to: "CANCELLED", apiVersion: null, resuming: false },
    { title: "stay for a client that knows no pauses", to: "PENDING", apiVersion: [0, 8, 3], resuming: undefined },
  ] as const)("$title", ({ to, apiVersion, resuming }, { expect }) => {
    const { changes } = askFlowRule(rule, { from: "FAILED", run, apiVersion }, to);
    expect(changes.empirical_policy?.pause_keys ?? ["key"]).toEqual(["key"]);
    expect(changes.empirical_policy?.resuming).toBe(resuming);
  });
});
