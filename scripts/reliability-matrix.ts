/**
 * Plays the matrix of docs/reliability.md with the stock client and worker, and prints its table; with `--write` it is put
 * into the document. Some ten minutes; a Python with prefect is needed (SLUICE_PYTHON).
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { KILLED, killInEachPhase, type Outcome } from "../test/system/support/reliability.ts";

const DOC = "docs/reliability.md";
/** Each scene has a server, a worker and nine flow processes. */
const AT_ONCE = 2;
const TABLE = /(<!-- matrix -->\n)[\s\S]*?(<!-- end of matrix -->)/;

const { values } = parseArgs({
  options: {
    write: { type: "boolean", default: false },
    /** One of those who are killed, for a part of the table. */
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
const table = tableOf(outcomes);
console.log(table);
if (values.write) {
  const text = readFileSync(DOC, "utf8");
  if (!TABLE.test(text)) throw new Error(`${DOC} has no place for the matrix`);
  writeFileSync(
    DOC,
    text.replace(TABLE, (_, begin: string, end: string) => `${begin}\n${table}\n\n${end}`),
  );
}

function tableOf(rows: readonly Outcome[]): string {
  const cells = rows.map((row) => [
    row.killed,
    row.phase,
    row.subflow === null ? row.end : `${row.end} (its subflow: ${row.subflow})`,
    row.noticedBy,
    `${row.seconds} s`,
    row.passed.join(", "),
  ]);
  const head = ["killed", "the run was", "it ended", "who noticed", "after", "by way of"];
  return [head, head.map(() => "---"), ...cells].map((row) => `| ${row.join(" | ")} |`).join("\n");
}
