/** A stock flow of many tasks: the recorded task runs, and how soon they are recorded. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Api, type TaskRun } from "./support/api.ts";
import type { Program } from "./support/program.ts";
import { World } from "./support/world.ts";

const TASK_RUNS = 250;

/** The ends of the task runs of flows/many_tasks.py: "task: state, run count, history", and the number of each. */
const EXPECTED = {
  "add: Completed, 1 run, Pending Running Completed": 140,
  "double: Completed, 1 run, Pending Running Completed": 60,
  "fail: Failed, 1 run, Pending Running Failed": 20,
  "stumble_and_rest: Completed, 2 runs, Pending Running AwaitingRetry Retrying Completed": 10,
  "stumble_once: Completed, 2 runs, Pending Running Retrying Completed": 20,
};

describe("a stock flow of 250 tasks", () => {
  test("has its 250 task runs within 3 seconds of its end, each with its states", { timeout: 300_000 }, async (t) => {
    const world = await World.of(t);
    await world.startSluice();
    const api = new Api(world.apiUrl);
    const flow = world.runFlow("many_tasks");
    const flowRunId = await flow.prints(/^flow run (\S+)\n/m, 120);

    const exited = flow.end(180).then(() => Date.now());
    const readable = await whenAllEnded(api, flowRunId, flow);
    const left = await exited;
    assert.deepEqual(await flow.ended, { code: 0, signal: null }, flow.output);

    const run = await api.flowRun(flowRunId);
    const end = Date.parse(run.end_time ?? "");
    t.diagnostic(`readable ${readable - end} ms after the flow's end, ${readable - left} ms after the client's`);
    assert.ok(readable - end <= 3000, `the task runs were all there only ${readable - end} ms after the flow's end`);
    assert.deepEqual([run.state_type, run.run_count], ["COMPLETED", 1]);
    assert.deepEqual(
      (await api.flowRunStates(flowRunId)).map((state) => state.name),
      ["Pending", "Running", "Completed"],
    );

    const taskRuns = await api.taskRuns(flowRunId);
    assert.equal(taskRuns.length, TASK_RUNS);
    assert.equal(new Set(taskRuns.map((taskRun) => taskRun.id)).size, TASK_RUNS);
    const stateIds = new Set<string>();
    const found: Record<string, number> = {};
    for (const taskRun of taskRuns) {
      const states = await api.taskRunStates(taskRun.id);
      for (const state of states) {
        assert.ok(!stateIds.has(state.id), `the state ${state.id} is there twice`);
        stateIds.add(state.id);
      }
      assert.equal(taskRun.state_id, states.at(-1)?.id, `${taskRun.name} is in the last of its states`);
      const line = describeTaskRun(
        taskRun,
        states.map((state) => state.name),
      );
      found[line] = (found[line] ?? 0) + 1;
    }
    assert.deepEqual(found, EXPECTED);
  });
});

/** The time at which the API returns all task runs with their final states. Fails 30 s after the client has ended. */
async function whenAllEnded(api: Api, flowRunId: string, flow: Program): Promise<number> {
  let until = Number.POSITIVE_INFINITY;
  void flow.ended.then(() => (until = Date.now() + 30_000));
  for (;;) {
    const count = await api.countEndedTaskRuns(flowRunId);
    if (count >= TASK_RUNS) return Date.now();
    assert.ok(Date.now() < until, `only ${count} of ${TASK_RUNS} task runs have ended:\n${flow.output}`);
    await sleep(50);
  }
}

function describeTaskRun(taskRun: TaskRun, history: readonly string[]): string {
  const task = taskRun.name.replace(/-[^-]*$/, "");
  const runs = taskRun.run_count === 1 ? "1 run" : `${taskRun.run_count} runs`;
  return `${task}: ${taskRun.state_name}, ${runs}, ${history.join(" ")}`;
}
