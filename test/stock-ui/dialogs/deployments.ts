/** Deployments, and their schedules. */
import type { Locator } from "playwright-core";
import type { JsonObject } from "../../conformance/json.ts";
import type { Dialog, Scene } from "./scene.ts";

const READ = "read_deployment";
const READ_BY_NAME = "read_deployment_by_name";
const COPY = { name: "greet/copy" };

function pageOf({ filled }: Scene): string {
  return `/deployments/deployment/${filled.deployment}`;
}

function deployment({ filled }: Scene): JsonObject {
  return { deployment_id: filled.deployment };
}

/** The schedule with a description, on the page of the deployment. */
function schedule(scene: Scene, description: string): Locator {
  return scene.main.getByRole("switch", { name: `toggle ${description}` }).locator("../..");
}

export const SCHEDULES: readonly Dialog[] = [
  {
    name: "schedule: create",
    async play(scene) {
      await scene.visit(pageOf(scene));
      await scene.press("Schedule");
      await scene.dialog.getByRole("tab", { name: "Cron" }).click();
      await scene.dialog.getByLabel("Value").fill("15 4 * * *");
      await scene.confirm("Save");
      await scene.expect(READ, deployment(scene), {
        "schedules.0.schedule.cron": "15 4 * * *",
        "schedules.0.active": true,
        "schedules.3": undefined,
      });
    },
  },
  {
    name: "schedule: edit",
    async play(scene) {
      await scene.visit(pageOf(scene));
      await scene.choose("Edit", schedule(scene, "At 04:15 AM"));
      await scene.dialog.getByLabel("Value").fill("30 5 * * *");
      await scene.confirm("Save");
      await scene.expect(READ, deployment(scene), {
        "schedules.0.schedule.cron": "30 5 * * *",
        "schedules.3": undefined,
      });
    },
  },
  {
    name: "schedule: pause",
    async play(scene) {
      await scene.visit(pageOf(scene));
      await schedule(scene, "At 05:30 AM").getByRole("switch").click();
      await scene.expect(READ, deployment(scene), {
        "schedules.0.schedule.cron": "30 5 * * *",
        "schedules.0.active": false,
        "schedules.1.active": true,
      });
    },
  },
  {
    name: "schedule: delete",
    async play(scene) {
      await scene.visit(pageOf(scene));
      await scene.choose("Delete", schedule(scene, "At 05:30 AM"));
      await scene.confirm("Delete");
      await scene.expect(READ, deployment(scene), { "schedules.0.active": true, "schedules.2": undefined });
    },
  },
];

export const DEPLOYMENTS: readonly Dialog[] = [
  {
    name: "deployment: duplicate",
    async play(scene) {
      await scene.visit(`${pageOf(scene)}/duplicate`);
      await scene.main.getByLabel("Name", { exact: true }).fill("copy");
      await scene.press("Save");
      await scene.expect(READ_BY_NAME, COPY, { work_pool_name: "pool", tags: ["greeting"], paused: false });
    },
  },
  {
    name: "deployment: edit",
    async play(scene) {
      await scene.visit(`${pageOf(scene)}/edit`);
      await scene.main.getByLabel("times (Optional)").fill("2");
      await scene.press("Save");
      await scene.expect(READ, deployment(scene), { "parameters.times": 2, "parameters.name": "you" });
    },
  },
  {
    name: "deployment: delete",
    async play(scene) {
      await scene.visit("/deployments");
      await scene.choose("Delete", scene.row("Pin deployment copy"));
      await scene.confirm("Delete");
      await scene.expect(READ_BY_NAME, COPY, null);
    },
  },
];
