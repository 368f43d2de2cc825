/**
 * Plays every scenario against Sluice, and writes what differs from the original for a reason: differences.json,
 * docs/operations.md and a part of docs/compatibility.md. Fails if an answer differs without a reason. With `--pages`
 * it plays nothing, and writes the pages from differences.json.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeOpenApi } from "../../scripts/build.ts";
import { World } from "../system/support/world.ts";
import { compareTranscripts } from "./diff.ts";
import { type Differences, reasonsOf } from "./differences.ts";
import { BEGIN, END } from "./marks.ts";
import { NOT_YET } from "./not-yet.ts";
import { operationsIn, operationsPage, summary } from "./pages.ts";
import { play, type TranscriptStep } from "./play.ts";
import { scenarios } from "./scenarios.ts";

const ROOT = join(import.meta.dirname, "../..");
const [PAGE, OPERATIONS] = [join(ROOT, "docs/compatibility.md"), join(ROOT, "docs/operations.md")];
const DIFFERENCES = join(import.meta.dirname, "differences.json");

const ends: (() => unknown)[] = [];
try {
  const recorded = Object.fromEntries(scenarios.map(({ name }) => [name, recordedOf(name)]));
  const differences: Differences = process.argv.includes("--pages")
    ? JSON.parse(readFileSync(DIFFERENCES, "utf8"))
    : await compareAll(recorded);
  await writeOpenApi();
  const ours = operationsIn(JSON.parse(readFileSync(join(ROOT, "dist/openapi.txt"), "utf8")));
  const facts = { ours, recorded, differences };
  writeFileSync(DIFFERENCES, JSON.stringify(differences));
  writeFileSync(OPERATIONS, operationsPage(facts));
  const [head, rest] = readFileSync(PAGE, "utf8").split(BEGIN);
  const tail = rest?.split(END)[1];
  if (head === undefined || tail === undefined) throw new Error(`${PAGE} has no part between the marks`);
  writeFileSync(PAGE, `${head}${BEGIN}\n\n${summary(facts)}\n\n${END}${tail}`);
  execFileSync(join(ROOT, "node_modules/.bin/oxfmt"), [DIFFERENCES, OPERATIONS, PAGE]);
} finally {
  for (const end of ends.toReversed()) await end();
}

async function compareAll(recorded: Record<string, TranscriptStep[]>): Promise<Differences> {
  const world = await World.of({ after: (end: () => unknown) => ends.push(end) });
  await world.startSluice();
  const differences: Differences = {};
  for (const scenario of scenarios.filter(({ name }) => !NOT_YET.has(name))) {
    const target = await play(scenario, { baseUrl: world.apiUrl, fetch });
    const compared = { scenario: scenario.name, reference: recorded[scenario.name] ?? [], target };
    const { unexplained, explained } = compareTranscripts(compared);
    if (unexplained.length > 0) throw new Error(`Without a reason:\n${JSON.stringify(unexplained, null, 2)}`);
    if (explained.length > 0) differences[scenario.name] = reasonsOf(explained);
    console.error(`${scenario.name}: ${target.length} steps, ${explained.length} differ for a reason`);
  }
  return differences;
}

function recordedOf(name: string): TranscriptStep[] {
  const steps: TranscriptStep[] = JSON.parse(
    readFileSync(join(import.meta.dirname, "recorded", `${name}.json`), "utf8"),
  );
  return steps;
}
