/** Flow runs: of a deployment, and what is done with them later. */
import assert from "node:assert/strict";
import { at, type Json } from "../../conformance/json.ts";
import { eventually } from "../../system/support/world.ts";
import type { Dialog, Scene } from "./scene.ts";

const CUSTOM = { flow_run_filter: { name: { any_: ["custom-run"] } } };

/** Opens the page of a flow run, chooses from its menu, and presses the button of the dialog that opens. */
async function change(scene: Scene, run: string, item: string, button: string): Promise<void> {
  await scene.visit(`/runs/flow-run/${run}`);
  await scene.choose(item);
  await scene.confirm(button);
}

function idOf(thing: Json | undefined): string {
  const id = at(thing, "id");
  assert.ok(typeof id === "string");
  return id;
}

/** The flow runs that were made by hand, by their ids. */
async function runsOf(scene: Scene): Promise<Map<string, Json>> {
  const filter = { deployment_filter: { id: { any_: [scene.filled.deployment] } } };
  const runs = await scene.read("read_flow_runs", { ...filter, limit: 200 });
  assert.ok(Array.isArray(runs));
  const byHand = runs.filter((run) => at(run, "auto_scheduled") === false);
  return new Map(byHand.map((run) => [idOf(run), run]));
}

async function expectState(scene: Scene, run: string, expected: Record<string, Json>): Promise<void> {
  await scene.expect("read_flow_run", { flow_run_id: run }, expected);
}

export const RUNS: readonly Dialog[] = [
  {
    name: "deployment: quick run",
    async play(scene) {
      const before = await runsOf(scene);
      await scene.visit(`/deployments/deployment/${scene.filled.deployment}`);
      await scene.press("Run");
      await scene.page.getByRole("menuitem", { name: "Quick run" }).click();
      await eventually(10, async () => {
        const made = [...(await runsOf(scene))].filter(([id]) => !before.has(id)).map(([, run]) => run);
        assert.deepEqual(
          made.map((run) => [at(run, "state_name"), at(run, "parameters")]),
          [["Scheduled", { name: "you" }]],
        );
      });
    },
  },
  {
    name: "deployment: custom run, later",
    async play(scene) {
      await scene.visit(`/deployments/deployment/${scene.filled.deployment}/run`);
      await scene.main.getByLabel("Run Name").fill("custom-run");
      await scene.main.getByLabel("times (Optional)").fill("3");
      await scene.main.getByRole("tab", { name: "Later" }).click();
      await scene.press("Submit");
      await scene.expect("read_flow_runs", CUSTOM, {
        "0.state_type": "SCHEDULED",
        "0.parameters": { name: "you", times: 3 },
        "1": undefined,
      });
    },
  },
  {
    name: "flow run: delete",
    async play(scene) {
      const runs = await scene.read("read_flow_runs", CUSTOM);
      await change(scene, idOf(at(runs, "0")), "Delete", "Delete");
      await scene.expect("read_flow_runs", CUSTOM, { "0": undefined });
    },
  },
  {
    name: "flow run: pause",
    async play(scene) {
      await change(scene, scene.filled.pausedRun, "Pause", "Pause Flow Run");
      await expectState(scene, scene.filled.pausedRun, { state_type: "PAUSED" });
    },
  },
  {
    name: "flow run: resume",
    async play(scene) {
      await change(scene, scene.filled.pausedRun, "Resume", "Resume");
      await expectState(scene, scene.filled.pausedRun, { state_type: "SCHEDULED" });
    },
  },
  {
    name: "flow run: cancel",
    async play(scene) {
      await change(scene, scene.filled.endlessRun, "Cancel", "Cancel Flow Run");
      await expectState(scene, scene.filled.endlessRun, { state_type: "CANCELLING" });
    },
  },
  {
    name: "flow run: retry",
    async play(scene) {
      await change(scene, scene.filled.workedRun, "Retry", "Retry");
      await expectState(scene, scene.filled.workedRun, { state_name: "AwaitingRetry" });
    },
  },
  {
    name: "flow run: change state",
    async play(scene) {
      await scene.visit(`/runs/flow-run/${scene.filled.failedRun}`);
      await scene.choose("Change state");
      await scene.dialog.getByRole("combobox", { name: "select state" }).click();
      await scene.page.getByRole("option", { name: "Completed" }).click();
      await scene.dialog.getByLabel("Reason (Optional)").fill("by hand");
      await scene.confirm("Change");
      await expectState(scene, scene.filled.failedRun, { state_type: "COMPLETED", "state.message": "by hand" });
    },
  },
  {
    name: "task run: change state",
    async play(scene) {
      await scene.visit(`/runs/task-run/${scene.filled.taskRun}`);
      await scene.choose("Change state");
      await scene.dialog.getByRole("combobox", { name: "select state" }).click();
      await scene.page.getByRole("option", { name: "Failed" }).click();
      await scene.confirm("Change");
      await scene.expect("read_task_run", { task_run_id: scene.filled.taskRun }, { state_type: "FAILED" });
    },
  },
];
