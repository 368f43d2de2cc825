/** Makes a fixture of old-database.system.ts with the code of an older commit. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { Api } from "../support/api.ts";
import { Program } from "../support/program.ts";
import { askAll, type Request } from "./answers.ts";
import { fillEvents, postWaitingReports } from "./fill/events.ts";
import { fillFlowRuns } from "./fill/flow-runs.ts";
import { fillLogs } from "./fill/logs.ts";
import { fillThings } from "./fill/things.ts";
import { allRequests } from "./requests/all.ts";
import { compress, databaseIn, filesOf, SETTINGS, unpackDatabase } from "./server.ts";

const HELP = `node test/system/old-database/make.ts CHECKOUT [--answers-only]

Starts Sluice from CHECKOUT, fills its database, and stores the database, requests and the answers of that code in
the folder with the name of the commit. COMMITS in server.ts lists the stored commits.
CHECKOUT is a worktree with its node_modules: git worktree add --detach ../old 05277ef && npm --prefix ../old ci

--answers-only  keeps the stored database, and stores only requests and answers anew
SLUICE_PYTHON   a Python with the stock client (.venv/bin/python)`;

const PORT = 14_321;
/** The sweep of the outbox sends what was not sent when a state is a minute old. The sweep runs each minute. */
const QUIET_MS = 130_000;

const [checkout, ...options] = process.argv.slice(2);
if (checkout === undefined || checkout.startsWith("-")) {
  console.log(HELP);
  process.exit(1);
}
const commit = execFileSync("git", ["-C", checkout, "rev-parse", "--short=7", "HEAD"], { encoding: "utf8" }).trim();
mkdirSync(dirname(filesOf(commit).database), { recursive: true });
const api = new Api(`http://127.0.0.1:${PORT}/api`);
const folder = mkdtempSync(join(tmpdir(), "sluice-old-"));
try {
  if (!options.includes("--answers-only")) await makeDatabase(checkout, join(folder, "filled"));
  await recordAnswers(checkout, join(folder, "asked"));
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
process.exit(0);

async function makeDatabase(checkout: string, data: string): Promise<void> {
  const server = await start(checkout, data);
  const things = await fillThings(api);
  await fillFlowRuns(api, things);
  await fillEvents(api, things);
  await fillLogs(api, things);
  await runStockFlows();
  await sleep(QUIET_MS);
  await postWaitingReports(api, things);
  await stop(server);
  const database = new DatabaseSync(databaseIn(data));
  database.exec("pragma wal_checkpoint(truncate); vacuum; pragma wal_checkpoint(truncate);");
  const [waiting] = database.prepare("select count(*) as n from event_segment where consumed = 0").all();
  console.log("segments that wait:", waiting?.["n"]);
  database.close();
  writeFileSync(filesOf(commit).database, compress(readFileSync(databaseIn(data))));
}

async function recordAnswers(checkout: string, data: string): Promise<void> {
  unpackDatabase(commit, data);
  const server = await start(checkout, data);
  const requests: Request[] = await allRequests(api);
  const answers = await askAll(api, requests);
  await stop(server);
  writeFileSync(filesOf(commit).requests, requests.map((request) => `${JSON.stringify(request)}\n`).join(""));
  writeFileSync(filesOf(commit).answers, compress(JSON.stringify(answers)));
  console.log(`${requests.length} requests`);
}

async function start(checkout: string, data: string): Promise<Program> {
  const args = ["--prefix", resolve(checkout), "start", "--", "--port", String(PORT), "--data", data];
  const server = new Program("npm", args, SETTINGS);
  await server.prints(/export PREFECT_API_URL=\S+\n/, 120);
  return server;
}

async function stop(server: Program): Promise<void> {
  server.signal("SIGINT");
  await server.end(30);
}

async function runStockFlows(): Promise<void> {
  const python = process.env["SLUICE_PYTHON"] ?? ".venv/bin/python";
  const settings = { PREFECT_API_URL: api.url, PREFECT_HOME: join(folder, "home") };
  const program = new Program(python, [join(import.meta.dirname, "fill", "stock.py")], settings);
  const { code } = await program.end(300);
  if (code !== 0) throw new Error(program.output);
}
