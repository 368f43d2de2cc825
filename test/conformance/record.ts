/** Writes the transcripts of the original: `node test/conformance/record.ts --reference URL [--only name] [--out folder]`. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { play } from "./play.ts";
import { scenarios } from "./scenarios.ts";

const { values } = parseArgs({
  options: { reference: { type: "string" }, only: { type: "string" }, out: { type: "string" } },
});
if (values.reference === undefined) throw new Error("--reference URL is needed");

const folder = values.out ?? join(import.meta.dirname, "recorded");
const server = { baseUrl: values.reference, fetch };
await mkdir(folder, { recursive: true });

for (const scenario of scenarios) {
  if (values.only !== undefined && values.only !== scenario.name) continue;
  const steps = await play(scenario, server);
  if (steps.some(({ status }) => status === 503)) throw new Error(`${scenario.name}: the original was too busy`);
  const lines = steps.map((step) => JSON.stringify(step));
  await writeFile(join(folder, `${scenario.name}.json`), `[\n${lines.join(",\n")}\n]\n`);
  console.log(`${scenario.name}: ${steps.length} steps`);
}
