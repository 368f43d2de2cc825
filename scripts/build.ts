/**
 * Builds the Worker: first the OpenAPI document out of the routes (it is served as a file, not made at start), then the
 * bundle for `npm start`. With `--openapi-only` it stops after the first.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";
import { describe } from "../src/http/openapi.ts";
import { routes } from "../src/routes.ts";

/** Writes dist/openapi.txt. */
export function writeOpenApi(): void {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  mkdirSync("dist", { recursive: true });
  writeFileSync("dist/openapi.txt", JSON.stringify(describe(routes, version)));
}

/** Bundles src/worker.ts into dist/worker.js, one ES module. */
export async function bundleWorker(): Promise<void> {
  await build({
    entryPoints: ["src/worker.ts"],
    outfile: "dist/worker.js",
    bundle: true,
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
}

if (import.meta.main) {
  writeOpenApi();
  if (!process.argv.includes("--openapi-only")) await bundleWorker();
}
