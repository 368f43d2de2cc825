/** `npm run bench`: reads the arguments and runs the measurements that they ask for. */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";

import { billAMillion } from "./bill.ts";
import { judge, verdictLine } from "./budgets.ts";
import { measureCost, tellsCost } from "./cost.ts";
import type { OperationCost } from "./cost.ts";
import { measureDueToPending } from "./due-to-pending.ts";
import { measureEventsIn } from "./events-in.ts";
import { quantile } from "./measure.ts";
import { OPERATIONS } from "./operations.ts";
import type { Operation } from "./operations.ts";
import { measurePolls } from "./polls.ts";
import { profileWhile } from "./profile.ts";
import { costTable, decimals, failureLines, growthTable, millionTable, rateTable, table } from "./report.ts";
import type { MillionRuns, Result } from "./report.ts";
import { measureInterleaved } from "./rounds.ts";
import { SeedPlan, topUp } from "./seed.ts";
import { measureStockLoads } from "./stock.ts";
import { storageBillTable } from "./storage-report.ts";
import { parseTarget } from "./target.ts";
import type { Target } from "./target.ts";
import { fetchRunIds, prepareWorld } from "./world.ts";
import type { World } from "./world.ts";

const USAGE = `npm run bench -- --target NAME=URL [--target NAME=URL …]
  --clients 1,16,64     how many clients ask at once
  --seconds 3           per operation, number of clients and target, over all rounds
  --rounds 3            rounds the seconds are divided into; targets take turns
  --seed 1000,100000    runs to top up to first; NAME=1000,100000 for one target
  --only life,list      these operations only; "stock" is the replay of a stock client
  --key KEY             sent as a bearer token
  --json FILE           writes the results there too
  --tasks 0,20          tasks of a replayed run
  --task-ms 5           how long each of them runs
  --runs-per-second 20  rate of the replay
  --stock-seconds 5     duration of the replay
  --bytes               counts the bytes of a replayed run in D1 and R2, from the data folder of the one target, a
                        local Sluice; --data .sluice, --bytes-runs 400 (instead of --stock-seconds)
  --stock-always        replays also where the server does not tell its cost
  --polls 500           instead of the above: so many idle polls a second, over --pools 10
  --events 20000        instead of the above: so many events, over --sockets 1,4; --rounds of them
  --profile PORT        profiles what is measured on the one target, started with "npm start -- --inspect PORT"
  --due-to-pending      instead of the above: needs a worker on --pool NAME; --runs 30`;

/** The name of the stock client's replay for `--only`. */
const STOCK = "stock";

/** A file for Chrome's developer tools or https://www.speedscope.app. */
const PROFILE_FILE = "bench.cpuprofile";

const { values: options } = parseArgs({
  options: {
    target: { type: "string", multiple: true, default: [] },
    clients: { type: "string", default: "1,16,64" },
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
    seed: { type: "string", multiple: true, default: [] },
    only: { type: "string" },
    key: { type: "string" },
    json: { type: "string" },
    tasks: { type: "string", default: "0,20" },
    "task-ms": { type: "string", default: "5" },
    "runs-per-second": { type: "string", default: "20" },
    "stock-seconds": { type: "string", default: "5" },
    bytes: { type: "boolean", default: false },
    "bytes-runs": { type: "string", default: "400" },
    data: { type: "string", default: ".sluice" },
    "stock-always": { type: "boolean", default: false },
    polls: { type: "string" },
    pools: { type: "string", default: "10" },
    events: { type: "string" },
    sockets: { type: "string", default: "1,4" },
    profile: { type: "string" },
    "due-to-pending": { type: "boolean", default: false },
    pool: { type: "string" },
    runs: { type: "string", default: "30" },
    help: { type: "boolean", default: false },
  },
});

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const targets = options.target.map((text) => parseTarget(text, options.key));
  if (options.help || targets.length === 0) {
    console.log(USAGE);
    return;
  }
  if (new Set(targets.map((target) => target.name)).size < targets.length) throw new Error("two targets have one name");
  if (options.bytes && targets.length > 1) throw new Error("--bytes is of one target");
  if (options.profile === undefined) return await measure(targets);
  if (targets.length > 1) throw new Error("a profile is of one target");
  const port = positive("--profile", options.profile);
  console.log(await profileWhile(port, PROFILE_FILE, () => measure(targets)));
  console.log(`Written to ${PROFILE_FILE}`);
}

