/** The bookkeeping: what becomes of a run's columns when a state is written. */
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

const NO_RULES = { name: "none", rules: [] };
const EARLIER = NOW - 3600 * SECOND;
const LATER = NOW + 3600 * SECOND;

/** The flow run's columns once the state is written. */
function columnsAfter(asked: FlowRunCase, to: StateProposal | StateType): Readonly<FlowRunColumns> {
  const context = aFlowRunContext(asked);
  return afterFlowRun(context, decideFlowRun(NO_RULES, context, aState(to))).run;
}

test("a task run's books are a flow run's but for subflows, pauses and slots", ({ expect }) => {
  const common = FLOW_RUN_TRANSFORMS.map(({ name }) => name).slice(1, -5);
  const names = TASK_RUN_TRANSFORMS.map(({ name }) => name);
  expect(names).toEqual([...common, "IncrementTaskRunCount", "ReleaseTaskConcurrencySlots"]);
});

test("the run carries its state's type, name and timestamp", ({ expect }) => {
  expect(columnsAfter({ from: "PENDING" }, { type: "RUNNING", name: "Retrying" })).toMatchObject({
    state_type: "RUNNING",
    state_name: "Retrying",
    state_timestamp: NOW,
  });
});

describe("a timestamp that is taken moves on to the next free microsecond", () => {
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

describe("start and end", () => {
  test.for<{
    title: string;
    from: StateType | null;
    run?: Partial<RunColumns>;
    to: StateType;
    start: number | null;
    end: number | null;
  }>([
    { title: "a run that is pending has neither", from: "SCHEDULED", to: "PENDING", start: null, end: null },
    { title: "a run starts when it runs", from: "PENDING", to: "RUNNING", start: NOW, end: null },
    {
      title: "a run starts once",
      from: "PENDING",
      run: { start_time: EARLIER },
      to: "RUNNING",
      start: EARLIER,
      end: null,
    },
    { title: "a run ends", from: "RUNNING", run: { start_time: EARLIER }, to: "COMPLETED", start: EARLIER, end: NOW },
    { title: "a run that ends unstarted starts then", from: "PENDING", to: "CRASHED", start: NOW, end: NOW },
    {
      title: "a run ends once",
      from: "FAILED",
      run: { start_time: EARLIER, end_time: EARLIER },
      to: "COMPLETED",
      start: EARLIER,
      end: EARLIER,
    },
    {
      title: "a run that leaves its end has none",
      from: "FAILED",
      run: { start_time: EARLIER, end_time: EARLIER },
      to: "SCHEDULED",
      start: EARLIER,
      end: null,
    },
  ])("$title", ({ from, run, to, start, end }, { expect }) => {
    expect(columnsAfter({ from, run }, to)).toMatchObject({ start_time: start, end_time: end });
  });

  test.for(STATE_TYPES)("a new run that is %s has an end exactly if it is at one", (type, { expect }) => {
    const isAtEnd = ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"].includes(type);
    expect(columnsAfter({}, type).end_time).toBe(isAtEnd ? NOW : null);
  });
});

describe("the time spent running", () => {
  test.for<{ title: string; from: StateType; to: StateType; before: number; total: number; at?: number }>([
    { title: "adds up when it stops", from: "RUNNING", to: "COMPLETED", before: 5 * SECOND, total: 65 * SECOND },
    { title: "adds up when it runs on", from: "RUNNING", to: "RUNNING", before: 0, total: 60 * SECOND },
    { title: "does not grow while pending", from: "PENDING", to: "RUNNING", before: 5, total: 5 },
    { title: "does not grow while paused", from: "PAUSED", to: "RUNNING", before: 5, total: 5 },
    {
      title: "does not shrink where a clock is behind",
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

describe("when a run is expected, and when it starts next", () => {
  const scheduled: StateProposal = { type: "SCHEDULED", state_details: { scheduled_time: LATER } };

  test.for<{
    title: string;
    from: StateType | null;
    run?: Partial<RunColumns>;
    to: StateProposal;
    expected: number;
    next: number | null;
  }>([
    { title: "a first state says when", from: null, to: scheduled, expected: LATER, next: LATER },
    {
      title: "a first state that says nothing means now",
      from: null,
      to: { type: "PENDING" },
      expected: NOW,
      next: null,
    },
    {
      title: "what was expected stays",
      from: "FAILED",
      run: { expected_start_time: EARLIER },
      to: scheduled,
      expected: EARLIER,
      next: LATER,
    },
    {
      title: "a run that is no longer scheduled has no next start",
      from: "SCHEDULED",
      run: { expected_start_time: EARLIER, next_scheduled_start_time: EARLIER },
      to: { type: "PENDING", state_details: { scheduled_time: LATER } },
      expected: EARLIER,
      next: null,
    },
    {
      title: "a run that is scheduled anew starts then",
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

describe("the count of a flow run's starts", () => {
  test.for<{ title: string; to: StateType; resuming?: boolean; apiVersion?: FlowRunCase["apiVersion"]; count: number }>(
    [
      { title: "grows when it runs", to: "RUNNING", count: 3 },
      { title: "does not grow when it does not run", to: "PENDING", count: 2 },
      { title: "does not grow when it resumes", to: "RUNNING", resuming: true, count: 2 },
      {
        title: "grows when it resumes for a client of 0.8.3",
        to: "RUNNING",
        resuming: true,
        apiVersion: [0, 8, 3],
        count: 3,
      },
      { title: "does not grow for a client of 0.8.4", to: "RUNNING", resuming: true, apiVersion: [0, 8, 4], count: 2 },
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
  ])("that becomes $to is resuming: $resuming", ({ to, resuming }, { expect }) => {
    const run = { empirical_policy: { retries: 2, resuming: true } };
    expect(columnsAfter({ from: "PENDING", run }, to).empirical_policy).toEqual({ retries: 2, resuming });
  });

  test("stays so for a client that knows no pauses", ({ expect }) => {
    const run = { empirical_policy: { resuming: true } };
    expect(columnsAfter({ from: "PENDING", run, apiVersion: [0, 8, 0] }, "RUNNING").empirical_policy.resuming).toBe(
      true,
    );
  });
});

test("a task run counts its starts", ({ expect }) => {
  const context = aTaskRunContext({ from: "PENDING", run: { run_count: 1 } });
  expect(decideTaskRun(NO_RULES, context, aState("RUNNING")).changes.run_count).toBe(2);
  expect(decideTaskRun(NO_RULES, context, aState("FAILED")).changes.run_count).toBeUndefined();
});

describe("a state names its runs", () => {
  test("a flow run's, the flow run", ({ expect }) => {
    const { state } = decideFlowRun(NO_RULES, aFlowRunContext(), aState("PENDING"));
    expect(state?.state_details).toEqual({ flow_run_id: FLOW_RUN_ID });
  });

  test("a task run's, the task run and its flow run, whatever was sent", ({ expect }) => {
    const sent = aState({ type: "PENDING", state_details: { flow_run_id: PARENT_ID, task_run_id: PARENT_ID } });
    const { state } = decideTaskRun(MinimalTaskPolicy, aTaskRunContext(), sent);
    expect(state?.state_details).toEqual({ flow_run_id: FLOW_RUN_ID, task_run_id: TASK_RUN_ID });
  });
});

describe("a subflow", () => {
  const run = { parent_task_run_id: PARENT_ID };
  const to = { type: "COMPLETED", name: "Done", message: "ok", data: PERSISTED } as const;

  test("names the task run that stands for it", ({ expect }) => {
    const { state } = decideFlowRun(NO_RULES, aFlowRunContext({ run }), aState(to));
    expect(state?.state_details).toEqual({ flow_run_id: FLOW_RUN_ID, task_run_id: PARENT_ID });
  });

  test("passes its state on to that task run", ({ expect }) => {
    const { effects } = decideFlowRun(NO_RULES, aFlowRunContext({ run }), aState(to));
    const details = { flow_run_id: FLOW_RUN_ID, child_flow_run_id: FLOW_RUN_ID };
    expect(effects).toEqual([
      { kind: "update-parent-task-run", task_run_id: PARENT_ID, state: { ...to, state_details: details } },
    ]);
  });

  test("alone does so", ({ expect }) => {
    expect(decideFlowRun(NO_RULES, aFlowRunContext(), aState(to)).effects).toEqual([]);
  });
});
