/**
 * Builds the Worker: first the OpenAPI document from the routes (the Worker serves it as a file), then the bundle for
 * `npm start`. With `--openapi-only` it builds only the document.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build, type BuildOptions } from "esbuild";

const COMMON = {
  bundle: true,
  write: false,
  format: "esm",
  target: "es2024",
  logLevel: "warning",
} satisfies BuildOptions;

async function bundle(options: BuildOptions): Promise<string> {
  const { outputFiles } = await build({ ...options, ...COMMON });
  mkdirSync("dist", { recursive: true });
  for (const file of outputFiles) writeFileSync(file.path, file.contents);
  const script = outputFiles.find((file) => /\.m?js$/.test(file.path));
  if (!script) throw new Error("esbuild made no bundle");
  return script.text;
}

/**
 * Writes dist/openapi.txt atomically, because another build may be reading it. The routes are bundled first, because
 * Node does not resolve imports like a bundler.
 */
export async function writeOpenApi(): Promise<void> {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  const program = resolve(`dist/describe.${process.pid}.mjs`);
  await bundle({ entryPoints: ["src/describe.ts"], outfile: program, platform: "node", external: ["cloudflare:*"] });
  const { openApiDocument } = (await import(pathToFileURL(program).href)) as {
    openApiDocument: (version: string) => string;
  };
  rmSync(program);
  const unfinished = `dist/openapi.${process.pid}.tmp`;
  writeFileSync(unfinished, openApiDocument(version));
  renameSync(unfinished, "dist/openapi.txt");
}

/** Bundles src/worker.ts into dist/worker.js, one ES module, and returns its text. */
export function bundleWorker(): Promise<string> {
  return bundle({
    entryPoints: ["src/worker.ts"],
    outfile: "dist/worker.js",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "import"],
    external: ["node:*", "cloudflare:*"],
    loader: { ".txt": "text", ".html": "text" },
    minifySyntax: true,
    sourcemap: "linked",
  });
}

if (import.meta.main) {
  await writeOpenApi();
  if (!process.argv.includes("--openapi-only")) await bundleWorker();
}
