/**
 * Makes the next migration from the tables in src/db/tables.
 *
 * drizzle-kit cannot write WITHOUT ROWID, so this script adds it. Our keys are text, and a table with a hidden rowid
 * would write one more row for each insert. drizzle-kit also splits an index's expression at its commas. This script
 * corrects the split.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = "migrations";

const sqlFiles = () => new Set(readdirSync(FOLDER).filter((name) => name.endsWith(".sql")));

const before = sqlFiles();
execFileSync("drizzle-kit", ["generate", ...process.argv.slice(2)], { stdio: "inherit" });
for (const name of sqlFiles()) {
  if (before.has(name)) continue;
  const path = join(FOLDER, name);
  const text = readFileSync(path, "utf8");
  const mended = text
    .replaceAll(/^\);$/gm, ") WITHOUT ROWID;")
    .replaceAll(/`(coalesce\("\w+")`,` ("\w+"\))`/g, "$1, $2");
  writeFileSync(path, mended);
}
