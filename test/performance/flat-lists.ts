/**
 * Measures every list, count and chart beside few and beside many runs, on two local servers:
 * `node test/performance/flat-lists.ts [few] [many] [folder]`. Prints a table in Markdown. The folder may have the data of an earlier
 * measurement with the same numbers. `ONLY` is a part of the names of the wanted questions.
 */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findD1File } from "../../bench/data-folder.ts";
import { startLocalServer } from "../../scripts/local-server.ts";
import { readPid } from "../../scripts/processes.ts";
import { createFixtures, type Fixtures } from "./flat-lists/fixtures.ts";
import { type Question, questionsOf } from "./flat-lists/questions.ts";
import { seed } from "./flat-lists/seed.ts";

const PORTS = { few: 4781, many: 4782 };
const ROUNDS = Number(process.env["ROUNDS"] ?? 11);
const WARMING = Number(process.env["WARMING"] ?? 3);
/** The growth that the budget allows, in time and in rows. */
const BUDGET = 1.5;

type Side = keyof typeof PORTS;
const SIDES: readonly Side[] = ["few", "many"];

const sizes = { few: Number(process.argv[2] ?? 1_000), many: Number(process.argv[3] ?? 100_000) };
const folder = process.argv[4] ?? mkdtempSync(join(tmpdir(), "flat-lists-"));

/** Sweeps that would change the rows, or move old ones to the archive, are off. Events are kept. */
const VARS = {
  SLUICE_ARCHIVE_ENABLED: "false",
  PREFECT_SERVER_EVENTS_RETENTION_PERIOD: String(400 * 86_400),
  PREFECT_SERVER_SERVICES_ZOMBIES_ENABLED: "false",
  PREFECT_SERVER_SERVICES_LAZARUS_ENABLED: "false",
  PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED: "false",
  PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED: "false",
};

const dataOf = (side: Side) => join(folder, `${side}-${sizes[side]}`);

function start(side: Side) {
  // A start sets this variable for itself.
  delete process.env["MINIFLARE_WORKERD_PATH"];
  return startLocalServer({ host: "127.0.0.1", port: PORTS[side], data: dataOf(side), vars: VARS });
}

interface Facts {
  fixtures: Fixtures;
  now: number;
}

/** Creates the data of a server, unless the folder has it. */
async function prepare(side: Side): Promise<Facts> {
  const file = join(dataOf(side), "facts.json");
  if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as Facts;
  const server = await start(side);
  const fixtures = await createFixtures(PORTS[side]);
  await server.stop();
  const now = Date.now();
  await seed(findD1File(dataOf(side)), fixtures, sizes[side], now * 1000);
  writeFileSync(file, JSON.stringify({ fixtures, now }));
  console.error(`${sizes[side]} runs in ${dataOf(side)}, written in ${((Date.now() - now) / 1000).toFixed(0)} s`);
  return { fixtures, now };
}

interface Answer {
  text: string;
  ms: number;
  rows: number;
}

/** A connection may end while it is not used, so a request that has no answer is repeated. */
async function ask(side: Side, question: Question): Promise<Answer> {
  try {
    return await askOnce(side, question);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return askOnce(side, question);
  }
}

async function askOnce(side: Side, [path, body]: Question): Promise<Answer> {
  const [, get] = /^GET (.*)$/.exec(path) ?? [];
  const began = performance.now();
  const response = await fetch(`http://127.0.0.1:${PORTS[side]}/api${get ?? path}`, {
    method: get === undefined ? "POST" : "GET",
    headers: { "content-type": "application/json", "x-sluice-cost": "1" },
    ...(get === undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const ms = performance.now() - began;
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text.slice(0, 300)}`);
  const rows = Number(/rows_read=(\d+)/.exec(response.headers.get("x-sluice-cost") ?? "")?.[1]);
  return { text, ms, rows };
}

/** The questions of a server, with a run that the questions name. */
async function questionsAt(side: Side, { fixtures, now }: Facts) {
  const wanted = {
    sort: "START_TIME_DESC",
    limit: 1,
    offset: 200,
    flow_runs: { state: { type: { any_: ["COMPLETED"] } } },
  };
  const [run] = JSON.parse((await ask(side, ["/flow_runs/filter", wanted])).text) as { id: string }[];
  const runId = run?.id ?? "";
  const tasks = await ask(side, ["/task_runs/filter", { flow_runs: { id: { any_: [runId] } }, limit: 1 }]);
  const [taskRun] = JSON.parse(tasks.text) as { id: string }[];
  return questionsOf({ fixtures, now, runId, taskRunId: taskRun?.id ?? "" });
}

/** The resident memory of a server in MB. */
function memory(side: Side): string {
  const status = readFileSync(`/proc/${readPid(join(dataOf(side), "workerd.pid"))}/status`, "utf8");
  return `${(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1000).toFixed(0)} MB`;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

/** Asks both servers in turn. */
async function measure(asked: Record<Side, Question>) {
  const times: Record<Side, number[]> = { few: [], many: [] };
  const rows: Record<Side, number> = { few: 0, many: 0 };
  for (let round = -WARMING; round < ROUNDS; round++) {
    for (const side of SIDES) {
      const answer = await ask(side, asked[side]);
      rows[side] = answer.rows;
      if (round >= 0) times[side].push(answer.ms);
    }
  }
  return { ms: { few: median(times.few), many: median(times.many) }, rows };
}

const ratio = (few: number, many: number) => (few === 0 ? (many === 0 ? 1 : Infinity) : many / few);

const facts = { few: await prepare("few"), many: await prepare("many") };
const servers = [await start("few"), await start("many")];
const asked = { few: await questionsAt("few", facts.few), many: await questionsAt("many", facts.many) };
const failed: string[] = [];
for (const [group, questions] of Object.entries(asked.few)) {
  const wanted = Object.entries(questions).filter(([name]) => `${group}: ${name}`.includes(process.env["ONLY"] ?? ""));
  if (wanted.length === 0) continue;
  console.log(`\n| ${group} | ms | rows read | growth in time | in rows |\n| --- | --- | --- | --- | --- |`);
  for (const [name, few] of wanted) {
    const many = asked.many[group]?.[name];
    if (!many) throw new Error(`no question ${name}`);
    const { ms, rows } = await measure({ few, many });
    const grown = [ratio(ms.few, ms.many), ratio(rows.few, rows.many)] as const;
    if (grown[0] > BUDGET || grown[1] > BUDGET) failed.push(`${group}: ${name}`);
    const [inTime, inRows] = grown.map((one) => `${one.toFixed(2)} ×`);
    console.log(
      `| ${name} | ${ms.few.toFixed(1)}, ${ms.many.toFixed(1)} | ${rows.few}, ${rows.many} | ${inTime} | ${inRows} |`,
    );
  }
}
console.log(`\nmemory: ${memory("few")}, ${memory("many")}\nnot flat (${failed.length}):\n- ${failed.join("\n- ")}`);
for (const server of servers) await server.stop();
process.exit(0);
