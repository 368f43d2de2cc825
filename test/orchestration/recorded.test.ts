/** The decisions of the policies, compared with the original's answers, from every state to every state. */
import { describe, test } from "vitest";
import { z } from "zod";
import { decideFlowRun, decideTaskRun } from "#orchestration/decide";
import { CoreFlowPolicy, CoreTaskPolicy, MinimalFlowPolicy, MinimalTaskPolicy } from "#orchestration/policies";
import type { Decision } from "#orchestration/transition";
import { StateType } from "#wire/state";
import deployedFlowRuns from "../conformance/recorded/set-state-deployed-flow-runs.json";
import flowRuns from "../conformance/recorded/set-state-flow-runs.json";
import taskRuns from "../conformance/recorded/set-state-task-runs.json";
import {
  aDeployment,
  afterFlowRun,
  afterTaskRun,
  aFlowRunContext,
  aState,
  aTaskRunContext,
  DEPLOYMENT_ID,
  NOW,
  SECOND,
} from "./builders.ts";

const Recorded = z.array(
  z.object({
    name: z.string(),
    body: z
      .object({
        status: z.string(),
        details: z.object({ type: z.string(), reason: z.string().optional() }),
        state: z.object({ type: z.string(), name: z.string() }),
      })
      .optional(),
  }),
);

/** The transitions of a recording, with the original's answers. */
function transitionsOf(recording: unknown) {
  return Recorded.parse(recording).flatMap(({ name, body }) => {
    const match = /^(\w+) to (\w+)( by force)?$/.exec(name);
    if (!match || !body) return [];
    const { status, details, state } = body;
    const answer = { status, reason: details.reason ?? null, type: state.type, name: state.name };
    return [
      {
        title: name,
        from: StateType.parse(match[1]),
        to: StateType.parse(match[2]),
        isForced: Boolean(match[3]),
        answer,
      },
    ];
  });
}

/** The scheduled time of the runs in the recordings, in the far future. */
function stateOf(type: StateType) {
  return aState(type === "SCHEDULED" ? { type, state_details: { scheduled_time: NOW + 3600 * SECOND } } : type);
}

function answerOf({ status, reason, state }: Pick<Decision<never>, "status" | "reason" | "state">, from: StateType) {
  const shown = state ?? aState(from);
  return { status, reason, type: shown.type, name: shown.name };
}

describe("a flow run changes its state as in the original", () => {
  test.for(transitionsOf(flowRuns))("$title", ({ from, to, isForced, answer }, { expect }) => {
    const created = aFlowRunContext();
    const context = afterFlowRun(created, decideFlowRun(MinimalFlowPolicy, created, stateOf(from)));
    const decision = decideFlowRun(isForced ? MinimalFlowPolicy : CoreFlowPolicy, context, stateOf(to));
    expect(answerOf(decision, from)).toEqual(answer);
  });
});

describe("a deployment's flow run changes its state as in the original", () => {
  test.for(transitionsOf(deployedFlowRuns))("$title", ({ from, to, answer }, { expect }) => {
    const created = aFlowRunContext({
      run: { deployment_id: DEPLOYMENT_ID },
      deployment: aDeployment({ limit: null }),
    });
    const context = afterFlowRun(created, decideFlowRun(MinimalFlowPolicy, created, stateOf(from)));
    expect(answerOf(decideFlowRun(CoreFlowPolicy, context, stateOf(to)), from)).toEqual(answer);
  });
});

describe("a task run changes its state as in the original", () => {
  test.for(transitionsOf(taskRuns))("$title", ({ from, to, isForced, answer }, { expect }) => {
    const created = aTaskRunContext();
    const context = afterTaskRun(created, decideTaskRun(MinimalTaskPolicy, created, stateOf(from)));
    const decision = decideTaskRun(isForced ? MinimalTaskPolicy : CoreTaskPolicy, context, stateOf(to));
    expect(answerOf(decision, from)).toEqual(answer);
  });
});
