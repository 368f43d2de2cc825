/** The bookkeeping: how a written state changes the columns of its run. */
import { describe, test } from "vitest";
import { FLOW_RUN_TRANSFORMS, TASK_RUN_TRANSFORMS } from "#orchestration/bookkeeping";
import { decideFlowRun, decideTaskRun } from "#orchestration/decide";
import { MinimalTaskPolicy } from "#orchestration/policies";
import type { FlowRunColumns, RunColumns } from "#orchestration/transition";
import { STATE_TYPES, type StateProposal, type StateType } from "#wire/state";
import {
  afterFlowRun,
  aFlowRunContext,
  aState,
  aTaskRunContext,
  FLOW_RUN_ID,
  type FlowRunCase,
  NOW,
  PARENT_ID,
  PERSISTED,
  SECOND,
  TASK_RUN_ID,
} from "./builders.ts";

const NO_RULES = [] as const;
const EARLIER = NOW - 3600 * SECOND;
const LATER = NOW + 3600 * SECOND;

/** The columns of the flow run after the state is written. */
function columnsAfter(asked: FlowRunCase, to: StateProposal | StateType): Readonly<FlowRunColumns> {
  const context = aFlowRunContext(asked);
  return afterFlowRun(context, decideFlowRun(NO_RULES, context, aState(to))).run;
}

test("task runs have the transforms of flow runs, except those for subflows, pauses and slots", ({ expect }) => {
  const common = FLOW_RUN_TRANSFORMS.map(({ name }) => name).slice(1, -5);
  const names = TASK_RUN_TRANSFORMS.map(({ name }) => name);
  expect(names).toEqual([...common, "IncrementTaskRunCount", "ReleaseTaskConcurrencySlots"]);
});

test("the run has the type, name and timestamp of its state", ({ expect }) => {
  expect(columnsAfter({ from: "PENDING" }, { type: "RUNNING", name: "Retrying" })).toMatchObject({
    state_type: "RUNNING",
    state_name: "Retrying",
    state_timestamp: NOW,
  });
});

describe("a timestamp that is already used becomes the next free microsecond", () => {
  test.for([
    { taken: [], timestamp: NOW },
    { taken: [NOW], timestamp: NOW + 1 },
    { taken: [NOW + 1, NOW], timestamp: NOW + 2 },
    { taken: [NOW + 1, NOW - 1], timestamp: NOW },
  ])("of $taken: $timestamp", ({ taken, timestamp }, { expect }) => {
    const context = aFlowRunContext({ takenTimestamps: taken });
    const { state, changes } = decideFlowRun(NO_RULES, context, aState("COMPLETED"));
    expect([state?.timestamp, changes.state_timestamp, changes.start_time, changes.end_time]).toEqual(
      Array.from({ length: 4 }, () => timestamp),
    );
  });
});

describe("start time and end time", () => {
  test.for<{
    title: string;
    from: StateType | null;
    run?: Partial<RunColumns>;
    to: StateType;
    start: number | null;
    end: number | null;
  }>([
    { title: "a PENDING run has neither", from: "SCHEDULED", to: "PENDING", start: null, end: null },
    { title: "a run starts when it is RUNNING", from: "PENDING", to: "RUNNING", start: NOW, end: null },
    {
      title: "a run starts once",
      from: "PENDING",
      run: { start_time: EARLIER },
      to: "RUNNING",
      start: EARLIER,
      end: null,
    },
    { title: "a run ends", from: "RUNNING", run: { start_time: EARLIER }, to: "COMPLETED", start: EARLIER, end: NOW },
    {
      title: "a run that ends before it started has its end as its start",
      from: "PENDING",
      to: "CRASHED",
      start: NOW,
      end: NOW,
    },
    {
      title: "a run ends once",
      from: "FAILED",
      run: { start_time: EARLIER, end_time: EARLIER },
      to: "COMPLETED",
      start: EARLIER,
      end: EARLIER,
    },
    {
      title: "a run that leaves a terminal state has no end time",
      from: "FAILED",
      run: { start_time: EARLIER, end_time: EARLIER },
      to: "SCHEDULED",
      start: EARLIER,
      end: null,
    },
  ])("$title", ({ from, run, to, start, end }, { expect }) => {
    expect(columnsAfter({ from, run }, to)).toMatchObject({ start_time: start, end_time: end });
  });

  test.for(STATE_TYPES)("a new run that is %s has an end time only if the state is terminal", (type, { expect }) => {
    const isAtEnd = ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"].includes(type);
    expect(columnsAfter({}, type).end_time).toBe(isAtEnd ? NOW : null);
  });
});

