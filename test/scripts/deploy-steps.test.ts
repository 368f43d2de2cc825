import { parse } from "smol-toml";
import { describe, expect, test } from "vitest";
import { deploy, DEPLOYED_CONFIG, deployedConfig, type Outcome } from "../../scripts/deploy-steps.ts";

const TOML = `
name = "sluice"
main = "src/worker.ts"
compatibility_date = "2026-07-01"

[build]
command = "make"

[[d1_databases]]
binding = "DB"
database_name = "sluice"
database_id = "00000000-0000-0000-0000-000000000000"
migrations_dir = "migrations"

[[r2_buckets]]
binding = "ARCHIVE"
bucket_name = "archive"

[[queues.producers]]
binding = "EVENTS"
queue = "events"

[[queues.consumers]]
queue = "events"
dead_letter_queue = "events-dead"

[[queues.consumers]]
queue = "events-dead"
`;

/** wrangler's messages, after `A request to the Cloudflare API (…) failed.` */
const NO_BUCKET = "The specified bucket does not exist. [code: 10006]";
const SAME_BUCKET = "The bucket you tried to create already exists, and you own it. [code: 10004]";
const NO_R2 = "Please enable R2 through the Cloudflare Dashboard. [code: 10042]";
const NO_WORKER = "This Worker does not exist on your account. [code: 10007]";

/** A Cloudflare account as wrangler shows it. The account records the commands. A command in `broken` fails. */
function anAccount(broken: { [command: string]: true } = {}, { r2 = true } = {}) {
  const databases = new Map<string, string>();
  const queues = new Set<string>();
  const buckets = new Set<string>();
  const bound: string[] = [];
  const options = { r2, isDeployed: false };
  const secrets = new Set<string>();
  const asked: string[] = [];
  const written = new Map<string, string>();
  const said: string[] = [];
  const ok = (output = ""): Outcome => ({ code: 0, output });
  const bad: Outcome = { code: 1, output: "it broke" };
  const refused = (output: string): Outcome => ({ code: 1, output });
  const inputs = new Map<string, string | undefined>();
  const run = async (args: readonly string[], input?: string): Promise<Outcome> => {
    const line = args.join(" ");
    asked.push(line);
    if (Object.keys(broken).some((command) => line.startsWith(command))) return bad;
    const name = args[2] ?? "";
    switch (args.slice(0, 2).join(" ")) {
      case "d1 list":
        return ok(JSON.stringify([...databases].map(([database, uuid]) => ({ name: database, uuid }))));
      case "d1 create":
        databases.set(name, `${databases.size + 1}1111111-2222-3333-4444-555555555555`);
        return ok();
      case "queues info":
        return queues.has(name) ? ok() : bad;
      case "queues create":
        if (queues.has(name)) return bad;
        queues.add(name);
        return ok();
      case "secret list":
        return ok(JSON.stringify([...secrets].map((secret) => ({ name: secret, type: "secret_text" }))));
      case "secret put":
        secrets.add(name);
        inputs.set(name, input);
        return ok();
      case "r2 bucket":
        return options.r2 ? bucket(name, args[3] ?? "") : refused(NO_R2);
      case "deployments status":
        return options.isDeployed ? ok(JSON.stringify({ versions: [{ version_id: "v7" }] })) : refused(NO_WORKER);
      case "versions view":
        return ok(JSON.stringify({ resources: { bindings: bound.map((binding) => ({ name: binding })) } }));
      default:
        if (args[0] === "deploy") deployed();
        return ok();
    }
  };
  const bucket = (command: string, name: string): Outcome => {
    if (command === "info") return buckets.has(name) ? ok("{}") : refused(NO_BUCKET);
    if (buckets.has(name)) return refused(SAME_BUCKET);
    buckets.add(name);
    return ok();
  };
  const deployed = () => {
    options.isDeployed = true;
    const { r2_buckets: inConfig = [] } = parseToml<{ r2_buckets?: { binding: string }[] }>(written);
    bound.splice(0, bound.length, ...inConfig.map(({ binding }) => binding));
  };
  return {
    databases,
    queues,
    buckets,
    bound,
    options,
    secrets,
    inputs,
    asked,
    written,
    said,
    world: {
      ask: run,
      show: run,
      write: (file: string, text: string) => void written.set(file, text),
      say: (text: string) => void said.push(text),
    },
  };
}

