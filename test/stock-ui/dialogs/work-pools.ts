/** Work pools and their queues. */
import type { Dialog, Scene } from "./scene.ts";

const NAME = "made-here";
const PAGE = `/work-pools/work-pool/${NAME}`;
const QUEUES = `${PAGE}?tab=Work%20Queues`;
const READ = "read_work_pool";
const POOL = { work_pool_name: NAME };
const READ_QUEUE = "read_work_queue_by_name";
const QUEUE = { name: "fast", work_pool_name: NAME };

/** Confirms a deletion for which the user types the name. */
async function confirmDeletion(scene: Scene, name: string): Promise<void> {
  await scene.dialog.getByRole("textbox").fill(name);
  await scene.confirm("Delete");
}

export const WORK_POOLS: readonly Dialog[] = [
  {
    name: "work pool: create",
    async play(scene) {
      await scene.visit("/work-pools/create");
      await scene.main.getByRole("radio", { name: "Process" }).click();
      await scene.press("Next");
      await scene.main.getByLabel("Name").fill(NAME);
      await scene.press("Next");
      await scene.press("Create Work Pool");
      await scene.expect(READ, POOL, { type: "process", is_paused: false, concurrency_limit: null });
    },
  },
  {
    name: "work pool: edit",
    async play(scene) {
      await scene.visit(`${PAGE}/edit`);
      await scene.main.getByLabel("Description (Optional)").fill("Made by hand.");
      await scene.main.getByLabel("Flow Run Concurrency (Optional)").fill("7");
      await scene.press("Save");
      await scene.expect(READ, POOL, { description: "Made by hand.", concurrency_limit: 7 });
    },
  },
  {
    name: "work pool: pause",
    async play(scene) {
      await scene.visit(PAGE);
      await scene.main.getByRole("switch", { name: "Pause work pool", exact: true }).click();
      await scene.expect(READ, POOL, { is_paused: true, status: "PAUSED" });
    },
  },
  {
    name: "work queue: create, with a priority",
    async play(scene) {
      await scene.visit(`${PAGE}/queue/create`);
      await scene.main.getByLabel("Name").fill("fast");
      await scene.main.getByLabel("Flow Run Concurrency").fill("2");
      await scene.main.getByLabel("Priority").fill("1");
      await scene.press("Create");
      await scene.expect(READ_QUEUE, QUEUE, { priority: 1, concurrency_limit: 2 });
      await scene.expect(READ_QUEUE, { ...QUEUE, name: "default" }, { priority: 2 });
    },
  },
  {
    name: "work queue: change its priority",
    async play(scene) {
      await scene.visit(`${PAGE}/queue/fast/edit`);
      await scene.main.getByLabel("Priority").fill("2");
      await scene.press("Save");
      await scene.expect(READ_QUEUE, QUEUE, { priority: 2, concurrency_limit: 2 });
      await scene.expect(READ_QUEUE, { ...QUEUE, name: "default" }, { priority: 3 });
    },
  },
  {
    name: "work queue: pause",
    async play(scene) {
      await scene.visit(QUEUES);
      await scene.row("fast").getByRole("switch").click();
      await scene.expect(READ_QUEUE, QUEUE, { is_paused: true });
    },
  },
  {
    name: "work queue: delete",
    async play(scene) {
      await scene.visit(QUEUES);
      await scene.choose("Delete", scene.row("fast"));
      await confirmDeletion(scene, "fast");
      await scene.expect(READ_QUEUE, QUEUE, null);
    },
  },
  {
    name: "work pool: delete",
    async play(scene) {
      await scene.visit(PAGE);
      await scene.choose("Delete");
      await confirmDeletion(scene, NAME);
      await scene.expect(READ, POOL, null);
    },
  },
];
