/**
 * Prints where a server differs from the original:
 * `node test/conformance/compare.ts --target URL [--reference URL] [--only name] [--key KEY] [--explained]`.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { compareTranscripts } from "./diff.ts";
import { play, type Scenario, type Server, type TranscriptStep } from "./play.ts";
import { scenarios } from "./scenarios.ts";

const { values } = parseArgs({
  options: {
    target: { type: "string" },
    reference: { type: "string" },
    only: { type: "string" },
    key: { type: "string" },
    explained: { type: "boolean", default: false },
  },
});
if (values.target === undefined) throw new Error("--target URL is needed");

const target: Server = {
  baseUrl: values.target,
  fetch,
  ...(values.key === undefined ? {} : { headers: { authorization: `Bearer ${values.key}` } }),
};

let differing = 0;
for (const scenario of scenarios) {
  if (values.only !== undefined && values.only !== scenario.name) continue;
  const reference = await referenceTranscript(scenario);
  const found = compareTranscripts({
    scenario: scenario.name,
    reference,
    target: await play(scenario, target),
  });
  differing += found.unexplained.length;
  for (const step of found.unexplained) console.log(JSON.stringify(step, null, 2));
  if (values.explained) for (const step of found.explained) console.log(JSON.stringify(step, null, 2));
  console.error(
    `${scenario.name}: ${reference.length} steps, ${found.unexplained.length} differ, ` +
      `${found.explained.length} differ for a reason`,
  );
}
process.exitCode = differing === 0 ? 0 : 1;

async function referenceTranscript(scenario: Scenario): Promise<TranscriptStep[]> {
  if (values.reference !== undefined) return play(scenario, { baseUrl: values.reference, fetch });
  const file = join(import.meta.dirname, "recorded", `${scenario.name}.json`);
  const steps: TranscriptStep[] = JSON.parse(await readFile(file, "utf8"));
  return steps;
}
