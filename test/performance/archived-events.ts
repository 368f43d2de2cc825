/**
 * Measures the search for events of which the older days are in the archive, on a local server:
 * `node test/performance/archived-events.ts [events] [folder]`. The folder may have the data of an earlier measurement.
 */
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { Database } from "#db/database";
import { buildSegments, type GatheredEvent, writeSegments } from "#events/segments";
import { systemIds } from "#lib/clock";
import { noCost } from "#lib/cost";
import { printTime } from "#wire/dates";
import { findD1File, readDatabase } from "../../bench/data-folder.ts";
import { startLocalServer } from "../../scripts/local-server.ts";
import { readPid } from "../../scripts/processes.ts";
import { d1OfFile } from "./file-d1.ts";

const PORT = 4287;
const DAYS = 8;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A run has so many events within a minute, and its tasks one each. */
const EVENTS_PER_RUN = 25;
const EVENTS_PER_SEGMENT = 20;
const REQUESTS = 25;
const WORKSPACE = "00000000-0000-4000-8000-000000000001";

const events = Number(process.argv[2] ?? 1_000_000);
const folder = process.argv[3] ?? mkdtempSync(join(tmpdir(), "archived-events-"));
const now = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
const ids = systemIds();

function start() {
  // A start sets this variable for itself.
  delete process.env["MINIFLARE_WORKERD_PATH"];
  return startLocalServer({ host: "127.0.0.1", port: PORT, data: folder, vars: {} });
}

/** An event of a run, or of a task run in it, about as large as the client's. */
function anEvent(index: number, at: number): GatheredEvent {
  const run = `prefect.flow-run.${Math.floor(index / EVENTS_PER_RUN)
    .toString(16)
    .padStart(8, "0")}-0000-4000-8000-000000000000`;
  const isTask = index % EVENTS_PER_RUN >= 4;
  const occurred = at * 1000;
  const event = {
    occurred: printTime(occurred),
    event: isTask ? "prefect.task-run.Completed" : "prefect.flow-run.Running",
    resource: {
      "prefect.resource.id": isTask ? `prefect.task-run.${crypto.randomUUID()}` : run,
      "prefect.resource.name": "a-run",
    },
    related: [
      { "prefect.resource.id": run, "prefect.resource.role": "flow-run", "prefect.resource.name": "a-run" },
      { "prefect.resource.id": "prefect.flow.f", "prefect.resource.role": "flow", "prefect.resource.name": "flow" },
    ],
    payload: {
      word: index % 5_000 === 0 ? "needle" : "hay",
      validated_state: { type: "COMPLETED", name: "Completed", message: "", state_details: { flow_run_id: run } },
      task_run: {
        task_key: "add-1",
        dynamic_key: crypto.randomUUID(),
        tags: ["t"],
        labels: {},
        task_inputs: { x: [] },
      },
      text: "a".repeat(400),
    },
    id: ids.ordered(occurred),
    follows: null,
    received: printTime(occurred),
  };
  return { event, occurred, json: JSON.stringify(event) };
}

async function seed(file: string): Promise<void> {
  const database = new DatabaseSync(file);
  database.exec("pragma synchronous = off");
  const db = new Database(d1OfFile(database), noCost());
  const step = (DAYS * DAY_MS) / events;
  const perWrite = EVENTS_PER_SEGMENT * 200;
  for (let first = 0; first < events; first += perWrite) {
    const segments = [];
    for (let index = first; index < Math.min(events, first + perWrite); index += EVENTS_PER_SEGMENT) {
      const at = now - DAYS * DAY_MS + index * step;
      const some = Array.from({ length: EVENTS_PER_SEGMENT }, (_, one) => anEvent(index + one, at + one * step));
      segments.push(...buildSegments(some, (at + EVENTS_PER_SEGMENT * step) * 1000, ids));
    }
    database.exec("begin");
    await writeSegments(db, WORKSPACE, segments, () => false);
    database.exec("commit");
  }
  database.close();
}

const moved = (file: string) =>
  readDatabase(file, (database) => ({
    isOpen: database
      .prepare("select 1 from sweep_mark where name = 'retention: archive events' and mark ->> 'cursor' is not null")
      .get(),
    hours: Number(database.prepare("select count(*) as n from event_archive").get()?.["n"]),
  }));

