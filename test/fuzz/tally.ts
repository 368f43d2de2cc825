/** What became of the requests of each operation, and how long the slowest took. */

import type { Answer } from "./oracle.ts";

/** The requests of one operation. */
interface Row {
  /** The number of answers of each hundred: 2 for 200 to 299. Redirects count as 2, because nothing was refused. */
  ok: number;
  refused: number;
  failed: number;
  slowestMs: number;
  slowest: string;
  /** The last request that was refused, with the answer. */
  refusal: string;
}

const SHOWN = 300;

/** Counts answers by operation. */
export class Tally {
  private readonly rows = new Map<string, Row>();

  /** Makes a row for each operation, so that one without requests is shown too. */
  constructor(operations: readonly string[]) {
    for (const operation of operations)
      this.rows.set(operation, { ok: 0, refused: 0, failed: 0, slowestMs: 0, slowest: "", refusal: "" });
  }

  add(operation: string, { status, text }: Answer, ms: number, request: string): void {
    const row = this.rows.get(operation);
    if (!row) return;
    if (status < 400) row.ok += 1;
    else if (status < 500) row.refused += 1;
    else row.failed += 1;
    if (status >= 400) row.refusal = `${request.slice(0, SHOWN)} -> ${status} ${text.slice(0, SHOWN)}`;
    if (ms <= row.slowestMs) return;
    row.slowestMs = ms;
    row.slowest = request.slice(0, SHOWN);
  }

  /** The operations without a request that succeeded, each with its last refusal. */
  get unreached(): string[] {
    return [...this.rows]
      .filter(([, { ok }]) => ok === 0)
      .map(([operation, { refusal }]) => `${operation}: ${refusal}`);
  }

  /** A line for each operation. */
  get table(): string {
    const lines = Array.from(
      this.rows,
      ([operation, { ok, refused, failed, slowestMs }]) =>
        `${operation.padEnd(76)} 2xx ${ok}, 4xx ${refused}, 5xx ${failed}; at most ${Math.round(slowestMs)} ms`,
    );
    return lines.toSorted().join("\n");
  }

  /** The operations with the slowest requests. */
  slowest(count: number): string {
    return [...this.rows.values()]
      .toSorted((one, other) => other.slowestMs - one.slowestMs)
      .slice(0, count)
      .map(({ slowestMs, slowest }) => `${Math.round(slowestMs)} ms: ${slowest}`)
      .join("\n");
  }
}
