/** Writes the runs of a measurement into the database of a stopped server, with the server's own statements. */
import { DatabaseSync } from "node:sqlite";
import { type SQL, sql } from "drizzle-orm";
import { Database, type Statement } from "#db/database";
import { insertRows } from "#db/sql";
import { shortId, shortWorkspace } from "#db/short/ids";
import { flow_run, flow_run_count, flow_run_state } from "#db/tables/flow-run";
import { artifact, artifact_collection } from "#db/tables/artifact";
import { recordTaskRuns } from "#events/task-runs";
import { buildSegments, segmentStatements } from "#events/segments";
import { DAY, type Micros, SECOND, systemIds } from "#lib/clock";
import { noCost } from "#lib/cost";
import { insertSegments } from "#resources/logs/insert-segments";
import { buildLogSegments } from "#resources/logs/segments";
import type { StateType } from "#wire/state";
import { d1OfFile } from "../file-d1.ts";
import type { Fixtures } from "./fixtures.ts";
import { type Plan, rowsOf, type RunRows, WORKSPACE } from "./rows.ts";

/** So many of the newest runs have the last week, on each server. All others have the weeks before. */
const NEWEST = 1_000;
const WEEK = 7 * DAY;
const WEEKS_BEFORE = 12 * WEEK;
/** So many of the newest runs have not ended or have not begun, on each server. */
const LIVE: [StateType, number][] = [
  ["SCHEDULED", 60],
  ["PENDING", 5],
  ["RUNNING", 20],
  ["PAUSED", 3],
];
/** Of a hundred of the newest runs, the one with this place is of the flow with few runs. */
const RARE = 97;
const RUNS_PER_WRITE = 200;

const ids = systemIds();

/** Writes so many runs. The run with the number 0 is the newest. */
export async function seed(file: string, fixtures: Fixtures, runs: number, now: Micros): Promise<void> {
  const database = new DatabaseSync(file);
  database.exec("pragma synchronous = off; pragma cache_size = -200000");
  const db = new Database(d1OfFile(database), noCost());
  for (let next = runs; next > 0; next -= RUNS_PER_WRITE) {
    const some = Array.from({ length: Math.min(RUNS_PER_WRITE, next) }, (_, place) =>
      rowsOf(planOf(next - 1 - place, fixtures, runs, now)),
    );
    database.exec("begin");
    await db.batch(statementsOf(db, some, now));
    database.exec("commit");
  }
  // What the clock does each minute, so that the measurement need not wait for it.
  const before = now - 60 * SECOND;
  await db.run(sql`insert into ${flow_run_count} (workspace_id, before, count)
    select ${WORKSPACE}, ${before}, count(*) from ${flow_run} where workspace_id = ${WORKSPACE}
      and coalesce("start_time", "expected_start_time") < ${before}`);
  database.close();
}

function planOf(index: number, { origins, rare }: Fixtures, runs: number, now: Micros): Plan {
  const isRare = index < NEWEST && index % 100 === RARE;
  const origin = isRare ? rare : origins[index % origins.length];
  if (!origin) throw new Error("no deployment");
  return { index, origin, type: typeOf(index), expected: expectedOf(index, runs, now) };
}

function typeOf(index: number): StateType {
  let rest = index;
  for (const [type, count] of LIVE) {
    if (rest < count) return type;
    rest -= count;
  }
  if (index % 25 === 0) return "CRASHED";
  if (index % 40 === 1) return "CANCELLED";
  return index % 12 === 0 ? "FAILED" : "COMPLETED";
}

function expectedOf(index: number, runs: number, now: Micros): Micros {
  const [, scheduled] = LIVE[0] ?? ["SCHEDULED", 0];
  if (index < scheduled) return now + (scheduled - index) * 3_600 * SECOND;
  if (index < NEWEST) return now - 120 * SECOND - Math.floor(((index - scheduled) / NEWEST) * WEEK);
  return now - WEEK - Math.floor(((index - NEWEST) / Math.max(1, runs - NEWEST)) * WEEKS_BEFORE);
}

function statementsOf(db: Database, some: readonly RunRows[], now: Micros): Statement[] {
  const logs = some.flatMap((one) => buildLogSegments(one.logs, lastOf(one), ids).map(({ row }) => row));
  const events = some.flatMap((one) => buildSegments(one.events, lastOf(one), ids));
  return [
    insertRows(
      flow_run,
      some.map(({ run }) => run),
    ),
    insertRows(
      flow_run_state,
      some.flatMap(({ states }) => states),
    ),
    ...recordTaskRuns(
      WORKSPACE,
      some.flatMap(({ taskRuns }) => taskRuns),
      now,
    ),
    ...insertSegments(WORKSPACE, logs),
    ...segmentStatements(db, WORKSPACE, events, () => false),
    ...some.flatMap((one) => (one.artifact ? artifactStatements(one.artifact, lastOf(one)) : [])),
  ];
}

const lastOf = ({ states, run }: RunRows): Micros => states.at(-1)?.timestamp ?? run.created;

/** As `ArtifactStore.insert`, which needs a transaction of its own. */
function artifactStatements({ key, ...of }: NonNullable<RunRows["artifact"]>, created: Micros): SQL[] {
  const own = shortWorkspace(WORKSPACE);
  const id = shortId(ids.ordered(created));
  return [
    sql`insert into ${artifact} (workspace_id, id, created, updated, key, type, description, data, metadata_, flow_run_id, task_run_id)
      values (${own}, ${id}, ${created}, ${created}, ${key}, 'markdown', 'a report', '"text"', null,
        ${shortId(of.flow_run_id)}, ${shortId(of.task_run_id)})`,
    sql`insert into ${artifact_collection} (workspace_id, id, key, latest_id, created)
      values (${own}, ${shortId(ids.random())}, ${key}, ${id}, ${created})
      on conflict (workspace_id, key) do update set latest_id = excluded.latest_id where excluded.latest_id > latest_id`,
  ];
}
