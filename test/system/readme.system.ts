/** The flow of the README, run as by a new user. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Api } from "./support/api.ts";
import { World } from "./support/world.ts";

describe("the flow of the README", () => {
  test("runs unchanged, and its run is COMPLETED", { timeout: 300_000 }, async (t) => {
    const [, code] = /^```python\n([\s\S]*?)^```$/m.exec(readFileSync("README.md", "utf8")) ?? [];
    assert.ok(code !== undefined, "README.md has a block of Python");
    const world = await World.of(t);
    await world.startSluice();
    const file = join(world.folder, "pasted.py");
    writeFileSync(file, code);

    const pasted = world.runPython(file);
    assert.deepEqual(await pasted.end(120), { code: 0, signal: null }, pasted.output);
    const runs = await new Api(world.apiUrl).flowRuns();
    assert.ok(runs.length > 0, "a flow run is there");
    for (const run of runs) assert.equal(run.state_type, "COMPLETED", run.name);
  });
});