/** The configuration that was written for wrangler. */
const parseToml = <T>(written: ReadonlyMap<string, string>) => parse(written.get(DEPLOYED_CONFIG) ?? "") as T;

describe("npm run deploy", () => {
  test("creates the database, the queues and the bucket, applies the migrations, then deploys", async () => {
    const account = anAccount();
    await deploy(TOML, [], account.world);
    expect([...account.databases.keys()]).toEqual(["sluice"]);
    expect([...account.queues]).toEqual(["events", "events-dead"]);
    expect([...account.buckets]).toEqual(["archive"]);
    expect(account.bound).toEqual(["ARCHIVE"]);
    expect(account.asked.slice(-4)).toEqual([
      `d1 migrations apply sluice --remote --config ${DEPLOYED_CONFIG}`,
      `deploy --config ${DEPLOYED_CONFIG}`,
      "secret list --name sluice --format json",
      "secret put SLUICE_SECRETS_KEY --name sluice",
    ]);
    expect(account.written.get(DEPLOYED_CONFIG)).toContain("11111111-2222-3333-4444-555555555555");
  });

  test("makes the key of secrets once, and shows it to nobody", async () => {
    const account = anAccount();
    await deploy(TOML, [], account.world);
    const key = account.inputs.get("SLUICE_SECRETS_KEY");
    expect(key).toMatch(/^[A-Za-z0-9+/]{43}=\n$/);
    expect(JSON.stringify([account.asked, account.said, [...account.written]])).not.toContain(key?.trim());
    await deploy(TOML, [], account.world);
    expect(account.inputs.get("SLUICE_SECRETS_KEY")).toBe(key);
  });

  test("does not make the key if the secrets cannot be listed", async () => {
    const account = anAccount({ "secret list": true });
    await deploy(TOML, [], account.world);
    expect([...account.inputs]).toEqual([]);
    expect(account.said.join("\n")).toContain("SLUICE_SECRETS_KEY could not be made");
  });

  test("creates and migrates every database of wrangler.toml before it deploys", async () => {
    const account = anAccount();
    const second = `[[d1_databases]]
binding = "DB_2"
database_name = "sluice-2"
database_id = "00000000-0000-0000-0000-000000000000"
migrations_dir = "migrations"`;
    await deploy(`${TOML}\n${second}`, [], account.world);
    expect([...account.databases.keys()]).toEqual(["sluice", "sluice-2"]);
    expect(account.asked.slice(-5, -2)).toEqual([
      `d1 migrations apply sluice --remote --config ${DEPLOYED_CONFIG}`,
      `d1 migrations apply sluice-2 --remote --config ${DEPLOYED_CONFIG}`,
      `deploy --config ${DEPLOYED_CONFIG}`,
    ]);
    type Bound = { d1_databases: { binding: string; database_id: string }[] };
    expect(parseToml<Bound>(account.written).d1_databases).toMatchObject([
      { binding: "DB", database_id: account.databases.get("sluice") },
      { binding: "DB_2", database_id: account.databases.get("sluice-2") },
    ]);
  });

  test("creates nothing twice if it runs again", async () => {
    const account = anAccount();
    await deploy(TOML, [], account.world);
    account.asked.length = 0;
    await deploy(TOML, [], account.world);
    expect(account.asked.filter((line) => line.includes("create"))).toEqual([]);
    expect(account.asked).toContain(`deploy --config ${DEPLOYED_CONFIG}`);
  });

  test("names the key to set, until a key is set", async () => {
    const account = anAccount();
    await deploy(TOML, [], account.world);
    expect(account.said.join()).toContain("wrangler secret put SLUICE_API_KEY");
    account.said.length = 0;
    account.secrets.add("SLUICE_AUTH_STRING");
    await deploy(TOML, [], account.world);
    expect(account.said).toEqual([]);
  });

  test("a dry run does not use the account, and passes its options on to wrangler", async () => {
    const account = anAccount();
    await deploy(TOML, ["--dry-run", "--outdir", "x"], account.world);
    expect(account.asked).toEqual(["deploy --dry-run --outdir x"]);
    expect(account.written.size).toBe(0);
  });

  test.for([
    ["whoami", "npx wrangler login"],
    ["d1 list", "could not be listed"],
    ["d1 create", "could not be created"],
    ["queues create", "could not be created"],
    ["r2 bucket", "Workers R2 Storage: Edit"],
    ["r2 bucket create", "Workers R2 Storage: Edit"],
    ["d1 migrations", "the Worker is as it was"],
  ] as const)("stops before the Worker is touched when `%s` fails", async ([command, message]) => {
    const account = anAccount({ [command]: true });
    await expect(deploy(TOML, [], account.world)).rejects.toThrow(message);
    expect(account.asked.filter((line) => line.startsWith("deploy"))).toEqual([]);
  });

  test("the written configuration differs from wrangler.toml only in the id of the database", () => {
    const text = deployedConfig(TOML, new Map([["sluice", "abc"]]));
    const expected = parse(TOML.replace("00000000-0000-0000-0000-000000000000", "abc"));
    expect(parse(text)).toEqual(expected);
  });
});

