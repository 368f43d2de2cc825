/** Concurrency limits: global ones, and those of a tag. */
import type { Dialog } from "./scene.ts";

const GLOBAL = "/concurrency-limits?tab=global";
const OF_TAGS = "/concurrency-limits?tab=task-run";
const READ = "read_global_concurrency_limit_by_name";
const READ_OF_TAG = "read_concurrency_limit_by_tag";

export const GLOBAL_LIMITS: readonly Dialog[] = [
  {
    name: "global limit: create",
    async play(scene) {
      await scene.visit(GLOBAL);
      await scene.press("add global concurrency limit");
      await scene.dialog.getByLabel("Name").fill("made-here");
      await scene.dialog.getByLabel("Concurrency Limit").fill("4");
      await scene.dialog.getByLabel("Slot Decay Per Second").fill("2");
      await scene.confirm("Save");
      await scene.expect(READ, { name: "made-here" }, { limit: 4, slot_decay_per_second: 2, active: true });
    },
  },
  {
    name: "global limit: edit",
    async play(scene) {
      await scene.visit(GLOBAL);
      await scene.choose("Edit", scene.row("made-here"));
      await scene.dialog.getByLabel("Concurrency Limit").fill("6");
      await scene.confirm("Update");
      await scene.expect(READ, { name: "made-here" }, { limit: 6, slot_decay_per_second: 2 });
    },
  },
  {
    name: "global limit: make inactive",
    async play(scene) {
      await scene.visit(GLOBAL);
      await scene.row("made-here").getByRole("switch").click();
      await scene.expect(READ, { name: "made-here" }, { active: false });
    },
  },
  {
    name: "global limit: reset",
    async play(scene) {
      await scene.visit(GLOBAL);
      await scene.choose("Reset", scene.row("made-here"));
      await scene.confirm("Reset");
      await scene.expect(READ, { name: "made-here" }, { active_slots: 0 });
    },
  },
  {
    name: "global limit: delete",
    async play(scene) {
      await scene.visit(GLOBAL);
      await scene.choose("Delete", scene.row("made-here"));
      await scene.confirm("Delete");
      await scene.expect(READ, { name: "made-here" }, null);
    },
  },
];

export const TAG_LIMITS: readonly Dialog[] = [
  {
    name: "limit of a tag: create",
    async play(scene) {
      await scene.visit(OF_TAGS);
      await scene.press("add task run concurrency limit");
      await scene.dialog.getByLabel("Tag").fill("made-here");
      await scene.dialog.getByLabel("Concurrency Limit").fill("3");
      await scene.confirm("Add");
      await scene.expect(READ_OF_TAG, { tag: "made-here" }, { concurrency_limit: 3, active_slots: [] });
    },
  },
  {
    name: "limit of a tag: reset",
    async play(scene) {
      await scene.visit(OF_TAGS);
      await scene.choose("Reset", scene.row("made-here"));
      await scene.confirm("Reset");
      await scene.expect(READ_OF_TAG, { tag: "made-here" }, { active_slots: [] });
    },
  },
  {
    name: "limit of a tag: delete",
    async play(scene) {
      await scene.visit(OF_TAGS);
      await scene.choose("Delete", scene.row("made-here"));
      await scene.confirm("Delete");
      await scene.expect(READ_OF_TAG, { tag: "made-here" }, null);
    },
  },
];
