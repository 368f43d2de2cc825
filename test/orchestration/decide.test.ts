/** The engine: which rules run, how their rulings change the decision, and the properties of every decision. */
import fc from "fast-check";
import { describe, test } from "vitest";
import { decideFlowRun, decideTaskRun } from "#orchestration/decide";
import {
  BackgroundTaskPolicy,
  CoreFlowPolicy,
  CoreTaskPolicy,
  MarkLateRunsPolicy,
  MinimalFlowPolicy,
  MinimalTaskPolicy,
} from "#orchestration/policies";
import {
  ANY_STATE,
  type Decision,
  type FlowRunContext,
  type Rule,
  type RunContext,
  type Ruling,
  statesOf,
} from "#orchestration/transition";
import { isTerminal, STATE_TYPES, type StateDetails, type StateProposal, type StateType } from "#wire/state";
import {
  aDeployment,
  afterFlowRun,
  afterTaskRun,
  aFlowRunContext,
  aState,
  aTaskRunContext,
  DEPLOYMENT_ID,
  type FlowRunCase,
  FLOW_RUN_ID,
  NOW,
  PARENT_ID,
  PERSISTED,
  SECOND,
} from "./builders.ts";

/** A rule for every transition that always gives the same ruling. */
function always(
  ruling: Ruling<FlowRunContext> | undefined,
  rest: Partial<Rule<FlowRunContext>> = {},
): Rule<FlowRunContext> {
  return { from: ANY_STATE, to: ANY_STATE, decide: () => ruling, ...rest };
}

function decideWith(
  rules: Rule<FlowRunContext>[],
  asked: FlowRunCase = { from: "PENDING" },
  to: StateProposal | StateType = "RUNNING",
) {
  return decideFlowRun(rules, aFlowRunContext(asked), aState(to));
}

const count = (run_count: number) => ({ kind: "adjust", changes: { run_count } }) as const;
const rejectWith = (type: StateType) => ({ kind: "reject", state: { type }, reason: "no" }) as const;
const enqueue = { kind: "enqueue-task-run", retry: false } as const;

describe("a proposal", () => {
  test("is accepted unchanged if no rule objects", ({ expect }) => {
    const decision = decideWith([always(undefined)]);
    expect(decision).toMatchObject({ status: "ACCEPT", reason: null, delaySeconds: null, state: { type: "RUNNING" } });
  });

  test.for<{ ruling: Ruling<FlowRunContext>; expected: Partial<Decision<FlowRunContext>> }>([
    { ruling: { kind: "abort", reason: "why" }, expected: { status: "ABORT", reason: "why", delaySeconds: null } },
    {
      ruling: { kind: "reject", state: null, reason: "why" },
      expected: { status: "REJECT", reason: "why", delaySeconds: null },
    },
    {
      ruling: { kind: "wait", delaySeconds: 3, reason: "why" },
      expected: { status: "WAIT", reason: "why", delaySeconds: 3 },
    },
  ])("that gets the ruling $ruling.kind writes nothing", ({ ruling, expected }, { expect }) => {
    const rules = [always(count(7), { after: () => ({ effects: [enqueue] }) }), always(ruling)];
    expect(decideWith(rules)).toEqual({ ...expected, state: null, changes: {}, effects: [] });
  });

  test("that is rejected with another state writes the other state, with its bookkeeping", ({ expect }) => {
    expect(decideWith([always(rejectWith("CANCELLED"))])).toMatchObject({
      status: "REJECT",
      reason: "no",
      state: { type: "CANCELLED", name: "Cancelled", timestamp: NOW, state_details: { flow_run_id: FLOW_RUN_ID } },
      changes: { state_type: "CANCELLED", state_name: "Cancelled", end_time: NOW },
    });
  });

  test("that is adjusted keeps everything that the ruling does not name", ({ expect }) => {
    const to = { type: "RUNNING", message: "go", state_details: { cache_key: "key" } } as const;
    const { state } = decideWith([always({ kind: "adjust", name: "Retrying", details: { pause_key: "p" } })], {}, to);
    expect(state).toMatchObject({
      name: "Retrying",
      message: "go",
      state_details: { cache_key: "key", pause_key: "p" },
    });
  });
});

