/** Blocks. */
import type { Dialog } from "./scene.ts";

const READ = "read_block_document_by_name";
const BLOCK = { name: "made-here", block_type_slug: "secret", include_secrets: true };

export const BLOCKS: readonly Dialog[] = [
  {
    name: "block: create from the catalog",
    async play(scene) {
      await scene.visit("/blocks/catalog");
      await scene.main.locator('a[href="/blocks/catalog/secret/create"]').click();
      await scene.main.getByLabel("Name").fill("made-here");
      await scene.main.getByRole("tabpanel").getByRole("textbox").fill("first");
      await scene.press("Save");
      await scene.expect(READ, BLOCK, { "data.value": "first", "block_type.slug": "secret" });
    },
  },
  {
    name: "block: edit",
    async play(scene) {
      await scene.visit("/blocks");
      await scene.choose("Edit", scene.main.getByRole("row", { name: /made-here/ }));
      await scene.main.getByRole("tabpanel").getByRole("textbox").fill("second");
      await scene.press("Save");
      await scene.expect(READ, BLOCK, { "data.value": "second" });
    },
  },
  {
    name: "block: delete",
    async play(scene) {
      await scene.visit("/blocks");
      await scene.choose("Delete", scene.main.getByRole("row", { name: /made-here/ }));
      await scene.confirm("Delete");
      await scene.expect(READ, BLOCK, null);
    },
  },
];
