/** Reads everything that was accepted, and notes what is lost or doubled. */
import { DatabaseSync } from "node:sqlite";
import { once } from "node:events";
import { existsSync, readdirSync, watch } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { wireTime } from "../../../bench/ids.ts";
import type { Api } from "../support/api.ts";
import { databaseIn } from "../old-database/server.ts";
import { type AcceptedRun, difference, inWords, type Ledger, thingOf } from "./ledger.ts";

const STATES = ["Pending", "Running", "Completed"];
const CALLERS = 6;

/** What was read at the end. */
export interface Checked {
  runs: number;
  states: number;
  logs: number;
  events: number;
  taskRunStates: number;
}

/** The logs and the events of one run, which may be moving. Returns what is wrong. */
export async function checkRecords(api: Api, run: AcceptedRun): Promise<string[]> {
  const messages = await api.logMessages(run.id);
  const events = await api.events({ resource: { id: [thingOf(run.id)] } });
  return [
    inWords(`logs of ${run.id}`, difference(messages, run.messages)),
    inWords(
      `events of ${run.id}`,
      difference(
        events.map(({ id }) => id),
        run.events,
      ),
    ),
  ].flatMap((words) => words ?? []);
}

/** Checks all runs when nobody writes any more. The events of states must have been sent. */
export async function checkAll(api: Api, ledger: Ledger, sinceMs: number): Promise<Checked> {
  const checked: Checked = { runs: ledger.runs.length, states: 0, logs: 0, events: 0, taskRunStates: 0 };
  const stateIds: string[] = [];
  const waiting = [...ledger.runs];
  const call = async () => {
    for (let run = waiting.pop(); run; run = waiting.pop()) {
      for (const wrong of await checkRecords(api, run)) ledger.fault(wrong);
      const states = await api.flowRunStates(run.id);
      const names = states.map(({ name }) => name);
      if (names.join() !== STATES.join()) ledger.fault(`states of ${run.id}: ${names.join()}`);
      stateIds.push(...states.map(({ id }) => id));
      await checkTaskRuns(api, ledger, run);
      checked.states += states.length;
      checked.logs += run.messages.length;
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, call));

  const occurred = { since: wireTime(sinceMs) };
  const idsOf = async (event: object) => (await api.events({ event, occurred })).map(({ id }) => id);
  const reports = ledger.runs.flatMap((run) => [...run.taskRuns.values()].flat());
  const things = ledger.runs.flatMap((run) => run.events);
  for (const [what, event, accepted] of [
    ["all events of things", { name: ["kills.happened"] }, things],
    ["all reports of task runs", { prefix: ["prefect.task-run."] }, reports],
    ["all events of states", { prefix: ["prefect.flow-run."] }, stateIds],
  ] as const) {
    const words = inWords(what, difference(await idsOf(event), accepted));
    if (words !== null) ledger.fault(words);
    checked.events += accepted.length;
  }
  checked.taskRunStates = reports.length;
  return checked;
}

async function checkTaskRuns(api: Api, ledger: Ledger, run: AcceptedRun): Promise<void> {
  if (run.taskRuns.size === 0) return;
  const found = (await api.taskRuns(run.id)).map(({ id }) => id);
  const words = inWords(`task runs of ${run.id}`, difference(found, [...run.taskRuns.keys()]));
  if (words !== null) ledger.fault(words);
  for (const [id, states] of run.taskRuns) {
    const ids = (await api.taskRunStates(id)).map((state) => state.id);
    const wrong = inWords(`states of task run ${id}`, difference(ids, states));
    if (wrong !== null) ledger.fault(wrong);
  }
}

/** The objects of the archive without a row, and the rows without an object. The server need not be stopped. */
export function compareObjects(data: string): { bundles: number; objects: number; rows: number } {
  const rows = keysIn(databaseIn(data), "select key from event_archive union all select key from log_archive");
  const folder = join(data, "r2", "miniflare-R2BucketObject");
  const files = readdirSync(folder).filter((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite");
  const objects = files.flatMap((name) => keysIn(join(folder, name), "select key from _mf_objects"));
  const { lost, doubled } = difference(objects, rows);
  return { bundles: rows.length, objects: doubled.length, rows: lost.length };
}

/** Waits until the server writes an object of the archive, at most so long. */
export async function nextObject(data: string, milliseconds: number): Promise<void> {
  const folder = join(data, "r2", "sluice-archive", "blobs");
  if (!existsSync(folder)) return;
  const watcher = watch(folder);
  await Promise.race([once(watcher, "change"), sleep(milliseconds)]);
  watcher.close();
}

function keysIn(file: string, select: string): string[] {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return database
      .prepare(select)
      .all()
      .map(({ key }) => String(key));
  } finally {
    database.close();
  }
}
