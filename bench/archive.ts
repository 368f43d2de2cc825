/** Moves what a local Sluice has stored to its archive, as if it were days later, and counts what the moves cost. */
import { billAMillion } from "./bill.ts";
import { perOperation, readTotals, settledTotals } from "./cost.ts";
import type { Cost } from "./cost.ts";
import { openHttpClient } from "./http-client.ts";
import { decimals } from "./report.ts";
import type { Target } from "./target.ts";

/** The jobs of the crons that move data. The first one proves that the events of all states have been sent. */
const JOBS = ["sweep the outbox", "archive events", "archive logs"];
const DAY_SECONDS = 86_400;
const MAX_TURNS = 200;
/**
 * The clock of the next turn, in days from now: later than each setting of docs/settings.md that says when data moves.
 * Each turn is a day later than the turn before, in all moves, because the mark of a job keeps the job's last time.
 */
let daysAhead = 10;

/** Runs the jobs until they write no more objects. Returns their cost; undefined if the server has no archive. */
export async function moveToArchive(target: Target): Promise<Cost | undefined> {
  const origin = new URL(target.apiUrl).origin;
  const client = openHttpClient({ ...target, apiUrl: origin }, { connections: 1 });
  try {
    const before = await settledTotals(target);
    if (before === undefined) return undefined;
    for (let turns = 0, written = -1; turns < MAX_TURNS; turns += 1) {
      daysAhead += 1;
      for (const job of JOBS) {
        const path = `/local/jobs/${encodeURIComponent(job)}?ahead=${daysAhead * DAY_SECONDS}`;
        const { status } = await client.send("POST", path);
        if (status === 404) return undefined;
        if (status !== 200) throw new Error(`the job "${job}" failed (${status})`);
      }
      const now = (await readTotals(target))?.r2ClassA ?? 0;
      if (now === written) break;
      written = now;
    }
    const after = await settledTotals(target);
    return after && perOperation(before, after, 1);
  } finally {
    client.close();
  }
}

/** US dollars for the moves of a million runs. `moved` is the cost of the moves of `runs` runs. */
export function billMoves(moved: Cost, runs: number): number {
  return billAMillion({ httpRequests: 0, socketOpens: 0, socketMessages: 0 }, moved).total / runs;
}

/** What the moves cost for a run. */
export function moveLine(moved: Cost, runs: number): string {
  const perRun = (figure: number) => decimals(figure / runs, 3);
  const { d1RowsRead, d1RowsWritten, r2ClassA, r2ClassB } = moved;
  return (
    `the moves, for a run: ${perRun(d1RowsRead)} rows read, ${perRun(d1RowsWritten)} written, ` +
    `${perRun(r2ClassA)} and ${perRun(r2ClassB)} operations of R2 (class A, B): $${decimals(billMoves(moved, runs), 2)} a million`
  );
}
