/** Runs of the stock client while a process is killed. Each run ends as in docs/reliability.md. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { KILLED, killInEachPhase, PHASES } from "../support/reliability.ts";

/** The rows of the document's matrix: the killed process, the phase, the end, and the part that noticed the kill. */
function documented(): string[][] {
  const [, matrix = ""] = readFileSync("docs/reliability.md", "utf8").split("<!-- matrix -->");
  return matrix
    .split("<!-- end of matrix -->", 1)
    .join("")
    .split("\n")
    .filter((line) => line.startsWith("| the "))
    .map((line) =>
      line
        .split("|")
        .slice(1, 5)
        .map((cell) => cell.trim()),
    );
}

describe("a run in each phase of its life ends as the document says", { concurrency: 2 }, () => {
  for (const killed of KILLED) {
    test(`when ${killed} is killed`, { timeout: 900_000 }, async (t) => {
      const expected = documented().filter(([who]) => who === killed);
      assert.ok(expected.length >= PHASES.length - 3, "the document has the matrix");
      const outcomes = await killInEachPhase(killed, (line) => t.diagnostic(line));
      const found = outcomes.map(({ phase, end, subflow, noticedBy }) => [
        killed,
        phase,
        subflow === null ? end : `${end} (its subflow: ${subflow})`,
        noticedBy,
      ]);
      assert.deepEqual(found, expected);
    });
  }
});
