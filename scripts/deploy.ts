/** `npm run deploy`: deploys Sluice to the Cloudflare account of wrangler's login. May be repeated. */
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { deploy, DeployFailed, type Outcome } from "./deploy-steps.ts";

/**
 * Runs wrangler without questions to the user. With `shown`, wrangler writes to the terminal. Otherwise its output is
 * returned.
 */
function wrangler(args: readonly string[], shown: boolean): Promise<Outcome> {
  return new Promise((ended, failed) => {
    const child = spawn("wrangler", args, {
      stdio: ["inherit", shown ? "inherit" : "pipe", shown ? "inherit" : "pipe"],
      env: { ...process.env, CI: "true" },
      shell: process.platform === "win32",
    });
    let output = "";
    let complaints = "";
    child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr?.on("data", (chunk: Buffer) => (complaints += chunk.toString()));
    child.once("error", failed);
    child.once("close", (code) => ended({ code: code ?? 1, output: code === 0 ? output : output + complaints }));
  });
}

try {
  await deploy(readFileSync("wrangler.toml", "utf8"), process.argv.slice(2), {
    ask: (args) => wrangler(args, false),
    show: (args) => wrangler(args, true),
    write: (file, text) => writeFileSync(file, text),
    say: (text) => console.log(text),
  });
} catch (error) {
  if (!(error instanceof DeployFailed)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