async function measure(targets: readonly Target[]): Promise<void> {
  if (options["due-to-pending"]) return await runDueToPending(targets);
  if (options.polls !== undefined) return await runPolls(targets, positive("--polls", options.polls));
  if (options.events !== undefined) return await runEvents(targets, positive("--events", options.events));
  await runOperations(targets);
}

async function runOperations(targets: readonly Target[]): Promise<void> {
  const operations = chosenOperations();
  const worlds = operations.length === 0 ? [] : await Promise.all(targets.map(prepareWorld));
  const lastTarget = targets.at(-1)?.name ?? "";

  const results = await measureAllSeeds(worlds, operations);
  const costs = await measureCosts(worlds, operations);
  const millions = [...lifeBills(costs), ...(await measureStock(targets))];
  if (millions.length > 0) {
    console.log(
      `\nA million runs at list prices (figures per run, then US dollars per million runs)\n${millionTable(millions)}`,
    );
    const stored = storageBillTable(millions);
    if (stored !== "") console.log(`\nStorage of a million runs for 30 days, beside the bill\n${stored}`);
    for (const { target, kind, runs, failures, firstFailure } of millions) {
      if (failures > 0)
        console.log(`${target} ${kind}: ${failures} failures in ${runs} runs, the first: ${firstFailure ?? ""}`);
    }
  }
  const verdicts = judge({ results, costs, millions, lastTarget });
  if (verdicts.length > 0) console.log(`\nBudgets\n${verdicts.map(verdictLine).join("\n")}`);
  saveJson({ targets, results, costs: plain(costs), millions, verdicts });
}

async function measureAllSeeds(worlds: readonly World[], operations: readonly Operation[]): Promise<Result[]> {
  if (operations.length === 0) return [];
  const plan = new SeedPlan(options.seed);
  const sizes = [...new Set(worlds.flatMap((world) => plan.sizesFor(world.target.name)))].sort((a, b) => a - b);
  const lastTarget = worlds.at(-1)?.target.name ?? "";
  const results: Result[] = [];
  for (const seed of sizes) {
    const present = worlds.filter((world) => plan.sizesFor(world.target.name).includes(seed));
    results.push(...(await measureSeed(present, { seed, operations, lastTarget })));
  }
  const growth = growthTable(results);
  if (growth !== "") console.log(`\nFrom the smallest to the largest seed\n${growth}`);
  return results;
}

interface SeedStage {
  seed: number;
  operations: readonly Operation[];
  /** The target that the other targets are compared with, even if it has fewer runs. */
  lastTarget: string;
}

async function measureSeed(worlds: readonly World[], stage: SeedStage): Promise<Result[]> {
  const { seed, operations, lastTarget } = stage;
  const runs = new Map<World, number>();
  for (const world of worlds) {
    runs.set(world, await topUp(world, seed, (line) => console.error(line)));
    world.runIds = await fetchRunIds(world);
  }
  const counts = [...runs].map(([world, count]) => `${world.target.name} has ${count}`).join(", ");
  console.log(`\nSeeded with ${seed} runs (${counts})`);

  const rounds = positive("--rounds", options.rounds);
  const seconds = positive("--seconds", options.seconds) / rounds;
  const results: Result[] = [];
  for (const operation of operations) {
    for (const clients of numbers("--clients", options.clients)) {
      const summaries = await measureInterleaved(operation, worlds, { clients, rounds, seconds });
      for (const [world, summary] of summaries) {
        const load = { operation: operation.name, clients, seed, runs: runs.get(world) ?? 0 };
        results.push({ target: world.target.name, ...load, ...summary });
      }
    }
    console.error(`measured ${operation.name}`);
  }
  console.log(rateTable(results, lastTarget));
  const failed = failureLines(results);
  if (failed !== "") console.log(`\nFirst failures\n${failed}`);
  return results;
}

