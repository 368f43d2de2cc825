/** The project's budgets, and whether the measured figures keep them. */
import type { OperationCost } from "./cost.ts";
import type { MillionRuns, Result } from "./report.ts";
import { decimals } from "./report.ts";
import { BYTES_PER_KILOBYTE } from "./storage-report.ts";
import { d1Bytes } from "./storage.ts";
import type { Phase } from "./storage.ts";

export interface Verdict {
  target: string;
  what: string;
  measured: number;
  limit: number;
  /** Whether the limit is an upper or a lower bound of the measured figure. */
  bound: "at most" | "at least";
}

export interface Measurements {
  results: readonly Result[];
  costs: ReadonlyMap<string, ReadonlyMap<string, OperationCost>>;
  millions: readonly MillionRuns[];
  /** The target that the other targets are compared with. */
  lastTarget: string;
}

const BUSIEST_CLIENTS = 64;
const RATE_RATIOS: Record<string, number> = {
  life: 10,
  "create-from-deployment": 10,
  "read-run": 8,
  "count-running": 4,
  "idle-poll": 20,
  lease: 15,
};
const GROWTH_OPERATIONS = ["list", "list-of-deployment", "count", "count-running", "idle-poll"];
const GROWTH_LIMIT = 1.5;
const ROWS_PER_LIFE = 20;
const ROWS_PER_STOCK_RUN = 30;
/** Rows read by a stock run without tasks. */
const ROWS_READ_PER_STOCK_RUN = 300;
const ROWS_PER_STOCK_TASK = 3;
const TASKS_OF_BIG_RUN = 20;
const DOLLARS: Record<string, number> = {
  "stock, 0 tasks": 40,
  [`stock, ${TASKS_OF_BIG_RUN} tasks`]: 85,
};

/** KB of D1 that a run of a kind adds, by phase. */
const D1_KILOBYTES: Record<Phase, Record<string, number>> = {
  "events kept": { "stock, 0 tasks": 8, [`stock, ${TASKS_OF_BIG_RUN} tasks`]: 25 },
  archived: { [`stock, ${TASKS_OF_BIG_RUN} tasks`]: 12 },
};

/** Judges every target except the last. The others are compared with the last target. */
export function judge(measured: Measurements): Verdict[] {
  return [
    ...ratioVerdicts(measured),
    ...growthVerdicts(measured),
    ...costVerdicts(measured),
    ...billVerdicts(measured),
    ...storageVerdicts(measured),
  ];
}

export function verdictLine({ target, what, measured, limit, bound }: Verdict): string {
  const kept = bound === "at most" ? measured <= limit : measured >= limit;
  return `${kept ? "kept  " : "missed"}  ${target}: ${what}: ${decimals(measured, 2)} (${bound} ${limit})`;
}

function ratioVerdicts({ results, lastTarget }: Measurements): Verdict[] {
  const verdicts: Verdict[] = [];
  for (const result of results) {
    if (result.target === lastTarget) continue;
    const { target, operation, clients, seed } = result;
    if (clients === BUSIEST_CLIENTS && operation === "life") {
      verdicts.push({
        target,
        what: `failures of life at ${clients} clients`,
        measured: result.failures,
        limit: 0,
        bound: "at most",
      });
    }
    const limit = RATE_RATIOS[operation];
    const reference = results.find(
      (other) =>
        other.target === lastTarget &&
        other.operation === operation &&
        other.clients === clients &&
        other.seed === seed,
    );
    if (limit === undefined || reference === undefined) continue;
    const what = `rate of ${operation} at ${clients} clients, × ${lastTarget}`;
    verdicts.push({
      target,
      what,
      measured: result.rate / reference.rate,
      limit,
      bound: "at least",
    });
  }
  return verdicts;
}

function growthVerdicts({ results, lastTarget }: Measurements): Verdict[] {
  const verdicts: Verdict[] = [];
  for (const large of results) {
    if (large.target === lastTarget || !GROWTH_OPERATIONS.includes(large.operation)) continue;
    const small = results.find(
      (other) =>
        other.target === large.target &&
        other.operation === large.operation &&
        other.clients === large.clients &&
        other.seed < large.seed,
    );
    if (small === undefined) continue;
    const what = `p50 of ${large.operation} at ${large.clients} clients, ${large.seed} runs ÷ ${small.seed} runs`;
    verdicts.push({
      target: large.target,
      what,
      measured: large.p50Ms / small.p50Ms,
      limit: GROWTH_LIMIT,
      bound: "at most",
    });
  }
  return verdicts;
}

function costVerdicts({ costs }: Measurements): Verdict[] {
  const verdicts: Verdict[] = [];
  for (const [target, ofTarget] of costs) {
    const life = ofTarget.get("life")?.whole;
    if (life !== undefined) {
      verdicts.push({
        target,
        what: "rows written by a life",
        measured: life.d1RowsWritten,
        limit: ROWS_PER_LIFE,
        bound: "at most",
      });
    }
    const poll = ofTarget.get("idle-poll")?.reply;
    if (poll !== undefined) {
      verdicts.push({
        target,
        what: "D1 queries of an idle poll",
        measured: poll.d1Queries,
        limit: 0,
        bound: "at most",
      });
    }
  }
  return verdicts;
}

function billVerdicts({ millions }: Measurements): Verdict[] {
  const verdicts: Verdict[] = [];
  for (const { target, kind, cost, bill } of millions) {
    const limit = DOLLARS[kind];
    if (limit === undefined || bill === undefined || cost === undefined) continue;
    verdicts.push({
      target,
      what: `$ for a million runs (${kind})`,
      measured: bill.total,
      limit,
      bound: "at most",
    });
    const bare = millions.find((other) => other.target === target && other.kind === "stock, 0 tasks")?.cost;
    if (bare === undefined) continue;
    const isBare = bare === cost;
    const measured = isBare ? cost.d1RowsWritten : (cost.d1RowsWritten - bare.d1RowsWritten) / TASKS_OF_BIG_RUN;
    const what = isBare ? "rows written by a stock run" : "rows written by each task of a stock run";
    verdicts.push({
      target,
      what,
      measured,
      limit: isBare ? ROWS_PER_STOCK_RUN : ROWS_PER_STOCK_TASK,
      bound: "at most",
    });
    if (isBare) {
      verdicts.push({
        target,
        what: "rows read by a stock run",
        measured: cost.d1RowsRead,
        limit: ROWS_READ_PER_STOCK_RUN,
        bound: "at most",
      });
    }
  }
  return verdicts;
}

function storageVerdicts({ millions }: Measurements): Verdict[] {
  const verdicts: Verdict[] = [];
  for (const { target, kind, storage } of millions) {
    for (const each of storage) {
      const limit = D1_KILOBYTES[each.phase][kind];
      if (limit === undefined) continue;
      verdicts.push({
        target,
        what: `KB of D1 for a run (${kind}, ${each.phase})`,
        measured: d1Bytes(each) / BYTES_PER_KILOBYTE,
        limit,
        bound: "at most",
      });
    }
  }
  return verdicts;
}
