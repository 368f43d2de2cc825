/**
 * Records the answers of the original to a sample:
 * `node test/differential/record.ts --reference URL [--sequences N] [--seed N]`.
 * The original must run without services (`prefect server start --no-services`), because services change runs.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { sequences } from "./generate.ts";
import { play, type Played, type Server } from "./play.ts";
import type { Sequence } from "./sequence.ts";

const { values } = parseArgs({
  options: {
    reference: { type: "string" },
    sequences: { type: "string", default: "300" },
    seed: { type: "string", default: "1" },
    out: { type: "string", default: "recorded.json" },
    lanes: { type: "string", default: "8" },
  },
});
if (values.reference === undefined) throw new Error("--reference URL is needed");
const server: Server = { baseUrl: values.reference, fetch };

const all = sequences(Number(values.sequences), Number(values.seed), { limits: true });
const lines: string[] = [];
const waiting = [...all.entries()];
await Promise.all(Array.from({ length: Number(values.lanes) }, record));
await writeFile(join(import.meta.dirname, values.out), `[\n${lines.join(",\n")}\n]\n`);
console.log(`${lines.length} sequences`);

async function record(): Promise<void> {
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const [index, sequence] = next;
    lines[index] = JSON.stringify({ sequence, played: await playOn(sequence) });
  }
}

/** Plays a sequence. Plays it once more if the server closed an idle connection. */
async function playOn(sequence: Sequence): Promise<Played> {
  return play(sequence, server).catch(() => play(sequence, server));
}
