/**
 * Builds the Worker: first the OpenAPI document out of the routes (it is served as a file, not made at start), then the
 * bundle for `npm start`. With `--openapi-only` it stops after the first.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { build } from "esbuild";
import { describe } from "../src/http/openapi.ts";
import { routes } from "../src/routes.ts";

/** Writes dist/openapi.txt, whole or not at all: another build may be reading it. */
export function writeOpenApi(): void {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  mkdirSync("dist", { recursive: true });
  const unfinished = `dist/openapi.${process.pid}.tmp`;
  writeFileSync(unfinished, JSON.stringify(describe(routes, version)));
  renameSync(unfinished, "dist/openapi.txt");
}

/** Bundles src/worker.ts into dist/worker.js, one ES module, and returns its text. */
export async function bundleWorker(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: ["src/worker.ts"],
    outfile: "dist/worker.js",
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "import"],
    external: ["node:*", "cloudflare:*"],
    loader: { ".txt": "text" },
    minifySyntax: true,
    sourcemap: "linked",
    logLevel: "warning",
  });
  for (const file of outputFiles) writeFileSync(file.path, file.contents);
  const bundle = outputFiles.find((file) => file.path.endsWith(".js"));
  if (!bundle) throw new Error("esbuild made no bundle");
  return bundle.text;
}

if (import.meta.main) {
  writeOpenApi();
  if (!process.argv.includes("--openapi-only")) await bundleWorker();
}