describe("the total run time", () => {
  test.for<{ title: string; from: StateType; to: StateType; before: number; total: number; at?: number }>([
    {
      title: "grows when a RUNNING run ends",
      from: "RUNNING",
      to: "COMPLETED",
      before: 5 * SECOND,
      total: 65 * SECOND,
    },
    {
      title: "grows when a RUNNING run is RUNNING again",
      from: "RUNNING",
      to: "RUNNING",
      before: 0,
      total: 60 * SECOND,
    },
    { title: "does not grow while the run is PENDING", from: "PENDING", to: "RUNNING", before: 5, total: 5 },
    { title: "does not grow while the run is PAUSED", from: "PAUSED", to: "RUNNING", before: 5, total: 5 },
    {
      title: "does not shrink if another machine's clock is behind",
      from: "RUNNING",
      to: "FAILED",
      before: 5,
      total: 5,
      at: EARLIER,
    },
  ])("$title", ({ from, to, before, total, at = NOW }, { expect }) => {
    const context = aFlowRunContext({ from, run: { total_run_time: before } });
    const decision = decideFlowRun(NO_RULES, context, aState(to, at));
    expect(afterFlowRun(context, decision).run.total_run_time).toBe(total);
  });
});

describe("the expected and the next scheduled start time", () => {
  const scheduled: StateProposal = { type: "SCHEDULED", state_details: { scheduled_time: LATER } };

  test.for<{
    title: string;
    from: StateType | null;
    run?: Partial<RunColumns>;
    to: StateProposal;
    expected: number;
    next: number | null;
  }>([
    { title: "a first state with a scheduled time sets both", from: null, to: scheduled, expected: LATER, next: LATER },
    {
      title: "a first state without a scheduled time is expected to start now",
      from: null,
      to: { type: "PENDING" },
      expected: NOW,
      next: null,
    },
    {
      title: "the expected start time stays",
      from: "FAILED",
      run: { expected_start_time: EARLIER },
      to: scheduled,
      expected: EARLIER,
      next: LATER,
    },
    {
      title: "a run that is no longer SCHEDULED has no next start time",
      from: "SCHEDULED",
      run: { expected_start_time: EARLIER, next_scheduled_start_time: EARLIER },
      to: { type: "PENDING", state_details: { scheduled_time: LATER } },
      expected: EARLIER,
      next: null,
    },
    {
      title: "a run that is SCHEDULED again has a new next start time",
      from: "SCHEDULED",
      run: { expected_start_time: EARLIER, next_scheduled_start_time: EARLIER },
      to: scheduled,
      expected: EARLIER,
      next: LATER,
    },
  ])("$title", ({ from, run, to, expected, next }, { expect }) => {
    expect(columnsAfter({ from, run }, to)).toMatchObject({
      expected_start_time: expected,
      next_scheduled_start_time: next,
    });
  });
});

describe("the run count of a flow run", () => {
  test.for<{ title: string; to: StateType; resuming?: boolean; apiVersion?: FlowRunCase["apiVersion"]; count: number }>(
    [
      { title: "grows when the run is RUNNING", to: "RUNNING", count: 3 },
      { title: "does not grow when the run is not RUNNING", to: "PENDING", count: 2 },
      { title: "does not grow when the run resumes", to: "RUNNING", resuming: true, count: 2 },
      {
        title: "grows when the run resumes for a client of API 0.8.3",
        to: "RUNNING",
        resuming: true,
        apiVersion: [0, 8, 3],
        count: 3,
      },
      {
        title: "does not grow when the run resumes for a client of API 0.8.4",
        to: "RUNNING",
        resuming: true,
        apiVersion: [0, 8, 4],
        count: 2,
      },
    ],
  )("$title", ({ to, resuming, apiVersion = null, count }, { expect }) => {
    const run = { run_count: 2, empirical_policy: { resuming } };
    expect(columnsAfter({ from: "PENDING", run, apiVersion }, to).run_count).toBe(count);
  });
});

