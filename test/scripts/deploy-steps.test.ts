import { parse } from "smol-toml";
import { describe, expect, test } from "vitest";
import { deploy, DEPLOYED_CONFIG, type Outcome, withDatabaseIds } from "../../scripts/deploy-steps.ts";

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

[[queues.producers]]
binding = "EVENTS"
queue = "events"

[[queues.consumers]]
queue = "events"
dead_letter_queue = "events-dead"

[[queues.consumers]]
queue = "events-dead"
`;

/** A Cloudflare account as wrangler shows it. The account records the commands. */
function anAccount(broken: { [command: string]: true } = {}) {
  const databases = new Map<string, string>();
  const queues = new Set<string>();
  const secrets = new Set<string>();
  const asked: string[] = [];
  const written = new Map<string, string>();
  const said: string[] = [];
  const ok = (output = ""): Outcome => ({ code: 0, output });
  const bad: Outcome = { code: 1, output: "it broke" };
  const run = async (args: readonly string[]): Promise<Outcome> => {
    const line = args.join(" ");
    asked.push(line);
    if (Object.keys(broken).some((command) => line.startsWith(command))) return bad;
    const name = args[2] ?? "";
    switch (args.slice(0, 2).join(" ")) {
      case "d1 list":
        return ok(JSON.stringify([...databases].map(([database, uuid]) => ({ name: database, uuid }))));
      case "d1 create":
        databases.set(name, "11111111-2222-3333-4444-555555555555");
        return ok();
      case "queues info":
        return queues.has(name) ? ok() : bad;
      case "queues create":
        if (queues.has(name)) return bad;
        queues.add(name);
        return ok();
      case "secret list":
        return ok(JSON.stringify([...secrets].map((secret) => ({ name: secret, type: "secret_text" }))));
      default:
        return ok();
    }
  };
  return {
    databases,
    queues,
    secrets,
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

describe("npm run deploy", () => {
  test("creates the database and the queues, applies the migrations, then deploys", async () => {
    const account = anAccount();
    await deploy(TOML, [], account.world);
    expect([...account.databases.keys()]).toEqual(["sluice"]);
    expect([...account.queues]).toEqual(["events", "events-dead"]);
    expect(account.asked.slice(-3)).toEqual([
      `d1 migrations apply sluice --remote --config ${DEPLOYED_CONFIG}`,
      `deploy --config ${DEPLOYED_CONFIG}`,
      "secret list --name sluice --format json",
    ]);
    expect(account.written.get(DEPLOYED_CONFIG)).toContain("11111111-2222-3333-4444-555555555555");
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
    ["d1 migrations", "the Worker is as it was"],
  ] as const)("stops before the Worker is touched when `%s` fails", async ([command, message]) => {
    const account = anAccount({ [command]: true });
    await expect(deploy(TOML, [], account.world)).rejects.toThrow(message);
    expect(account.asked.filter((line) => line.startsWith("deploy"))).toEqual([]);
  });

  test("the written configuration differs from wrangler.toml only in the id of the database", () => {
    const text = withDatabaseIds(TOML, new Map([["sluice", "abc"]]));
    const expected = parse(TOML.replace("00000000-0000-0000-0000-000000000000", "abc"));
    expect(parse(text)).toEqual(expected);
  });
});
