/** The measurements of replayed stock runs: their cost, and with `--bytes` what they leave in D1 and R2. */
import { billMoves, moveLine, moveToArchive } from "./archive.ts";
import { billAMillion } from "./bill.ts";
import { perOperation, readTotals, settledTotals } from "./cost.ts";
import { quantile } from "./measure.ts";
import { decimals } from "./report.ts";
import type { MillionRuns } from "./report.ts";
import { replayStockRuns } from "./stock-run.ts";
import type { StockLoad, StockResult } from "./stock-run.ts";
import { storageTable } from "./storage-report.ts";
import { countFlowRuns, startStorageMeter } from "./storage.ts";
import type { StorageMeter } from "./storage.ts";
import type { Target } from "./target.ts";

export interface StockPlan extends Omit<StockLoad, "tasksPerRun"> {
  /** The numbers of tasks, one replay for each. */
  tasks: number[];
  /** Whether the replay also runs on targets that do not report their cost. */
  always: boolean;
  /** The data folder in which bytes are counted; undefined if they are not counted. */
  data: string | undefined;
}

/** The runs that are replayed before the bytes are counted, so that every table has its first pages. */
const WARM_UP_RUNS = 40;

export async function measureStockLoads(targets: readonly Target[], plan: StockPlan): Promise<MillionRuns[]> {
  const lines: MillionRuns[] = [];
  for (const target of targets) {
    for (const tasksPerRun of plan.tasks) {
      const line = await measureStockLoad(target, { ...plan, tasksPerRun });
      if (line !== undefined) lines.push(line);
    }
  }
  return lines;
}

/** Replays stock runs; undefined if the target reports no cost and the plan does not want the replay nevertheless. */
async function measureStockLoad(target: Target, plan: StockPlan & StockLoad): Promise<MillionRuns | undefined> {
  if (!plan.always && (await readTotals(target)) === undefined) return undefined;
  const kind = `stock, ${plan.tasksPerRun} tasks`;
  const meter = plan.data === undefined ? undefined : await startWarm(target, plan, plan.data);
  const before = await settledTotals(target);
  const result = await replayStockRuns(target, plan);
  const after = await settledTotals(target);
  const { traffic, runs, failures, firstFailure } = result;
  console.error(replayLine(target, plan.tasksPerRun, result));
  const cost = before === undefined || after === undefined ? undefined : perOperation(before, after, runs);
  const bill = cost === undefined ? undefined : billAMillion(traffic, cost);
  const storage = meter === undefined ? [] : [await meter.measure("events kept", runs)];
  const moved = meter === undefined ? undefined : await moveToArchive(target);
  if (meter !== undefined && moved !== undefined) {
    storage.push(await meter.measure("archived", runs));
    console.log(`${target.name}, ${kind}: ${moveLine(moved, runs)}`);
  }
  for (const each of storage) {
    console.log(`\n${target.name}, ${kind}: KB of D1 for a run, ${each.phase} (${runs} runs)\n${storageTable(each)}`);
  }
  const moves = moved && billMoves(moved, runs);
  return { target: target.name, kind, traffic, cost, bill, storage, moves, runs, failures, firstFailure };
}

/** Replays some runs and begins to count bytes. Throws if the runs are not in the folder. */
async function startWarm(target: Target, load: StockLoad, data: string): Promise<StorageMeter> {
  const before = countFlowRuns(data);
  await replayStockRuns(target, { ...load, seconds: WARM_UP_RUNS / load.runsPerSecond });
  await moveToArchive(target);
  const meter = await startStorageMeter(data);
  if (countFlowRuns(data) === before)
    throw new Error(`--data ${data}: the runs of ${target.name} are not in this folder`);
  return meter;
}

function replayLine(target: Target, tasksPerRun: number, { runs, failures, latenciesMs }: StockResult): string {
  const times = `p50 ${decimals(quantile(latenciesMs, 0.5), 0)} ms, p99 ${decimals(quantile(latenciesMs, 0.99), 0)} ms`;
  return `${target.name}: replayed ${runs} stock runs with ${tasksPerRun} tasks, ${failures} failures, ${times}`;
}
