/** The steps of `npm run rotate-key` (docs/secrets.md). The functions that run wrangler are passed in. */
import { DeployFailed, SECRETS_KEY, secretsOf, type Surroundings } from "./deploy-steps.ts";
import { makeSecretsKey } from "./secrets-key.ts";

/** The keys of workspaces by the key of the deployment. A workspace has two while its secrets are encrypted anew. */
const PROGRESS =
  "select wrapped_by, count(*) as keys, count(distinct workspace_id) as workspaces from data_key group by 1";

/** Adds a key under the next number. The Worker then encrypts with it, and decrypts with all keys. May be repeated. */
export async function rotateKey(worker: string, database: string, world: Surroundings): Promise<void> {
  const present = await secretsOf(worker, world);
  if (present === null)
    throw new DeployFailed(`The secrets of ${worker} could not be listed; its keys are as they were.`);
  const keys = present.filter((name) => numberOf(name) > 0);
  if (keys.length === 0) throw new DeployFailed(`${worker} has no key yet. \`npm run deploy\` makes one.`);
  const next = `${SECRETS_KEY}_${Math.max(...keys.map(numberOf)) + 1}`;
  const { code, output } = await world.ask(["secret", "put", next, "--name", worker], `${makeSecretsKey()}\n`);
  if (code !== 0) throw new DeployFailed(`${next} could not be made; the keys are as they were.\n${output}`);
  world.say(
    `${next} encrypts from now on, and ${keys.join(", ")} can still decrypt. The clock gives each workspace a new key, 100\n` +
      `a minute, and encrypts all secrets with it. This shows how far it is:\n\n` +
      `    npx wrangler d1 execute ${database} --remote --command "${PROGRESS}"\n\n` +
      `When it shows one line, and not the one that it shows now, nothing needs the old keys. When "keys" is as many as\n` +
      `"workspaces", all secrets are encrypted anew. Then delete the old keys:\n\n` +
      keys.map((name) => `    npx wrangler secret delete ${name} --name ${worker}\n`).join(""),
  );
}

/** 1 for the first key, 2 for `SLUICE_SECRETS_KEY_2`, 0 for any other secret. */
function numberOf(name: string): number {
  if (name === SECRETS_KEY) return 1;
  const [, number] = new RegExp(`^${SECRETS_KEY}_(\\d+)$`).exec(name) ?? [];
  return number === undefined ? 0 : Number(number);
}
