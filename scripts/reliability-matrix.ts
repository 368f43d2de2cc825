/**
 * Runs the matrix of docs/reliability.md with the stock client and worker, and prints its table. `--write` puts the
 * table into the document. Takes about ten minutes, and needs a Python with prefect (SLUICE_PYTHON).
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { KILLED, type Killed, killInEachPhase, type Outcome } from "../test/system/support/reliability.ts";

const DOC = "docs/reliability.md";
/** Each scene has a server, a worker and nine flow processes. */
const AT_ONCE = 2;
const TABLE = /(<!-- matrix -->\n)[\s\S]*?(<!-- end of matrix -->)/;

const { values } = parseArgs({
  options: {
    write: { type: "boolean", default: false },
    /** A value of `KILLED`: runs only this part of the table. */
    only: { type: "string" },
  },
});
const scenes = KILLED.filter((name) => values.only === undefined || name === values.only);
const outcomes: Outcome[] = [];
for (let first = 0; first < scenes.length; first += AT_ONCE) {
  const some = scenes.slice(first, first + AT_ONCE);
  const found = await Promise.all(some.map((killed) => killInEachPhase(killed, (line) => console.error(line))));
  outcomes.push(...found.flat());
}
console.log(tableOf(outcomes.map(rowOf)));
if (values.write) {
  const text = readFileSync(DOC, "utf8");
  const present = TABLE.exec(text)?.[0];
  if (present === undefined) throw new Error(`${DOC} has no place for the matrix`);
  const played = new Map(scenes.map((killed) => [killed, rowsOf(killed)]));
  const rows = KILLED.flatMap((killed) => played.get(killed) ?? documented(present, killed));
  writeFileSync(
    DOC,
    text.replace(TABLE, (_, begin: string, end: string) => `${begin}\n${tableOf(rows)}\n\n${end}`),
  );
}

function rowsOf(killed: Killed): string[] {
  return outcomes.filter((outcome) => outcome.killed === killed).map(rowOf);
}

/** The document's rows of a scene that did not run. */
function documented(matrix: string, killed: Killed): string[] {
  return matrix.split("\n").filter((line) => line.split("|")[1]?.trim() === killed);
}

function rowOf(outcome: Outcome): string {
  return lineOf([
    outcome.killed,
    outcome.phase,
    outcome.subflow === null ? outcome.end : `${outcome.end} (its subflow: ${outcome.subflow})`,
    outcome.noticedBy,
    `${outcome.seconds} s`,
    outcome.passed.join(", "),
  ]);
}

function tableOf(rows: readonly string[]): string {
  const head = ["killed", "the run was", "it ended", "who noticed", "after", "by way of"];
  return [lineOf(head), lineOf(head.map(() => "---")), ...rows].join("\n");
}

function lineOf(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}
