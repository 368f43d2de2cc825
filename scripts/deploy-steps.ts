/** The steps of `npm run deploy`. The functions that run wrangler and write files are passed in. */
import { parse, stringify } from "smol-toml";
import { z } from "zod";
import { parseWranglerConfig, queueNames } from "./wrangler-config.ts";

/** The copy of wrangler.toml with the database's id. git ignores this file. */
export const DEPLOYED_CONFIG = "wrangler.deployed.toml";

/** The secrets. One of them must be set before Sluice answers clients. */
const KEYS = ["SLUICE_API_KEY", "SLUICE_AUTH_STRING"];

/** The result of a wrangler command. */
export interface Outcome {
  code: number;
  /** The output of wrangler; empty if wrangler wrote to the user's terminal. */
  output: string;
}

/** The functions that act outside of this process. */
export interface Surroundings {
  /** Runs wrangler and returns its output. */
  ask(args: readonly string[]): Promise<Outcome>;
  /** Runs wrangler and shows its output to the user. */
  show(args: readonly string[]): Promise<Outcome>;
  write(file: string, text: string): void;
  say(text: string): void;
}

/** A fault that the user can correct. The message says how. */
export class DeployFailed extends Error {}

const Databases = z.array(z.object({ name: z.string(), uuid: z.string() }));
const Secrets = z.array(z.object({ name: z.string() }));

/** Creates the missing databases and queues, applies migrations and deploys. Every step may be repeated. */
export async function deploy(toml: string, extra: readonly string[], world: Surroundings): Promise<void> {
  if (extra.includes("--dry-run")) {
    await must(world.show(["deploy", ...extra]), "the Worker could not be bundled");
    return;
  }
  if ((await world.ask(["whoami", "--json"])).code !== 0) {
    throw new DeployFailed(
      "Not logged in to Cloudflare. Run `npx wrangler login`, or set CLOUDFLARE_API_TOKEN, and deploy again.",
    );
  }
  const config = parseWranglerConfig(toml);
  const ids = new Map<string, string>();
  for (const { database_name: name } of config.d1_databases) ids.set(name, await ensureDatabase(name, world));
  for (const name of queueNames(config)) await ensureQueue(name, world);
  world.write(DEPLOYED_CONFIG, withDatabaseIds(toml, ids));
  for (const name of ids.keys()) {
    await must(
      world.show(["d1", "migrations", "apply", name, "--remote", "--config", DEPLOYED_CONFIG]),
      `the migrations of ${name} could not be applied; the Worker is as it was`,
    );
  }
  await must(world.show(["deploy", "--config", DEPLOYED_CONFIG, ...extra]), "the Worker could not be deployed");
  await adviseOnKeys(config.name, world);
}

/** The text of wrangler.toml with the ids of the account's databases. */
export function withDatabaseIds(toml: string, ids: ReadonlyMap<string, string>): string {
  const config = parse(toml);
  const { d1_databases: databases } = parseWranglerConfig(toml);
  const found = databases.map((database) => ({
    ...database,
    database_id: ids.get(database.database_name) ?? database.database_id,
  }));
  return `# Made by npm run deploy out of wrangler.toml; changes are lost.\n${stringify({ ...config, d1_databases: found })}\n`;
}

async function ensureDatabase(name: string, world: Surroundings): Promise<string> {
  const found = await findDatabase(name, world);
  if (found) return found;
  world.say(`Creating the database ${name}.`);
  const { code, output } = await world.ask(["d1", "create", name]);
  // Another deployment may have created the database at the same time, so the list is read again.
  const made = await findDatabase(name, world);
  if (!made) throw new DeployFailed(`The database ${name} could not be created (${code}).\n${output}`);
  return made;
}

async function findDatabase(name: string, world: Surroundings): Promise<string | undefined> {
  const { code, output } = await world.ask(["d1", "list", "--json"]);
  if (code !== 0) throw new DeployFailed(`The account's databases could not be listed.\n${output}`);
  return Databases.parse(JSON.parse(output)).find((database) => database.name === name)?.uuid;
}

async function ensureQueue(name: string, world: Surroundings): Promise<void> {
  if ((await world.ask(["queues", "info", name])).code === 0) return;
  world.say(`Creating the queue ${name}.`);
  const { code, output } = await world.ask(["queues", "create", name]);
  if (code === 0 || (await world.ask(["queues", "info", name])).code === 0) return;
  throw new DeployFailed(`The queue ${name} could not be created.\n${output}`);
}

async function adviseOnKeys(worker: string, world: Surroundings): Promise<void> {
  const { code, output } = await world.ask(["secret", "list", "--name", worker, "--format", "json"]);
  const set = code === 0 ? Secrets.parse(JSON.parse(output)).map((secret) => secret.name) : [];
  if (KEYS.some((key) => set.includes(key))) return;
  world.say(
    `Sluice has no key yet and refuses everything but its health check. Set one:\n\n` +
      `    npx wrangler secret put SLUICE_API_KEY --name ${worker}\n\n` +
      `and give it to clients as PREFECT_API_KEY (or SLUICE_AUTH_STRING, user:password, as PREFECT_API_AUTH_STRING).`,
  );
}

async function must(running: Promise<Outcome>, otherwise: string): Promise<void> {
  const { code, output } = await running;
  if (code !== 0) throw new DeployFailed(`Stopped: ${otherwise}.${output ? `\n${output}` : ""}`);
}