/** Starts the server until its crons have moved everything that is due. */
async function moveAll(file: string): Promise<void> {
  for (let before = -1; ;) {
    const server = await start();
    const began = Date.now();
    // A turn makes twenty bundles.
    for (let quiet = 0, last = -1; quiet < 4 && Date.now() - began < 50_000; quiet++) {
      await sleep(1_000);
      const { hours } = moved(file);
      if (hours !== last) quiet = 0;
      last = hours;
    }
    await server.stop();
    const { isOpen, hours } = moved(file);
    console.log(`${hours} bundles`);
    if (!isOpen && hours === before) return;
    before = hours;
  }
}

/** The resident memory of workerd in MB. */
function memory(): number {
  const status = readFileSync(`/proc/${readPid(join(folder, "workerd.pid"))}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1000;
}

async function ask(path: string, body: unknown) {
  const response = await fetch(`http://127.0.0.1:${PORT}/api${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-sluice-cost": "1" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
  return { text, cost: response.headers.get("x-sluice-cost"), partial: response.headers.get("x-sluice-archive") };
}

const time = (at: number) => new Date(at).toISOString();
/** The questions, with the window that ends at a time, and a run of that time. */
const QUESTIONS: Record<string, (until: number, run: string) => [string, unknown]> = {
  "a page": (until) => ["/events/filter", { filter: windowOf(until) }],
  "a page, by name": (until) => [
    "/events/filter",
    { filter: { ...windowOf(until), event: { prefix: ["prefect.flow-run."] } } },
  ],
  "a run (any_resource), 180 days": (_, run) => ["/events/filter", { filter: { any_resource: { id: [run] } } }],
  "a run (related), a day": (until, run) => [
    "/events/filter",
    { filter: { ...windowOf(until), related: { id: [run] } } },
  ],
  "text, an hour": (until) => [
    "/events/filter",
    { filter: { ...windowOf(until, HOUR_MS), text: { query: "needle" } } },
  ],
  "text, a day": (until) => ["/events/filter", { filter: { ...windowOf(until), text: { query: "needle" } } }],
  "count by hour, a day": (until) => ["/events/count-by/time", { filter: windowOf(until), time_unit: "hour" }],
  "count by day, all": () => [
    "/events/count-by/day",
    { filter: { occurred: { since: time(now - 10 * DAY_MS), until: time(now) } } },
  ],
  "a page of 180 days": () => ["/events/filter", { filter: {} }],
};
const windowOf = (until: number, length = DAY_MS) => ({
  occurred: { since: time(until - length), until: time(until) },
});

async function measure(): Promise<void> {
  const server = await start();
  // The first turn of the crons, and the code that each question compiles once.
  await sleep(5_000);
  for (const question of Object.values(QUESTIONS)) await ask(...question(now, ""));
  await sleep(2_000);
  const idle = memory();
  console.log(`workerd has ${idle.toFixed(0)} MB`);
  for (const [place, newest] of [
    ["D1", now],
    ["archive", now - 3 * DAY_MS],
  ] as const) {
    for (const [name, question] of Object.entries(QUESTIONS)) {
      const times: number[] = [];
      let most = 0;
      let last = await ask("/events/filter", { filter: windowOf(newest), limit: 1 });
      for (let index = 0; index < REQUESTS; index++) {
        const until = newest - index * 7 * 60_000;
        const ordinal = Math.floor(
          (((until - HOUR_MS / 3 - (now - DAYS * DAY_MS)) / (DAYS * DAY_MS)) * events) / EVENTS_PER_RUN,
        );
        const run = `prefect.flow-run.${ordinal.toString(16).padStart(8, "0")}-0000-4000-8000-000000000000`;
        const began = performance.now();
        last = await ask(...question(until, run));
        times.push(performance.now() - began);
        most = Math.max(most, memory() - idle);
      }
      const sorted = times.toSorted((a, b) => a - b);
      const [p50 = 0, p95 = 0] = [0.5, 0.95].map((share) => sorted[Math.floor(share * sorted.length)]);
      const total = /"total":(\d+)/.exec(last.text)?.[1] ?? "";
      console.log(
        [
          place,
          name,
          `p50 ${p50.toFixed(0)} ms`,
          `p95 ${p95.toFixed(0)} ms`,
          `+${most.toFixed(0)} MB`,
          total,
          last.partial,
          last.cost,
        ].join(" | "),
      );
    }
  }
  await server.stop();
}

if (process.argv[3] === undefined) {
  await (await start()).stop();
  const began = performance.now();
  await seed(findD1File(folder));
  console.log(`${events} events in ${folder}, written in ${((performance.now() - began) / 1000).toFixed(0)} s`);
}
await moveAll(findD1File(folder));
await measure();
process.exit(0);