/** The cost of each operation, on the targets that report costs. */
async function measureCosts(
  worlds: readonly World[],
  operations: readonly Operation[],
): Promise<Map<string, Map<string, OperationCost>>> {
  const costs = new Map<string, Map<string, OperationCost>>();
  for (const world of worlds) {
    if (!(await tellsCost(world.target))) {
      console.log(`\nCost of an operation on ${world.target.name}: n/a`);
      continue;
    }
    const ofTarget = new Map<string, OperationCost>();
    for (const operation of operations) {
      try {
        ofTarget.set(operation.name, await measureCost(operation, world));
      } catch (error) {
        console.log(`${world.target.name} ${operation.name}: its cost is not known: ${String(error)}`);
      }
    }
    costs.set(world.target.name, ofTarget);
    console.log(
      `\nCost of an operation on ${world.target.name}: until the reply, then with the work after it\n${costTable(ofTarget)}`,
    );
  }
  return costs;
}

function lifeBills(costs: ReadonlyMap<string, ReadonlyMap<string, OperationCost>>): MillionRuns[] {
  const requests = OPERATIONS.find((operation) => operation.name === "life")?.requests ?? 0;
  const traffic = { httpRequests: requests, socketOpens: 0, socketMessages: 0 };
  const lines: MillionRuns[] = [];
  for (const [target, ofTarget] of costs) {
    const cost = ofTarget.get("life")?.whole;
    if (cost === undefined) continue;
    const counted = { runs: 0, failures: 0, firstFailure: undefined };
    lines.push({
      target,
      kind: "life",
      traffic,
      cost,
      bill: billAMillion(traffic, cost),
      storage: [],
      moves: undefined,
      ...counted,
    });
  }
  return lines;
}

async function measureStock(targets: readonly Target[]): Promise<MillionRuns[]> {
  if (options.only !== undefined && !names(options.only).includes(STOCK)) return [];
  const runsPerSecond = positive("--runs-per-second", options["runs-per-second"]);
  const bytesRuns = positive("--bytes-runs", options["bytes-runs"]);
  return await measureStockLoads(targets, {
    tasks: numbers("--tasks", options.tasks),
    taskMs: positive("--task-ms", options["task-ms"]),
    runsPerSecond,
    seconds: options.bytes ? bytesRuns / runsPerSecond : positive("--stock-seconds", options["stock-seconds"]),
    always: options["stock-always"],
    data: options.bytes ? options.data : undefined,
  });
}

async function runPolls(targets: readonly Target[], pollsPerSecond: number): Promise<void> {
  const pools = positive("--pools", options.pools);
  const seconds = positive("--seconds", options.seconds);
  const rows: string[][] = [];
  const results: unknown[] = [];
  for (const target of targets) {
    const summary = await measurePolls(target, { pollsPerSecond, seconds, pools });
    const { rate, p50Ms, p99Ms, failures, firstFailure } = summary;
    rows.push([target.name, decimals(rate, 1), decimals(p50Ms, 1), decimals(p99Ms, 1), String(failures)]);
    results.push({ target: target.name, pollsPerSecond, seconds, pools, ...summary });
    if (firstFailure !== undefined) console.log(`${target.name}: the first failure: ${firstFailure}`);
  }
  console.log(
    `${pollsPerSecond} idle polls a second for ${seconds} s over ${pools} pools (budget: p99 at most 100 ms)`,
  );
  console.log(table(["target", "polls/s", "p50 ms", "p99 ms", "failures"], rows));
  saveJson({ targets, polls: results });
}

