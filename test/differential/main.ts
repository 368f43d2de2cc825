/**
 * A random walk over states, on two servers side by side:
 * `node test/differential/main.ts --reference URL --target URL [--sequences N] [--seed N] [--lanes N] [--no-limits]`.
 * Prints each kind of difference without an explanation, with the smallest sequence that shows the difference.
 */
import { parseArgs } from "node:util";
import { compare, kindOf, type Comparison } from "./compare.ts";
import { sequences } from "./generate.ts";
import { play, type Server } from "./play.ts";
import { reduce } from "./reduce.ts";
import type { Sequence } from "./sequence.ts";

/** How often a sequence is played until a difference occurs a second time. */
const TRIES = 4;

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
const reference: Server = { baseUrl: values.reference, fetch: fetchOrSay };
const target: Server = { baseUrl: values.target, fetch: fetchOrSay };

/** A request without an answer ends the walk, and the message names the request. */
function fetchOrSay(url: string, init: RequestInit): Promise<Response> {
  return fetch(url, init).catch((error: unknown) => {
    throw new Error(`${init.method} ${url} ${JSON.stringify(init.body)}`, { cause: error });
  });
}

interface Kind {
  count: number;
  sequence: Sequence;
  at: number;
}

const kinds = new Map<string, Kind>();
const reasons = new Map<string, number>();
const waiting = sequences(Number(values.sequences), Number(values.seed), { limits: values.limits });
const total = waiting.length;
let fleeting = 0;
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
  `\n${total} sequences, ${steps} steps, ${seconds} s: ${differing} differ in ${kinds.size} kinds, ${fleeting} differed in passing`,
);
process.exitCode = differing === 0 ? 0 : 1;

async function report(kind: string, { count, sequence, at }: Kind): Promise<string> {
  const smallest = await reduce(sequence, (candidate) => isOfKind(candidate, kind), Number(values.reduce));
  return `\n${count} x ${kind}\n  first at step ${at} of ${JSON.stringify(sequence)}\n  reduced: ${JSON.stringify(smallest)}`;
}

async function walk(): Promise<void> {
  for (let sequence = waiting.pop(); sequence; sequence = waiting.pop()) {
    const comparison = await compareOn(sequence);
    steps += sequence.steps.length;
    const done = total - waiting.length;
    if (done % 100 === 0) console.error(`${done} at ${Math.round((Date.now() - begun) / 1000)} s, ${kinds.size} kinds`);
    if (!comparison) continue;
    for (const reason of new Set(comparison.reasons)) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    if (comparison.unexplained.length === 0) continue;
    const kind = kindOf(comparison.unexplained);
    const known = kinds.get(kind);
    if (known) known.count += 1;
    else {
      kinds.set(kind, { count: 1, sequence, at: comparison.at });
      console.error(`new: ${kind}\n  ${JSON.stringify(sequence)}`);
    }
  }
}

/**
 * The difference between the servers. A difference that does not occur again came from a server's services and does not
 * count.
 */
async function compareOn(sequence: Sequence): Promise<Comparison | undefined> {
  let before: string | undefined;
  for (let tries = 1; tries <= TRIES; tries += 1) {
    const plays = await Promise.all([play(sequence, reference), play(sequence, target)]).catch(noPlay);
    if (!plays) continue;
    const comparison = compare(sequence, ...plays);
    if (comparison.unexplained.length === 0) return comparison;
    const kind = kindOf(comparison.unexplained);
    if (kind === before) return comparison;
    before = kind;
  }
  fleeting += 1;
  return undefined;
}

/** Whether the server closed an idle connection. */
function noPlay(error: unknown): undefined {
  console.error(error);
}

async function isOfKind(sequence: Sequence, kind: string): Promise<boolean> {
  const comparison = await compareOn(sequence);
  return comparison !== undefined && kindOf(comparison.unexplained) === kind;
}
