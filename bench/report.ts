/** Prints results as plain-text tables. */
import type { Bill, Traffic } from "./bill.ts";
import type { Cost, OperationCost } from "./cost.ts";
import type { Summary } from "./measure.ts";
import type { RunStorage } from "./storage.ts";

/** One operation with one load on one target. */
export interface Result extends Summary {
  target: string;
  operation: string;
  clients: number;
  /** The seed size that was asked for. */
  seed: number;
  /** How many runs the bench's flow had when the measurement began. */
  runs: number;
}

/** The cost of a million runs of one kind on one target. */
export interface MillionRuns {
  target: string;
  kind: string;
  /** The traffic of one run. The figures of `cost` are also per run. */
  traffic: Traffic;
  cost: Cost | undefined;
  bill: Bill | undefined;
  /** The bytes of one run in each measured phase; empty without `--bytes`. */
  storage: RunStorage[];
  /** US dollars for moving the data of a million runs to the archive; undefined if nothing was moved. */
  moves: number | undefined;
  runs: number;
  failures: number;
  firstFailure: string | undefined;
}

export function rateTable(results: readonly Result[], lastTarget: string): string {
  const rows = results.map((result) => {
    const reference = results.find((other) => other.target === lastTarget && sameLoad(other, result));
    return [
      result.operation,
      String(result.clients),
      result.target,
      decimals(result.rate, 1),
      decimals(result.p50Ms, 1),
      decimals(result.p99Ms, 1),
      String(result.failures),
      reference === undefined ? "–" : `${decimals(result.rate / reference.rate, 2)} ×`,
    ];
  });
  return table(["operation", "clients", "target", "rate/s", "p50 ms", "p99 ms", "failures", `to ${lastTarget}`], rows);
}

/** How an operation's p50 grows from the smallest to the largest seed; empty if there is only one size. */
export function growthTable(results: readonly Result[]): string {
  const rows: string[][] = [];
  for (const large of results) {
    const small = smallestOf(results, large);
    if (small === large || small === undefined) continue;
    if (results.some((other) => sameButSeed(other, large) && other.seed > large.seed)) continue;
    rows.push([
      large.operation,
      String(large.clients),
      large.target,
      decimals(small.p50Ms, 1),
      decimals(large.p50Ms, 1),
      `${decimals(large.p50Ms / small.p50Ms, 2)} ×`,
    ]);
  }
  if (rows.length === 0) return "";
  return table(["operation", "clients", "target", "p50 small", "p50 large", "growth"], rows);
}

/** The first failure of each operation that failed. */
export function failureLines(results: readonly Result[]): string {
  return results
    .filter((result) => result.failures > 0)
    .map(
      (result) =>
        `${result.target} ${result.operation} at ${result.clients}: ${result.failures} × ${result.firstFailure ?? ""}`,
    )
    .join("\n");
}

export function costTable(costs: ReadonlyMap<string, OperationCost>): string {
  const rows = [...costs].map(([operation, { reply, whole }]) => [
    operation,
    // Objects' rows and queue messages belong to the work after the reply, so the header does not count them.
    ...costCells(reply).slice(0, 5),
    ...costCells(whole),
  ]);
  const untilReply = ["queries", "trips", "read", "written", "objects"];
  const inAll = ["all queries", "trips", "read", "written", "objects", "object rows", "messages"];
  return table(["operation", ...untilReply, ...inAll], rows);
}

export function millionTable(lines: readonly MillionRuns[]): string {
  const rows = lines.map(({ target, kind, traffic, cost, bill }) => [
    target,
    kind,
    decimals(traffic.httpRequests, 1),
    decimals(traffic.socketOpens, 1),
    decimals(traffic.socketMessages, 1),
    cell(cost?.d1RowsRead),
    cell(cost?.d1RowsWritten),
    cell(cost?.objectCalls),
    cell(cost?.objectRowsWritten),
    cell(cost?.queueMessages),
    ...billCells(bill),
  ]);
  const perRun = ["HTTP", "sockets", "frames", "read", "written", "objects", "object rows", "messages"];
  const dollars = ["$ requests", "$ CPU", "$ reads", "$ writes", "$ objects", "$ queues", "$ R2", "$ total"];
  return table(["target", "run", ...perRun, ...dollars], rows);
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((text, column) => pad(text, widths[column] ?? 0, isNumber(text) || isNumber(rows[0]?.[column] ?? "")))
      .join("  ")
      .trimEnd();
  return [line(head), widths.map((width) => "-".repeat(width)).join("  "), ...rows.map(line)].join("\n");
}

export function decimals(number: number, places: number): string {
  return Number.isFinite(number) ? number.toFixed(places) : "n/a";
}

function costCells(cost: Cost | undefined): string[] {
  return [
    cell(cost?.d1Queries),
    cell(cost?.d1RoundTrips),
    cell(cost?.d1RowsRead),
    cell(cost?.d1RowsWritten),
    cell(cost?.objectCalls),
    cell(cost?.objectRowsWritten),
    cell(cost?.queueMessages),
  ];
}

function billCells(bill: Bill | undefined): string[] {
  if (bill === undefined) return Array.from({ length: 8 }, () => "n/a");
  const { requests, cpu, d1Reads, d1Writes, objects, queues, r2, total } = bill;
  return [requests, cpu, d1Reads, d1Writes, objects, queues, r2, total].map((dollars) => decimals(dollars, 2));
}

function cell(number: number | undefined): string {
  return number === undefined ? "n/a" : decimals(number, 2).replace(/\.?0+$/, "");
}

function sameLoad(one: Result, other: Result): boolean {
  return one.seed === other.seed && one.clients === other.clients && one.operation === other.operation;
}

function sameButSeed(one: Result, other: Result): boolean {
  return one.target === other.target && one.clients === other.clients && one.operation === other.operation;
}

function smallestOf(results: readonly Result[], like: Result): Result | undefined {
  return results.filter((other) => sameButSeed(other, like)).sort((a, b) => a.seed - b.seed)[0];
}

function isNumber(text: string): boolean {
  return /^[\d.]+( ×)?$|^n\/a$|^–$/.test(text);
}

function pad(text: string, width: number, right: boolean): string {
  return right ? text.padStart(width) : text.padEnd(width);
}