async function runEvents(targets: readonly Target[], events: number): Promise<void> {
  const rows: string[][] = [];
  const results: unknown[] = [];
  for (const sockets of numbers("--sockets", options.sockets)) {
    for (let round = 1; round <= positive("--rounds", options.rounds); round += 1) {
      for (const target of targets) {
        const { sentSeconds, readableSeconds } = await measureEventsIn(target, { events, sockets });
        const rates = [events / sentSeconds, events / readableSeconds];
        rows.push([target.name, String(sockets), String(round), ...rates.map((rate) => decimals(rate, 0))]);
        results.push({ target: target.name, events, sockets, sentSeconds, readableSeconds });
      }
    }
  }
  console.log(`${events} events over /events/in (budget: at least 5,000 readable a second)`);
  console.log(table(["target", "sockets", "round", "read/s", "readable/s"], rows));
  saveJson({ targets, eventsIn: results });
}

async function runDueToPending(targets: readonly Target[]): Promise<void> {
  const pool = options.pool;
  if (pool === undefined) throw new Error("--due-to-pending wants --pool NAME, with a worker that serves it");
  const rows: string[][] = [];
  const results: unknown[] = [];
  for (const target of targets) {
    const result = await measureDueToPending(target, {
      pool,
      runs: positive("--runs", options.runs),
    });
    const { delaysMs, unclaimed, failures, firstFailure } = result;
    const [p50, p99] = [quantile(delaysMs, 0.5) / 1000, quantile(delaysMs, 0.99) / 1000];
    const early = delaysMs.filter((delayMs) => delayMs < 0).length;
    rows.push([
      target.name,
      String(delaysMs.length),
      decimals(p50, 3),
      decimals(p99, 3),
      String(early),
      String(unclaimed),
      String(failures),
    ]);
    results.push({ target: target.name, ...result });
    if (firstFailure !== undefined) console.log(`${target.name}: the first failure: ${firstFailure}`);
  }
  console.log("From due to Pending (budget: p50 at most 0.55 s)");
  console.log(table(["target", "runs", "p50 s", "p99 s", "early", "unclaimed", "failures"], rows));
  saveJson({ targets, dueToPending: results });
}

function chosenOperations(): Operation[] {
  if (options.only === undefined) return [...OPERATIONS];
  const wanted = names(options.only);
  const known = [...OPERATIONS.map((operation) => operation.name), STOCK];
  const unknown = wanted.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`--only ${unknown.join(",")}: known are ${known.join(", ")}`);
  return OPERATIONS.filter((operation) => wanted.includes(operation.name));
}

function names(list: string): string[] {
  return list.split(",").map((name) => name.trim());
}

function numbers(option: string, list: string): number[] {
  const parsed = list.split(",").map(Number);
  if (parsed.some((number) => !Number.isInteger(number) || number < 0))
    throw new Error(`${option} ${list}: not whole numbers`);
  return parsed;
}

function positive(option: string, text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new Error(`${option} ${text}: not a positive number`);
  return number;
}

/** Writes the results to the file of `--json`, without the API key. */
function saveJson(results: { targets: readonly Target[] } & Record<string, unknown>): void {
  if (options.json === undefined) return;
  const targets = results.targets.map(({ name, apiUrl }) => ({ name, apiUrl }));
  const machine = { node: process.version, cores: cpus().length, model: cpus()[0]?.model };
  const document = { ...results, finished: new Date().toISOString(), machine, targets };
  writeFileSync(options.json, `${JSON.stringify(document, null, 2)}\n`);
}

function plain(costs: ReadonlyMap<string, ReadonlyMap<string, OperationCost>>): Record<string, unknown> {
  return Object.fromEntries([...costs].map(([target, ofTarget]) => [target, Object.fromEntries(ofTarget)]));
}
