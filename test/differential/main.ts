/**
 * A random walk over states, on two servers side by side:
 * `node test/differential/main.ts --reference URL --target URL [--sequences N] [--seed N] [--lanes N] [--no-limits]`.
 * Prints each kind of difference that nothing explains, with the smallest sequence that shows it.
 */
import { parseArgs } from "node:util";
import { compare, kindOf, type Parting } from "./compare.ts";
import { sequences } from "./generate.ts";
import { play, type Played, type Server } from "./play.ts";
import { reduce } from "./reduce.ts";
import type { Sequence } from "./sequence.ts";

/** How often a play is repeated that a service of a server has meddled with. */
const REPEATS = 3;

const { values } = parseArgs({
  allowNegative: true,
  options: {
    reference: { type: "string" },
    target: { type: "string" },
    sequences: { type: "string", default: "5000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    lanes: { type: "string", default: "10" },
    limits: { type: "boolean", default: true },
    reduce: { type: "string", default: "80" },
  },
});
if (values.reference === undefined || values.target === undefined) {
  throw new Error("--reference URL and --target URL are needed");
}
const reference: Server = { baseUrl: values.reference, fetch };
const target: Server = { baseUrl: values.target, fetch };

interface Kind {
  count: number;
  sequence: Sequence;
  parting: Parting;
}

const kinds = new Map<string, Kind>();
const reasons = new Map<string, number>();
const waiting = sequences(Number(values.sequences), Number(values.seed), { limits: values.limits });
const total = waiting.length;
let meddled = 0;
let steps = 0;
const begun = Date.now();

console.log(`${total} sequences, seed ${values.seed}`);
await Promise.all(Array.from({ length: Number(values.lanes) }, walk));
const seconds = Math.round((Date.now() - begun) / 1000);
const frequent = [...kinds].toSorted(([, a], [, b]) => b.count - a.count);
const reports = frequent.map(
  ([kind, found]) =>
    async () =>
      report(kind, found),
);
await Promise.all(
  Array.from({ length: Number(values.lanes) }, async () => {
    for (let next = reports.shift(); next; next = reports.shift()) console.log(await next());
  }),
);
for (const [reason, count] of reasons) console.log(`\n${count} x for a reason: ${reason}`);
const differing = [...kinds.values()].reduce((sum, { count }) => sum + count, 0);
console.log(
  `\n${total} sequences, ${steps} steps, ${seconds} s: ${differing} differ in ${kinds.size} kinds, ${meddled} were meddled with`,
);
process.exitCode = differing === 0 ? 0 : 1;

async function report(kind: string, { count, sequence, parting }: Kind): Promise<string> {
  const smallest = await reduce(sequence, (candidate) => isOfKind(candidate, kind), Number(values.reduce));
  return `\n${count} x ${kind}\n  first at step ${parting.at} of ${JSON.stringify(sequence)}\n  reduced: ${JSON.stringify(smallest)}`;
}

async function walk(): Promise<void> {
  for (let sequence = waiting.pop(); sequence; sequence = waiting.pop()) {
    const parting = await partingOf(sequence);
    steps += sequence.steps.length;
    const done = total - waiting.length;
    if (done % 250 === 0) console.error(`${done} at ${Math.round((Date.now() - begun) / 1000)} s, ${kinds.size} kinds`);
    if (!parting) continue;
    for (const reason of new Set(parting.reasons)) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    if (parting.unexplained.length === 0) continue;
    const kind = kindOf(parting.unexplained);
    const known = kinds.get(kind);
    if (known) known.count += 1;
    else {
      kinds.set(kind, { count: 1, sequence, parting });
    }
  }
}

/** Where the servers part; played anew if it may be that somebody else changed a run in between. */
async function partingOf(sequence: Sequence): Promise<Parting | undefined> {
  for (let tries = 1; ; tries += 1) {
    const plays = await Promise.all([play(sequence, reference), play(sequence, target)]);
    const parting = compare(sequence, ...plays);
    if (!parting) return undefined;
    const wasMeddledWith = plays.some((one: Played) => one.meddled);
    if (!wasMeddledWith || tries === REPEATS) {
      if (wasMeddledWith) meddled += 1;
      return parting;
    }
  }
}

async function isOfKind(sequence: Sequence, kind: string): Promise<boolean> {
  const parting = await partingOf(sequence);
  return parting !== undefined && kindOf(parting.unexplained) === kind;
}
