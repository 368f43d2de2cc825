/** The conversion of old rows: runs the sweeps that do it, and counts the rows that are still in an old form. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { databaseIn } from "./server.ts";

/** The sweeps, by their names in `src/services/crons.ts`, and the rows that each of them has to convert. */
const SWEEPS: readonly { job: string; old: string }[] = [
  { job: "pack old events", old: "select count(*) as n from event_segment where typeof(events) = 'text'" },
  {
    job: "pack old logs",
    // A short record may not shrink. Then it stays text.
    old: "select count(*) as n from log_segment where typeof(records) = 'text' and octet_length(records) > 300",
  },
  { job: "shorten rows", old: `select count(*) as n from task_run where states like '%"state_details"%'` },
  { job: "shorten rows", old: `select count(*) as n from flow_run_state where state_details like '%"flow_run_id"%'` },
];

/** How many turns of a sweep the small databases of this test may need. */
const MAX_TURNS = 20;

/** How many rows are in an old form. */
export function countOldRows(data: string): number {
  const database = new DatabaseSync(databaseIn(data), { readOnly: true });
  try {
    return SWEEPS.reduce((sum, { old }) => sum + Number(database.prepare(old).get()?.["n"]), 0);
  } finally {
    database.close();
  }
}

/** Runs turns of the sweeps until no row is in an old form. */
export async function convert(origin: string, data: string): Promise<void> {
  const jobs = new Set(SWEEPS.map(({ job }) => job));
  for (let turns = 0; countOldRows(data) > 0; turns++) {
    assert.ok(turns < MAX_TURNS, `${countOldRows(data)} rows are still in an old form`);
    for (const job of jobs) await runJob(origin, job);
  }
}

/** Moves all events to the archive, as if it were days later. Returns the number of segments that stay in D1. */
export async function moveEvents(origin: string, data: string): Promise<number> {
  for (let turns = 0, left = Infinity; turns < MAX_TURNS; turns++) {
    for (const job of ["sweep the outbox", "archive events"]) await runJob(origin, job, (10 + turns) * 86_400);
    const now = countSegments(data);
    if (now === left) return now;
    left = now;
  }
  throw new Error("the move does not come to an end");
}

function countSegments(data: string): number {
  const database = new DatabaseSync(databaseIn(data), { readOnly: true });
  try {
    return Number(database.prepare("select count(*) as n from event_segment").get()?.["n"]);
  } finally {
    database.close();
  }
}

/** Runs one turn of a job, as if it were some seconds later. */
async function runJob(origin: string, job: string, ahead = 0): Promise<void> {
  const url = `${origin}/local/jobs/${encodeURIComponent(job)}?ahead=${ahead}`;
  const response = await fetch(url, { method: "POST" });
  assert.equal(response.status, 200, `the job "${job}": ${response.status} ${await response.text()}`);
}
