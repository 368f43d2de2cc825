import { describe, test } from "vitest";
import { handleFlowTerminalStateTransitions as rule } from "#orchestration/rules/terminal-states";
import { askFlowRule, DEPLOYMENT_ID, objections, PERSISTED } from "../builders.ts";

const STOPS = ["CRASHED: ABORT", "PAUSED: ABORT", "CANCELLING: ABORT"];
const ENDS = ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"];
const all = (froms: string[], tos: string[]) => froms.flatMap((from) => tos.map((to) => `${from} to ${to}`));

describe("of all transitions", () => {
  test("a run that has ended cannot stop again, and cannot be rescheduled without a deployment", ({ expect }) => {
    const refused = objections((from, to) => askFlowRule(rule, { from }, to));
    expect(refused).toEqual(all(ENDS, ["SCHEDULED: ABORT", ...STOPS]));
  });

  test("a run with a deployment can be rescheduled from each terminal state", ({ expect }) => {
    const run = { deployment_id: DEPLOYMENT_ID };
    expect(objections((from, to) => askFlowRule(rule, { from, run }, to))).toEqual(all(ENDS, STOPS));
  });

  test("a COMPLETED run with a stored result cannot run again, nor become COMPLETED without a result", ({ expect }) => {
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

describe("for the rule, data that is", () => {
  test.for([
    { title: "a reference", data: PERSISTED, status: "REJECT" },
    { title: "an object without a type", data: { key: 1 }, status: "REJECT" },
    { title: "an object of the type unpersisted", data: { type: "unpersisted" }, status: "ACCEPT" },
    { title: "an empty object", data: {}, status: "ACCEPT" },
    { title: "a list", data: [1, 2], status: "REJECT" },
    { title: "an empty list", data: [], status: "REJECT" },
    { title: "a text", data: "result", status: "REJECT" },
    { title: "an empty text", data: "", status: "REJECT" },
    { title: "a number", data: 0, status: "REJECT" },
    { title: "false", data: false, status: "REJECT" },
    { title: "null", data: null, status: "ACCEPT" },
  ])("$title: $status", ({ data, status }, { expect }) => {
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

describe("the pauses of a run that leaves a terminal state", () => {
  const empirical_policy = { retries: 3, resuming: true, pause_keys: ["key"], retry_type: "in_process" } as const;
  const run = { deployment_id: DEPLOYMENT_ID, empirical_policy: { ...empirical_policy, pause_keys: ["key"] } };

  test.for([
    { title: "are forgotten when the run is RUNNING", to: "RUNNING", retry_type: null },
    { title: "are forgotten when the run is PENDING", to: "PENDING", retry_type: null },
    { title: "are forgotten when the run is rescheduled", to: "SCHEDULED", retry_type: "reschedule" },
  ] as const)("$title", ({ to, retry_type }, { expect }) => {
    const { changes } = askFlowRule(rule, { from: "FAILED", run }, to);
    expect(changes.empirical_policy).toEqual({ retries: 3, resuming: false, pause_keys: [], retry_type });
  });

  test.for([
    { title: "stay when the run gets another terminal state", to: "CANCELLED", apiVersion: null, resuming: false },
    { title: "stay for a client that knows no pauses", to: "PENDING", apiVersion: [0, 8, 3], resuming: undefined },
  ] as const)("$title", ({ to, apiVersion, resuming }, { expect }) => {
    const { changes } = askFlowRule(rule, { from: "FAILED", run, apiVersion }, to);
    expect(changes.empirical_policy?.pause_keys ?? ["key"]).toEqual(["key"]);
    expect(changes.empirical_policy?.resuming).toBe(resuming);
  });
});
