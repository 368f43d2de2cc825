/** Runs wrangler, for the steps of scripts. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import type { Outcome, Surroundings } from "./deploy-steps.ts";

/**
 * Runs wrangler without questions to the user. With `shown`, wrangler writes to the terminal. Otherwise its output is
 * returned.
 */
function run(args: readonly string[], shown: boolean, input?: string): Promise<Outcome> {
  return new Promise((ended, failed) => {
    const child = spawn("wrangler", args, {
      stdio: [input === undefined ? "inherit" : "pipe", shown ? "inherit" : "pipe", shown ? "inherit" : "pipe"],
      env: { ...process.env, CI: "true" },
      shell: process.platform === "win32",
    });
    child.stdin?.end(input);
    let output = "";
    let complaints = "";
    child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr?.on("data", (chunk: Buffer) => (complaints += chunk.toString()));
    child.once("error", failed);
    child.once("close", (code) => ended({ code: code ?? 1, output: code === 0 ? output : output + complaints }));
  });
}

/** The account of wrangler's login, this folder and the terminal. */
export const wrangler: Surroundings = {
  ask: (args, input) => run(args, false, input),
  show: (args) => run(args, true),
  write: (file, text) => writeFileSync(file, text),
  say: (text) => console.log(text),
};
