/** A team moves from an original server to Sluice by `prefect transfer` (docs/moving.md). */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { z } from "zod";
import type { Program } from "./support/program.ts";
import { Api } from "./support/api.ts";
import { World } from "./support/world.ts";

/** What describe.py prints: each thing of each kind as JSON. */
const Described = z.record(z.string(), z.array(z.string()));
const COUNTS = { deployments: 50, pools: 2, queues: 6, limits: 2, variables: 2, blocks: 5 };
const PATIENCE_SECONDS = 300;

const script = (name: string) => resolve("test/system/transfer", name);

async function outputOf(program: Program): Promise<string> {
  assert.deepEqual(await program.end(PATIENCE_SECONDS), { code: 0, signal: null }, program.output);
  return program.output;
}

async function describe(world: World): Promise<Record<string, string[]>> {
  const output = await outputOf(world.runPython(script("describe.py")));
  return Described.parse(JSON.parse(output.slice(output.lastIndexOf('{"deployments"'))));
}

test(
  "prefect transfer moves fifty deployments with all that they use, and a worker runs one of them",
  { timeout: 900_000 },
  async (t) => {
    const [original, sluice] = await Promise.all([World.of(t), World.of(t)]);
    await Promise.all([original.startOriginal(), sluice.startSluice()]);
    await outputOf(original.runPython(script("team.py")));
    const before = await describe(original);
    assert.deepEqual(Object.fromEntries(Object.entries(before).map(([kind, all]) => [kind, all.length])), COUNTS);

    const home = join(sluice.folder, "home");
    mkdirSync(home, { recursive: true });
    const profiles = { old: original.apiUrl, sluice: sluice.apiUrl };
    const texts = Object.entries(profiles).map(([name, url]) => `[profiles.${name}]\nPREFECT_API_URL = "${url}"\n`);
    writeFileSync(join(home, "profiles.toml"), `active = "sluice"\n\n${texts.join("\n")}`);
    await outputOf(sluice.prefect(["transfer", "--from", "old", "--to", "sluice"], {}, "profiles"));
    assert.deepEqual(await describe(sluice), before);

    await outputOf(sluice.prefect(["deployment", "run", "report-green/nightly-07", "--flow-run-name", "moved"]));
    await outputOf(sluice.prefect(["worker", "start", "--pool", "slow", "--run-once"]));
    const runs = (await new Api(sluice.apiUrl).flowRuns()).filter(({ name }) => name === "moved");
    assert.deepEqual(
      runs.map((run) => run.state_type),
      ["COMPLETED"],
    );
  },
);
