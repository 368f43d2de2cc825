/** Variables. */
import type { Dialog } from "./scene.ts";

const READ = "read_variable_by_name";

export const VARIABLES: readonly Dialog[] = [
  {
    name: "variable: create",
    async play(scene) {
      await scene.visit("/variables");
      await scene.press("Add variable");
      await scene.dialog.getByLabel("Name").fill("made_here");
      await scene.rewrite(scene.dialog.locator(".cm-content"), '{"deep": [1, null]}');
      await scene.dialog.getByPlaceholder("Enter tags").fill("first");
      await scene.page.keyboard.press("Enter");
      await scene.confirm("Create");
      await scene.expect(READ, { name: "made_here" }, { value: { deep: [1, null] }, tags: ["first"] });
    },
  },
  {
    name: "variable: edit",
    async play(scene) {
      await scene.visit("/variables");
      await scene.choose("Edit", scene.row("made_here"));
      await scene.rewrite(scene.dialog.locator(".cm-content", { hasText: "deep" }), '"text"');
      await scene.confirm("Save");
      await scene.expect(READ, { name: "made_here" }, { value: "text", tags: ["first"] });
    },
  },
  {
    name: "variable: delete",
    async play(scene) {
      await scene.visit("/variables");
      await scene.choose("Delete", scene.row("made_here"));
      await scene.confirm("Delete");
      await scene.expect(READ, { name: "made_here" }, null);
    },
  },
];