describe("a rule", () => {
  test.for([
    {
      title: "is asked if it governs both states",
      from: statesOf("PENDING"),
      to: statesOf("RUNNING"),
      name: "Adjusted",
    },
    {
      title: "is not asked if it does not govern the run's state",
      from: statesOf("PAUSED"),
      to: ANY_STATE,
      name: "Running",
    },
    {
      title: "is not asked if it does not govern the proposed state",
      from: ANY_STATE,
      to: statesOf("PENDING"),
      name: "Running",
    },
  ])("$title", ({ from, to, name }, { expect }) => {
    expect(decideWith([always({ kind: "adjust", name: "Adjusted" }, { from, to })]).state?.name).toBe(name);
  });

  test("gets the state and the run as changed by the rules before it", ({ expect }) => {
    const seen: unknown[] = [];
    const spy = always(undefined, { decide: ({ run }, { name }) => void seen.push(run.run_count, name) });
    decideWith([always({ ...count(7), name: "Adjusted" }), spy]);
    expect(seen).toEqual([7, "Adjusted"]);
  });

  test("is not asked after the type has changed, even if it governs the new type", ({ expect }) => {
    const rules = [
      always(rejectWith("SCHEDULED")),
      always(rejectWith("CANCELLED"), { to: statesOf("RUNNING", "SCHEDULED") }),
    ];
    expect(decideWith(rules).state?.type).toBe("SCHEDULED");
  });

  test("is asked if the state was replaced by a state of the same type", ({ expect }) => {
    const rules = [
      always({ kind: "reject", state: { type: "RUNNING", name: "Other" }, reason: "no" }),
      always(count(7)),
    ];
    expect(decideWith(rules)).toMatchObject({ status: "REJECT", state: { name: "Other" }, changes: { run_count: 8 } });
  });
});

describe("the columns and effects that a rule wants", () => {
  test("are dropped when a later rule changes the type", ({ expect }) => {
    const first = always({ ...count(7), effects: [enqueue] }, { after: () => ({ effects: [enqueue] }) });
    const decision = decideWith([first, always(rejectWith("SCHEDULED"))]);
    expect(decision.changes.run_count).toBeUndefined();
    expect(decision.effects).toEqual([]);
  });

  test("are kept when the rule itself changes the type", ({ expect }) => {
    const decision = decideWith([
      always({ ...rejectWith("SCHEDULED"), changes: { run_count: 7 }, effects: [enqueue] }),
    ]);
    expect(decision.changes.run_count).toBe(7);
    expect(decision.effects).toEqual([enqueue]);
  });
});

describe('the "after" of a rule', () => {
  const noting = (name: string, log: string[], rest: Partial<Rule<FlowRunContext>> = {}) =>
    always(undefined, { ...rest, after: () => void log.push(name) });

  test("runs from the last rule to the first, for the rules that were asked", ({ expect }) => {
    const log: string[] = [];
    decideWith([noting("first", log), noting("other", log, { from: statesOf("PAUSED") }), noting("last", log)]);
    expect(log).toEqual(["last", "first"]);
  });

  test("does not run if the rule put a state in place that it does not govern", ({ expect }) => {
    const log: string[] = [];
    const decide = () => rejectWith("FAILED");
    decideWith([noting("narrow", log, { decide, to: statesOf("RUNNING") })]);
    decideWith([noting("wide", log, { decide })]);
    expect(log).toEqual(["wide"]);
  });

  test("gets the run after the bookkeeping, and its changes override the bookkeeping", ({ expect }) => {
    const policy = { pause_keys: ["key"], resuming: true };
    const rule = always(undefined, {
      after: ({ run }) => ({ changes: { empirical_policy: { ...run.empirical_policy, retries: 1 } } }),
    });
    const { changes } = decideWith([rule], { from: "PENDING", run: { empirical_policy: policy } });
    expect(changes.empirical_policy).toEqual({ pause_keys: ["key"], resuming: false, retries: 1 });
  });
});

