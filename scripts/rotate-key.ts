/** `npm run rotate-key`: gives the deployed Worker a new key for secrets. With `--data DIR`, a local server's folder. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { DataInUse, lockData } from "./data-lock.ts";
import { DeployFailed } from "./deploy-steps.ts";
import { rotateKey } from "./rotate-key-steps.ts";
import { addSecretsKey } from "./secrets-key.ts";
import { wrangler } from "./wrangler.ts";
import { parseWranglerConfig } from "./wrangler-config.ts";

const { values } = parseArgs({ options: { data: { type: "string" } } });

try {
  if (values.data === undefined) {
    const { name, d1_databases } = parseWranglerConfig(readFileSync("wrangler.toml", "utf8"));
    await rotateKey(name, d1_databases[0]?.database_name ?? "", wrangler);
  } else {
    // A running server would not see the new key.
    const lock = lockData(values.data);
    addSecretsKey(values.data);
    lock.release();
    console.log("The next start encrypts all secrets anew. See docs/secrets.md for when the old key may be removed.");
  }
} catch (error) {
  if (!(error instanceof DeployFailed || error instanceof DataInUse)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
