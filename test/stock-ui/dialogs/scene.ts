/** What a dialog is played with. */
import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { at, type Json, type JsonObject } from "../../conformance/json.ts";
import { eventually } from "../../system/support/world.ts";
import type { WatchedPage } from "../browser.ts";
import type { Filled } from "../pages.ts";
import type { Reader } from "../reader.ts";

/** The maximum wait until the stock client sees what a dialog has done. */
const SECONDS = 10;

/** Values by their dotted paths. Undefined: there is nothing. */
type Values = Record<string, Json | undefined>;

/** Something that a user does in the UI, and a look at its effect. */
export interface Dialog {
  name: string;
  play: (scene: Scene) => Promise<void>;
}

export class Scene {
  readonly filled: Filled;
  private readonly watched: WatchedPage;
  private readonly reader: Reader;

  constructor(watched: WatchedPage, reader: Reader, filled: Filled) {
    this.watched = watched;
    this.reader = reader;
    this.filled = filled;
  }

  get page(): Page {
    return this.watched.page;
  }

  /** The page without its navigation. */
  get main(): Locator {
    return this.page.getByRole("main");
  }

  /** The dialog that is open. */
  get dialog(): Locator {
    return this.page.getByRole("dialog").or(this.page.getByRole("alertdialog")).last();
  }

  visit(path: string): Promise<void> {
    return this.watched.visit(path);
  }

  /** Chooses from the menu "…" of the page, or of a part of it, and waits until what is opened has its values. */
  async choose(item: string, part: Locator = this.main): Promise<void> {
    await part.getByRole("button", { name: "Open menu" }).first().click();
    await this.page.getByRole("menuitem", { name: item, exact: true }).click();
    await this.watched.settle();
  }

  /** The row of a table that begins with a text. */
  row(text: string): Locator {
    return this.main.getByRole("row", { name: new RegExp(`^${text} `) });
  }

  /** Replaces the text of a code editor. `fill` of the browser may add to the text, because the editor keeps a selection of its own. */
  async rewrite(editor: Locator, text: string): Promise<void> {
    await editor.click();
    await this.page.keyboard.press("Control+A");
    await this.page.keyboard.insertText(text);
  }

  /** Presses a button of the open dialog, and waits until the dialog is gone and the answer is there. */
  async confirm(button: string): Promise<void> {
    const { dialog } = this;
    await dialog.getByRole("button", { name: button, exact: true }).first().click();
    await dialog.waitFor({ state: "hidden" });
    await this.watched.settle();
  }

  /** Presses a button of the page, and waits for the answer. */
  async press(button: string): Promise<void> {
    await this.main.getByRole("button", { name: button, exact: true }).click();
    await this.watched.settle();
  }

  /** Calls a method of the stock client. Gives null if the server does not have the thing. */
  read(method: string, args: JsonObject): Promise<Json> {
    return this.reader.read(method, args);
  }

  /** Waits until the stock client reads a thing with these values, or until the thing is gone (null). */
  async expect(method: string, args: JsonObject, expected: Values | null): Promise<void> {
    await eventually(SECONDS, async () => {
      const read = await this.read(method, args);
      if (expected === null) return assert.equal(read, null);
      const found = Object.keys(expected).map((path) => [path, at(read, path)]);
      assert.deepEqual(Object.fromEntries(found), expected);
    });
  }
}