describe("rules in one policy", () => {
  test("a run that may not run again keeps its run count", ({ expect }) => {
    const flowRun = { id: FLOW_RUN_ID, run_count: 1, state: aState("PAUSED") };
    const context = aTaskRunContext({ from: "FAILED", run: { run_count: 3 }, flowRun });
    const decision = decideTaskRun(CoreTaskPolicy, context, aState("RUNNING"));
    expect(decision).toMatchObject({ status: "REJECT", state: { name: "NotReady" } });
    expect(decision.changes.run_count).toBeUndefined();
  });

  test("a task run that runs again after its end has a new run count and keeps the proposed name", ({ expect }) => {
    const context = aTaskRunContext({ from: "FAILED", run: { run_count: 3, flow_run_run_count: 1 } });
    const decision = decideTaskRun(CoreTaskPolicy, context, aState("RUNNING"));
    expect(decision).toMatchObject({ state: { name: "Running" }, changes: { run_count: 1, flow_run_run_count: 1 } });
  });

  test("a run that is suspended and then resumes counts one start", ({ expect }) => {
    const suspended = { type: "PAUSED", name: "Suspended", state_details: { pause_reschedule: true } } as const;
    const steps = [
      "RUNNING",
      suspended,
      { type: "SCHEDULED", name: "Resuming" },
      "PENDING",
      "RUNNING",
      "COMPLETED",
    ] as const;
    const deployment = aDeployment({ limit: null });
    let context = aFlowRunContext({ from: "PENDING", run: { deployment_id: DEPLOYMENT_ID }, deployment });
    const seen = steps.map((step) => {
      context = afterFlowRun(context, decideFlowRun(CoreFlowPolicy, context, aState(step)));
      return [context.run.state_name, context.run.run_count, context.run.empirical_policy.resuming ?? false];
    });
    expect(seen).toEqual([
      ["Running", 1, false],
      ["Suspended", 1, false],
      ["Resuming", 1, true],
      ["Pending", 1, true],
      ["Running", 1, false],
      ["Completed", 1, false],
    ]);
  });

  test("a run that resumes from a blocking pause counts a start and is marked as resuming", ({ expect }) => {
    const context = aFlowRunContext({ from: "PAUSED", run: { run_count: 1 } });
    const { changes } = decideFlowRun(CoreFlowPolicy, context, aState("RUNNING"));
    expect(changes).toMatchObject({ run_count: 2, empirical_policy: { resuming: true } });
  });

  test("a background task is queued if a client schedules it, and is not queued while it awaits its retry", ({
    expect,
  }) => {
    const deferred = { deferred: true };
    const first = decideTaskRun(
      BackgroundTaskPolicy,
      aTaskRunContext({ flowRun: null }),
      aState({ type: "SCHEDULED", state_details: deferred }),
    );
    const failing = aTaskRunContext({
      from: "RUNNING",
      flowRun: null,
      run: { run_count: 1, empirical_policy: { retries: 1 } },
    });
    const retry = decideTaskRun(BackgroundTaskPolicy, failing, aState({ type: "FAILED", state_details: deferred }));
    expect(first.effects).toEqual([enqueue]);
    expect(retry).toMatchObject({ state: { name: "AwaitingRetry" }, effects: [] });
  });
});

// Any proposals for a run, from its first state on, under any policy.

const proposals = fc.record({
  type: fc.constantFrom(...STATE_TYPES),
  name: fc.constantFrom(undefined, "Late", "Suspended", "Resuming", "AwaitingRetry", "Submitting"),
  data: fc.constantFrom(null, PERSISTED, { type: "unpersisted" }),
  state_details: fc.record<StateDetails>({
    scheduled_time: fc.constantFrom(undefined, NOW - SECOND, NOW + 2 * SECOND),
    cache_key: fc.constantFrom(undefined, "key", "k".repeat(2001)),
    deferred: fc.boolean(),
    pause_timeout: fc.constantFrom(undefined, NOW, NOW + 3 * SECOND),
    pause_reschedule: fc.boolean(),
    pause_key: fc.constantFrom(undefined, "key"),
  }),
});

const histories = <P>(...policies: readonly P[]) =>
  fc.array(
    fc.record({
      policy: fc.constantFrom(...policies),
      proposal: proposals,
      seconds: fc.integer({ min: -1, max: 3 }),
      apiVersion: fc.constantFrom(null, [0, 8, 2] as const, [0, 8, 4] as const),
    }),
    { maxLength: 12 },
  );