describe("on an account without R2", () => {
  const withoutR2 = (broken: { [command: string]: true } = {}) => anAccount(broken, { r2: false });

  test("everything but the archive is deployed, and one sentence says what that means and what to do", async () => {
    const account = withoutR2();
    await deploy(TOML, [], account.world);
    expect(account.options.isDeployed).toBe(true);
    expect(account.bound).toEqual([]);
    const written = parse(account.written.get(DEPLOYED_CONFIG) ?? "");
    const { r2_buckets: _, ...expected } = parse(deployedConfig(TOML, account.databases));
    expect(written).toEqual(expected);
    expect(account.said.filter((text) => text.includes("R2"))).toEqual([
      expect.stringMatching(/no archive.*stays in D1.*enable R2 in the Cloudflare dashboard.*deploy again\.$/),
    ]);
  });

  test("may be deployed again, and gets the archive once R2 is enabled", async () => {
    const account = withoutR2();
    await deploy(TOML, [], account.world);
    await deploy(TOML, [], account.world);
    expect(account.bound).toEqual([]);
    account.options.r2 = true;
    await deploy(TOML, [], account.world);
    expect([...account.buckets]).toEqual(["archive"]);
    expect(account.bound).toEqual(["ARCHIVE"]);
  });

  test("a Worker that has an archive keeps its binding: the deployment stops", async () => {
    const account = anAccount();
    await deploy(TOML, [], account.world);
    account.options.r2 = false;
    account.asked.length = 0;
    await expect(deploy(TOML, [], account.world)).rejects.toThrow("the Worker is as it was");
    expect(account.bound).toEqual(["ARCHIVE"]);
    expect(account.asked.filter((line) => line.startsWith("deploy "))).toEqual([]);
  });

  test.for(["deployments status", "versions view"])(
    "stops if `%s` cannot tell whether there is an archive",
    async (command) => {
      const broken: { [command: string]: true } = {};
      const account = withoutR2(broken);
      await deploy(TOML, [], account.world);
      account.asked.length = 0;
      broken[command] = true;
      await expect(deploy(TOML, [], account.world)).rejects.toThrow("could not be read");
      expect(account.asked.filter((line) => line.startsWith("deploy "))).toEqual([]);
    },
  );
});

describe("the bucket", () => {
  test("keeps its binding when R2 cannot be asked for another reason", async () => {
    const broken: { [command: string]: true } = {};
    const account = anAccount(broken);
    await deploy(TOML, [], account.world);
    broken["r2 bucket"] = true;
    await expect(deploy(TOML, [], account.world)).rejects.toThrow("could not be created");
    expect(account.bound).toEqual(["ARCHIVE"]);
  });

  test("is there if only its creation says so", async () => {
    const account = anAccount({ "r2 bucket info": true });
    account.buckets.add("archive");
    await deploy(TOML, [], account.world);
    expect(account.bound).toEqual(["ARCHIVE"]);
  });

  test("is looked for and created in its jurisdiction, and its binding keeps all its fields", async () => {
    const toml = TOML.replace('bucket_name = "archive"', 'bucket_name = "archive"\njurisdiction = "eu"');
    const account = anAccount();
    await deploy(toml, [], account.world);
    expect(account.asked.filter((line) => line.startsWith("r2 "))).toEqual([
      "r2 bucket info archive --json --jurisdiction eu",
      "r2 bucket create archive --jurisdiction eu",
    ]);
    expect(parseToml<{ r2_buckets: unknown }>(account.written).r2_buckets).toEqual([
      { binding: "ARCHIVE", bucket_name: "archive", jurisdiction: "eu" },
    ]);
  });
});
