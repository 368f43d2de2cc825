/**
 * Prints the tables of docs/capacity.md from reports of `npm run bench -- --only stock --bytes --json FILE`:
 * `node bench/capacity.ts FILE…`
 */
import { readFileSync } from "node:fs";
import { billPacking, billStorage } from "./bill.ts";
import { sum } from "./measure.ts";
import type { MillionRuns } from "./report.ts";
import { decimals } from "./report.ts";
import { d1Bytes } from "./storage.ts";
import type { RunStorage } from "./storage.ts";

const LIMIT_BYTES = 10e9;
const RETENTION_DAYS = [7, 30, 90];
/** How long D1 has events and logs: the defaults of docs/settings.md. */
const DAYS_OF_EVENTS = 1;
const DAYS_OF_LOGS = 7;
/** D1 has this many days of a month's bill. */
const MONTH_DAYS = 30;

/** The bytes that one run leaves. */
interface RunBytes {
  /** In D1 as long as the run is kept. */
  kept: number;
  /** In D1 until the events move. */
  events: number;
  /** In D1 until the logs move. */
  logs: number;
  /** In R2. */
  archived: number;
}

function bytesOf({ kind, storage }: MillionRuns): RunBytes {
  const before = storage.find(({ phase }) => phase === "events kept");
  const after = storage.find(({ phase }) => phase === "archived");
  if (!before || !after) throw new Error(`the report has no bytes of "${kind}" in both phases`);
  const logs = bytesIn(before, "log_") - bytesIn(after, "log_");
  const kept = d1Bytes(after);
  return { kept, logs, events: d1Bytes(before) - kept - logs, archived: after.r2Bytes };
}

function bytesIn({ tables }: RunStorage, prefix: string): number {
  const named = tables.filter(({ name }) => name.startsWith(prefix));
  return sum(named.map(({ tableBytes, indexBytes }) => tableBytes + indexBytes));
}

/** How many runs a day fill the database, if each is kept for some days. */
function runsADay({ kept, events, logs }: RunBytes, days: number): number {
  return LIMIT_BYTES / (kept * days + events * DAYS_OF_EVENTS + logs * DAYS_OF_LOGS);
}

/** US dollars for a million runs, with 30 days of storage. */
function dollars(run: MillionRuns, { kept, events, logs, archived }: RunBytes) {
  const days = kept * MONTH_DAYS + events * DAYS_OF_EVENTS + logs * DAYS_OF_LOGS;
  const { d1, r2 } = billStorage({ d1: days / MONTH_DAYS, r2: archived });
  const packing = billPacking(run.storage[0]?.packedJsonBytes ?? 0);
  const work = (run.bill?.total ?? 0) + packing;
  const moves = run.moves ?? 0;
  return { work, moves, d1, r2, total: work + moves + d1 + r2 };
}

const kilobytes = (bytes: number) => decimals(bytes / 1_000, 2);
const rounded = (runs: number, places: number) => Math.floor(runs / 10 ** places) * 10 ** places;
const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
const table = (head: readonly string[], rows: readonly string[][]) =>
  [row(head), row(head.map(() => "---")), ...rows.map(row)].join("\n");

const runs = process.argv.slice(2).flatMap((file) => {
  const { millions } = JSON.parse(readFileSync(file, "utf8")) as { millions: MillionRuns[] };
  return millions;
});
const named = runs.map((run) => ({ run, name: run.kind.replace("stock, ", ""), bytes: bytesOf(run) }));
console.log(
  table(
    ["a run with", "KB of D1, kept with the run", "events, 1 day", "logs, 7 days", "KB of R2"],
    named.map(({ name, bytes }) => [name, ...[bytes.kept, bytes.events, bytes.logs, bytes.archived].map(kilobytes)]),
  ),
);
console.log(
  table(
    ["a run with", ...RETENTION_DAYS.map((days) => `runs a day, kept ${days} days`), "runs in all, never removed"],
    named.map(({ name, bytes }) => [
      name,
      ...RETENTION_DAYS.map((days) => rounded(runsADay(bytes, days), 2).toLocaleString("en")),
      rounded(LIMIT_BYTES / bytes.kept, 4).toLocaleString("en"),
    ]),
  ),
);
console.log(
  table(
    ["a run with", "requests, rows, CPU", "moves", "D1, 30 days", "R2, 30 days", "sum"],
    named.map(({ run, name, bytes }) => {
      const { work, moves, d1, r2, total } = dollars(run, bytes);
      return [name, ...[work, moves, d1, r2, total].map((amount) => `$${decimals(amount, 2)}`)];
    }),
  ),
);