/** Properties of each run after a state is written. */
function expectRightColumns(
  expect: (actual: unknown) => { toBe(expected: unknown): void },
  { run, initial }: RunContext,
): void {
  expect(run.state_type).toBe(initial?.type ?? null);
  expect(run.state_name).toBe(initial?.name ?? null);
  expect(run.state_timestamp).toBe(initial?.timestamp ?? null);
  expect(run.end_time !== null).toBe(initial !== null && isTerminal(initial));
  expect(run.next_scheduled_start_time !== null).toBe(initial?.type === "SCHEDULED");
  expect(run.expected_start_time !== null).toBe(initial !== null);
  expect(run.total_run_time >= 0).toBe(true);
  expect(run.run_count >= 0).toBe(true);
  expect(run.end_time === null || run.start_time !== null).toBe(true);
}

describe("for any proposal", () => {
  const flowPolicies = [CoreFlowPolicy, MinimalFlowPolicy, MarkLateRunsPolicy];
  const taskPolicies = [CoreTaskPolicy, MinimalTaskPolicy, BackgroundTaskPolicy];
  const owners = fc.record({
    deployment_id: fc.constantFrom(null, DEPLOYMENT_ID),
    parent_task_run_id: fc.constantFrom(null, PARENT_ID),
    infrastructure_pid: fc.constantFrom(null, "12"),
  });
  const retries = fc.constantFrom(undefined, 0, 2);

  test("the columns of a flow run are right, and a refusal changes none of them", ({ expect }) => {
    fc.assert(
      fc.property(owners, retries, histories(...flowPolicies), (owner, retries, history) => {
        let context = aFlowRunContext({ run: { ...owner, empirical_policy: { retries } } });
        for (const { policy, proposal, seconds, apiVersion } of history) {
          const now = context.now + seconds * SECOND;
          const decision = decideFlowRun(policy, { ...context, now, apiVersion }, aState(proposal, now));
          if (decision.state === null) expect(decision).toMatchObject({ changes: {}, effects: [] });
          if (decision.status === "ACCEPT") expect(decision.state?.type).toBe(proposal.type);
          context = { ...afterFlowRun(context, decision), now };
          expectRightColumns(expect, context);
        }
        expect(new Set(context.takenTimestamps).size).toBe(context.takenTimestamps.length);
      }),
    );
  });

  test("the columns of a task run are right, and a refusal changes none of them", ({ expect }) => {
    const others = fc.record({
      type: fc.constantFrom(...STATE_TYPES),
      isCached: fc.boolean(),
      delay: fc.constantFrom(null, 3, [1, 10]),
    });
    fc.assert(
      fc.property(others, retries, histories(...taskPolicies), ({ type, isCached, delay }, retries, history) => {
        const flowRun = { id: FLOW_RUN_ID, run_count: 2, state: aState(type) };
        const cached = isCached ? aState({ type: "COMPLETED", data: PERSISTED }) : null;
        let context = aTaskRunContext({ run: { empirical_policy: { retries, retry_delay: delay } }, flowRun, cached });
        for (const { policy, proposal, seconds, apiVersion } of history) {
          const now = context.now + seconds * SECOND;
          const decision = decideTaskRun(policy, { ...context, now, apiVersion }, aState(proposal, now));
          if (decision.state === null) expect(decision).toMatchObject({ changes: {}, effects: [] });
          if (decision.status === "ACCEPT") expect(decision.state?.type).toBe(proposal.type);
          context = { ...afterTaskRun(context, decision), now };
          expectRightColumns(expect, context);
        }
      }),
    );
  });

  test("the same input gives the same decision, and the context is not changed", ({ expect }) => {
    fc.assert(
      fc.property(fc.constantFrom(...STATE_TYPES), proposals, (from, proposal) => {
        const context = Object.freeze(aFlowRunContext({ from }));
        Object.freeze(context.run);
        const proposed = Object.freeze(aState(proposal));
        const [one, other] = [1, 2].map(() =>
          decideFlowRun(CoreFlowPolicy, { ...context, ids: aFlowRunContext().ids }, proposed),
        );
        expect(one).toEqual(other);
      }),
    );
  });
});
