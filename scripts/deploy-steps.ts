/** The steps of `npm run deploy`. The functions that run wrangler and write files are passed in. */
import { parse, stringify } from "smol-toml";
import { z } from "zod";
import { makeSecretsKey } from "./secrets-key.ts";
import { parseWranglerConfig, queueNames, type WranglerConfig } from "./wrangler-config.ts";

/** The copy of wrangler.toml with the database's id, and without buckets if the account has no R2. git ignores this file. */
export const DEPLOYED_CONFIG = "wrangler.deployed.toml";

/** The secrets. One of them must be set before Sluice answers clients. */
const KEYS = ["SLUICE_API_KEY", "SLUICE_AUTH_STRING"];

/** The secret that encrypts the keys of workspaces. */
export const SECRETS_KEY = "SLUICE_SECRETS_KEY";

/** The result of a wrangler command. */
export interface Outcome {
  code: number;
  /** The output of wrangler; empty if wrangler wrote to the user's terminal. */
  output: string;
}

/** The functions that act outside of this process. */
export interface Surroundings {
  /** Runs wrangler and returns its output. `input` is what wrangler reads, for values that no command line may show. */
  ask(args: readonly string[], input?: string): Promise<Outcome>;
  /** Runs wrangler and shows its output to the user. */
  show(args: readonly string[]): Promise<Outcome>;
  write(file: string, text: string): void;
  say(text: string): void;
}

/** A fault that the user can correct. The message says how. */
export class DeployFailed extends Error {}

const Databases = z.array(z.object({ name: z.string(), uuid: z.string() }));
const Deployment = z.object({ versions: z.array(z.object({ version_id: z.string() })) });
const Version = z.object({ resources: z.object({ bindings: z.array(z.object({ name: z.string() })) }) });
const Secrets = z.array(z.object({ name: z.string() }));

/** Creates the missing databases, queues and buckets, applies migrations and deploys. Every step may be repeated. */
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
  const missing = await ensureBuckets(config, world);
  world.write(DEPLOYED_CONFIG, deployedConfig(toml, ids, missing));
  for (const name of ids.keys()) {
    await must(
      world.show(["d1", "migrations", "apply", name, "--remote", "--config", DEPLOYED_CONFIG]),
      `the migrations of ${name} could not be applied; the Worker is as it was`,
    );
  }
  await must(world.show(["deploy", "--config", DEPLOYED_CONFIG, ...extra]), "the Worker could not be deployed");
  const secrets = await secretsOf(config.name, world);
  await ensureSecretsKey(config.name, secrets, world);
  adviseOnKeys(config.name, secrets ?? [], world);
}

/** The text of wrangler.toml with the ids of the account's databases, and without the bindings of missing buckets. */
export function deployedConfig(
  toml: string,
  ids: ReadonlyMap<string, string>,
  missing: readonly string[] = [],
): string {
  const { r2_buckets: _, ...config } = parse(toml);
  const { d1_databases: databases, r2_buckets: buckets } = parseWranglerConfig(toml);
  const found = databases.map((database) => ({
    ...database,
    database_id: ids.get(database.database_name) ?? database.database_id,
  }));
  const kept = buckets.filter((bucket) => !missing.includes(bucket.bucket_name));
  const changed = { ...config, d1_databases: found, ...(kept.length > 0 && { r2_buckets: kept }) };
  return `# Made by npm run deploy out of wrangler.toml; changes are lost.\n${stringify(changed)}\n`;
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
  const list = read(
    Databases,
    await world.ask(["d1", "list", "--json"]),
    "The account's databases could not be listed",
  );
  return list.find((database) => database.name === name)?.uuid;
}

async function ensureQueue(name: string, world: Surroundings): Promise<void> {
  if ((await world.ask(["queues", "info", name])).code === 0) return;
  world.say(`Creating the queue ${name}.`);
  const { code, output } = await world.ask(["queues", "create", name]);
  if (code === 0 || (await world.ask(["queues", "info", name])).code === 0) return;
  throw new DeployFailed(`The queue ${name} could not be created.\n${output}`);
}

/** wrangler's message if the account has not enabled R2 (NotEntitled in https://developers.cloudflare.com/r2/api/error-codes). */
const WITHOUT_R2 = /\[code: 10042\]/;
/** wrangler's message if the account has the bucket ("The bucket you tried to create already exists, and you own it", BucketConflict). */
const HAS_BUCKET = /\[code: (10004|10073)\]/;
/** wrangler's messages for a Worker that was never deployed: from Cloudflare's API, and from `wrangler deployments status`. */
const NEVER_DEPLOYED = /\[code: 10007\]|has no deployments/;

