/** Prints the stored bytes of a run, and their price. */
import { billPacking, billStorage } from "./bill.ts";
import { sum } from "./measure.ts";
import type { MillionRuns } from "./report.ts";
import { decimals, table } from "./report.ts";
import { d1Bytes } from "./storage.ts";
import type { RunStorage, TableStorage } from "./storage.ts";

/** In this bench a KB is 1,000 bytes, as a GB of the price list is 10^9 bytes. */
export const BYTES_PER_KILOBYTE = 1_000;
const HEAD = ["table", "KB", "of table", "of indexes", "rows", "bytes of a row", "overflow pages", "unused"];

/** A run's bytes by table, the largest first. Tables to which the runs added nothing are left out. */
export function storageTable(storage: RunStorage): string {
  const grown = storage.tables.filter((each) => bytesOf(each) !== 0 || each.rows !== 0);
  const sorted = grown.toSorted((one, other) => bytesOf(other) - bytesOf(one));
  return [
    table(HEAD, [...sorted, sumOf(storage.tables)].map(tableCells)),
    `R2: ${kilobytes(storage.r2Bytes)} KB`,
    `free pages of D1, in no table: ${kilobytes(storage.freeBytes)} KB`,
  ].join("\n");
}

/** The price of storing a million runs for a month, beside the bill; empty if no bytes were counted. */
export function storageBillTable(lines: readonly MillionRuns[]): string {
  const rows = lines.flatMap(({ target, kind, bill, storage }) => {
    // Events are packed once, before any phase.
    const packing = billPacking(storage[0]?.packedJsonBytes ?? 0);
    return storage.map((each) => {
      const { d1, r2 } = billStorage({ d1: d1Bytes(each), r2: each.r2Bytes });
      return [
        target,
        kind,
        each.phase,
        kilobytes(d1Bytes(each)),
        kilobytes(each.r2Bytes),
        decimals(d1, 2),
        decimals(r2, 2),
        decimals(packing, 2),
        bill === undefined ? "n/a" : decimals(bill.total + d1 + r2 + packing, 2),
      ];
    });
  });
  if (rows.length === 0) return "";
  return table(["target", "run", "phase", "KB of D1", "KB of R2", "$ D1", "$ R2", "$ packing", "$ with storage"], rows);
}

function tableCells(each: TableStorage): string[] {
  return [
    each.name,
    kilobytes(bytesOf(each)),
    kilobytes(each.tableBytes),
    kilobytes(each.indexBytes),
    decimals(each.rows, 2),
    each.rows > 0 ? decimals(each.rowBytes / each.rows, 0) : "–",
    decimals(each.overflowPages, 2),
    share(each.unusedBytes, bytesOf(each)),
  ];
}

function sumOf(tables: readonly TableStorage[]): TableStorage {
  const total = (figure: Exclude<keyof TableStorage, "name">) => sum(tables.map((each) => each[figure]));
  return {
    name: "sum",
    tableBytes: total("tableBytes"),
    indexBytes: total("indexBytes"),
    rows: total("rows"),
    rowBytes: total("rowBytes"),
    overflowPages: total("overflowPages"),
    unusedBytes: total("unusedBytes"),
  };
}

function bytesOf({ tableBytes, indexBytes }: TableStorage): number {
  return tableBytes + indexBytes;
}

function kilobytes(bytes: number): string {
  return decimals(bytes / BYTES_PER_KILOBYTE, 2);
}

function share(part: number, whole: number): string {
  return whole > 0 ? `${decimals((100 * part) / whole, 0)} %` : "–";
}
