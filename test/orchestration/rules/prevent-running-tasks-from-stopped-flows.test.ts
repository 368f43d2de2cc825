import { test } from "vitest";
import { preventRunningTasksFromStoppedFlows as rule } from "#orchestration/rules/task-runs";
import { STATE_TYPES } from "#wire/state";
import { aState, askTaskRule, FLOW_RUN_ID, inShort, NOW } from "../builders.ts";

const flowRun = (state: ReturnType<typeof aState> | null) => ({ id: FLOW_RUN_ID, run_count: 1, state });

test.for(STATE_TYPES)(
  "the state of the flow run decides whether a task run becomes RUNNING: %s",
  (type, { expect }) => {
    const decision = askTaskRule(rule, { from: "PENDING", flowRun: flowRun(aState(type)) }, "RUNNING");
    const expected = type === "RUNNING" ? "ACCEPT" : type === "PAUSED" ? "REJECT NotReady" : "ABORT";
    expect(inShort(decision, "RUNNING")).toBe(expected);
  },
);

test.for(STATE_TYPES)(
  "a task run may become %s, unless RUNNING, whatever the state of its flow run",
  (to, { expect }) => {
    const { status } = askTaskRule(rule, { from: "PENDING", flowRun: flowRun(null) }, to);
    expect(status).toBe(to === "RUNNING" ? "ABORT" : "ACCEPT");
  },
);

test("a task run without a flow run is RUNNING", ({ expect }) => {
  expect(askTaskRule(rule, { from: "PENDING", flowRun: null }, "RUNNING").status).toBe("ACCEPT");
});

test("a task run of a PAUSED flow run waits as long as the flow run", ({ expect }) => {
  const state_details = { pause_timeout: NOW + 7, pause_reschedule: true, pause_key: "key" };
  const paused = flowRun(aState({ type: "PAUSED", state_details }));
  const { state, reason } = askTaskRule(rule, { from: "PENDING", flowRun: paused }, "RUNNING");
  expect(state?.state_details).toMatchObject({ pause_timeout: NOW + 7, pause_reschedule: true });
  expect(state?.state_details.pause_key).toBeUndefined();
  expect(reason).toBe(`The flow is paused, new tasks can execute after resuming flow run: ${FLOW_RUN_ID}.`);
});