describe("a resuming run", () => {
  test.for<{ to: StateType; resuming: boolean }>([
    { to: "SCHEDULED", resuming: true },
    { to: "PENDING", resuming: true },
    { to: "RUNNING", resuming: false },
    { to: "COMPLETED", resuming: false },
    { to: "FAILED", resuming: false },
    { to: "CANCELLED", resuming: false },
    { to: "CRASHED", resuming: false },
    { to: "PAUSED", resuming: true },
    { to: "CANCELLING", resuming: true },
  ])("that becomes $to has resuming: $resuming", ({ to, resuming }, { expect }) => {
    const run = { empirical_policy: { retries: 2, resuming: true } };
    expect(columnsAfter({ from: "PENDING", run }, to).empirical_policy).toEqual({ retries: 2, resuming });
  });

  test("that becomes RUNNING stays resuming for a client that does not know pauses", ({ expect }) => {
    const run = { empirical_policy: { resuming: true } };
    expect(columnsAfter({ from: "PENDING", run, apiVersion: [0, 8, 0] }, "RUNNING").empirical_policy.resuming).toBe(
      true,
    );
  });
});

test("the run count of a task run grows when the run is RUNNING", ({ expect }) => {
  const context = aTaskRunContext({ from: "PENDING", run: { run_count: 1 } });
  expect(decideTaskRun(NO_RULES, context, aState("RUNNING")).changes.run_count).toBe(2);
  expect(decideTaskRun(NO_RULES, context, aState("FAILED")).changes.run_count).toBeUndefined();
});

describe("the details of a state name", () => {
  test("have the flow run, for a flow run's state", ({ expect }) => {
    const { state } = decideFlowRun(NO_RULES, aFlowRunContext(), aState("PENDING"));
    expect(state?.state_details).toEqual({ flow_run_id: FLOW_RUN_ID });
  });

  test("have the task run and its flow run, for a task run's state, whatever the client sent", ({ expect }) => {
    const sent = aState({ type: "PENDING", state_details: { flow_run_id: PARENT_ID, task_run_id: PARENT_ID } });
    const { state } = decideTaskRun(MinimalTaskPolicy, aTaskRunContext(), sent);
    expect(state?.state_details).toEqual({ flow_run_id: FLOW_RUN_ID, task_run_id: TASK_RUN_ID });
  });
});

describe("a subflow", () => {
  const run = { parent_task_run_id: PARENT_ID };
  const to = { type: "COMPLETED", name: "Done", message: "ok", data: PERSISTED } as const;

  test("names its parent's task run in the details of its state", ({ expect }) => {
    const { state } = decideFlowRun(NO_RULES, aFlowRunContext({ run }), aState(to));
    expect(state?.state_details).toEqual({ flow_run_id: FLOW_RUN_ID, task_run_id: PARENT_ID });
  });

  test("gives its state to its parent's task run", ({ expect }) => {
    const { effects } = decideFlowRun(NO_RULES, aFlowRunContext({ run }), aState(to));
    const details = { flow_run_id: FLOW_RUN_ID, child_flow_run_id: FLOW_RUN_ID };
    expect(effects).toEqual([
      { kind: "update-parent-task-run", task_run_id: PARENT_ID, state: { ...to, state_details: details } },
    ]);
  });

  test("is the only flow run with an effect", ({ expect }) => {
    expect(decideFlowRun(NO_RULES, aFlowRunContext(), aState(to)).effects).toEqual([]);
  });
});
