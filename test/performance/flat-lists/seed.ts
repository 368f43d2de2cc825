/** Writes the runs of a measurement into the database of a stopped server. */
import { DatabaseSync } from "node:sqlite";
import { Database } from "#db/database";
import type { Micros } from "#lib/clock";
import { noCost } from "#lib/cost";
import { d1OfFile } from "../file-d1.ts";
import type { Fixtures } from "./fixtures.ts";
import { countRuns, writeRuns } from "./write-runs.ts";

/** So many of the newest runs have the last week, on each server. */
const NEWEST = 1_000;
const RUNS_PER_WRITE = 200;

/** Writes so many runs. */
export async function seed(file: string, fixtures: Fixtures, runs: number, now: Micros): Promise<void> {
  const database = new DatabaseSync(file);
  database.exec("pragma synchronous = off; pragma cache_size = -200000");
  const db = new Database(d1OfFile(database), noCost());
  for (let next = runs; next > 0; next -= RUNS_PER_WRITE) {
    const indices = Array.from({ length: Math.min(RUNS_PER_WRITE, next) }, (_, place) => next - 1 - place);
    database.exec("begin");
    await db.batch(writeRuns(db, { fixtures, runs, newest: NEWEST, now }, indices));
    database.exec("commit");
  }
  await db.run(countRuns(now));
  database.close();
}