/** Creates the missing buckets, and returns the names of those that the account cannot have. */
async function ensureBuckets(config: WranglerConfig, world: Surroundings): Promise<string[]> {
  const missing = [];
  for (const bucket of config.r2_buckets) if (!(await ensureBucket(bucket, world))) missing.push(bucket.bucket_name);
  if (missing.length === 0) return [];
  await checkUnbound(config, missing, world);
  world.say(
    `R2 is not enabled on this account, so Sluice has no archive and all its data stays in D1, which ends at 10 GB:` +
      ` enable R2 in the Cloudflare dashboard (Storage & databases, R2) and deploy again.`,
  );
  return missing;
}

/** Returns false if the account has not enabled R2. */
async function ensureBucket(bucket: WranglerConfig["r2_buckets"][number], world: Surroundings): Promise<boolean> {
  const name = bucket.bucket_name;
  const place = bucket.jurisdiction === undefined ? [] : ["--jurisdiction", bucket.jurisdiction];
  const info = await world.ask(["r2", "bucket", "info", name, "--json", ...place]);
  if (info.code === 0) return true;
  if (WITHOUT_R2.test(info.output)) return false;
  world.say(`Creating the bucket ${name}.`);
  const { code, output } = await world.ask(["r2", "bucket", "create", name, ...place]);
  // `info` also fails for a token that may not read the bucket's metrics, or before another deployment creates the bucket.
  if (code === 0 || HAS_BUCKET.test(output)) return true;
  if (WITHOUT_R2.test(output)) return false;
  throw new DeployFailed(
    `The bucket ${name} could not be created. A token of the API needs the permission Workers R2 Storage: Edit.\n${output}`,
  );
}

/**
 * Throws if the deployed Worker has a binding of a missing bucket. The bucket may have data, which the Worker could not
 * read any more.
 */
async function checkUnbound(config: WranglerConfig, missing: readonly string[], world: Surroundings): Promise<void> {
  const lost = config.r2_buckets.filter((bucket) => missing.includes(bucket.bucket_name)).map(({ binding }) => binding);
  const status = await world.ask(["deployments", "status", "--name", config.name, "--json"]);
  if (status.code !== 0 && NEVER_DEPLOYED.test(status.output)) return;
  const ids = read(Deployment, status, "The deployed Worker could not be read").versions.map((one) => one.version_id);
  for (const id of ids) {
    const view = await world.ask(["versions", "view", id, "--name", config.name, "--json"]);
    const { bindings } = read(Version, view, "The deployed Worker could not be read").resources;
    if (!bindings.some(({ name }) => lost.includes(name))) continue;
    throw new DeployFailed(
      `Stopped: the deployed Worker has an archive in R2, but R2 is not enabled on this account any more. Without R2` +
        ` the archived data could not be read; the Worker is as it was. Enable R2 in the Cloudflare dashboard and deploy again.`,
    );
  }
}

/** The JSON that a command printed. Throws if the command failed. */
function read<Kind extends z.ZodType>(kind: Kind, { code, output }: Outcome, otherwise: string): z.output<Kind> {
  if (code !== 0) throw new DeployFailed(`${otherwise}.\n${output}`);
  return kind.parse(JSON.parse(output));
}

/** The names of the Worker's secrets; null if they cannot be listed. */
export async function secretsOf(worker: string, world: Surroundings): Promise<string[] | null> {
  const { code, output } = await world.ask(["secret", "list", "--name", worker, "--format", "json"]);
  return code === 0 ? Secrets.parse(JSON.parse(output)).map((secret) => secret.name) : null;
}

/** Makes the key that encrypts secrets, once. A present key is never replaced: nothing could be decrypted any more. */
async function ensureSecretsKey(worker: string, present: readonly string[] | null, world: Surroundings): Promise<void> {
  if (present?.includes(SECRETS_KEY)) return;
  const isMade =
    present !== null &&
    (await world.ask(["secret", "put", SECRETS_KEY, "--name", worker], `${makeSecretsKey()}\n`)).code === 0;
  if (!isMade)
    world.say(
      `${SECRETS_KEY} could not be made. Without it, Sluice refuses to store secrets of blocks. Deploy again, or see docs/secrets.md.`,
    );
}

function adviseOnKeys(worker: string, set: readonly string[], world: Surroundings): void {
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
