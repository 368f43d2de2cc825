/** `npm run deploy`: deploys Sluice to the Cloudflare account of wrangler's login. May be repeated. */
import { readFileSync } from "node:fs";
import { deploy, DeployFailed } from "./deploy-steps.ts";
import { wrangler } from "./wrangler.ts";

try {
  await deploy(readFileSync("wrangler.toml", "utf8"), process.argv.slice(2), wrangler);
} catch (error) {
  if (!(error instanceof DeployFailed)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
