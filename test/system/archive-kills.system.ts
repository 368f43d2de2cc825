/**
 * What is accepted is stored once if Sluice is killed at random moments while old rows are converted and data moves to
 * the archive and back. `node scripts/archive-kills.ts` runs the same for longer.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { killUnderMoves } from "./kills/scene.ts";

test("nothing is lost or doubled if Sluice is killed during moves and conversions", { timeout: 420_000 }, async (t) => {
  const outcome = await killUnderMoves({ minutes: 0.3, kills: 2, lifeSeconds: 6 });
  const { faults, ...numbers } = outcome;
  t.diagnostic(JSON.stringify(numbers));
  assert.deepEqual(faults, []);
  const { runs, logs, taskRunStates, converted, bundles } = numbers;
  const seen = [runs, logs, taskRunStates, converted, bundles];
  assert.ok(Math.min(...seen) > 0, `some of the work was not done: ${JSON.stringify(numbers)}`);
});
