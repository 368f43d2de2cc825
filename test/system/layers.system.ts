/** The linter checks the direction of imports. The test tries every pair of layers in both directions. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";

/** A file of each layer, from the bottom to the top. */
const FILES = [
  "wire/probe",
  "db/rows/probe",
  "filters/probe",
  "tools",
  "objects/work-pool/client",
  "events/probe",
  "orchestration/probe",
  "resources/variables/probe",
  "resources/work-pools/probe",
  "resources/flow-runs/probe",
  "resources/deployments/probe",
  "services/probe",
  "http/probe",
  "resources/variables/routes",
  "objects/work-pool/object",
  "worker",
];

interface Report {
  diagnostics: { message: string; code: string; filename: string }[];
}

function lint(files: ReadonlyMap<string, string>): Report["diagnostics"] {
  const folder = mkdtempSync(join(tmpdir(), "sluice-layers-"));
  try {
    copyFileSync("oxlint.config.ts", join(folder, "oxlint.config.ts"));
    symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
    for (const [name, text] of files) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    const { stdout } = spawnSync(process.execPath, [resolve("node_modules/.bin/oxlint"), "--format", "json", "src"], {
      cwd: folder,
      encoding: "utf8",
    });
    return (JSON.parse(stdout) as Report).diagnostics.filter(({ code }) => code.includes("no-restricted-imports"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("a file imports only the layers below its own", () => {
  const others = (file: string) => FILES.filter((other) => other !== file);
  const texts = FILES.map((file): [string, string] => [
    `src/${file}.ts`,
    others(file)
      .map((other) => `export * from "#${other}";\n`)
      .join(""),
  ]);
  const refused = lint(new Map(texts)).map(({ filename, message }) => `${filename} ${/'(#[^']+)'/.exec(message)?.[1]}`);
  const upward = FILES.flatMap((file, at) => FILES.slice(at + 1).map((above) => `src/${file}.ts #${above}`));
  assert.deepEqual(refused.toSorted(), upward.toSorted());
});

test("a store imports no other store, a rule no table, and no file a parent folder", () => {
  const found = lint(
    new Map([
      ["src/resources/deployments/store.ts", 'export * from "#resources/flow-runs/store";\n'],
      ["src/orchestration/rules/probe.ts", 'export * from "#db/tables/flow";\n'],
      ["src/services/probe.ts", 'export * from "../events/event";\n'],
    ]),
  );
  assert.equal(found.length, 3);
});
