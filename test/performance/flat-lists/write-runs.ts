/** The statements that write the runs of a measurement. They are the server's own where the server writes such rows. */
import { type SQL, sql } from "drizzle-orm";
import type { Database, Statement } from "#db/database";
import { insertRows } from "#db/sql";
import { shortId, shortWorkspace } from "#db/short/ids";
import { artifact, artifact_collection } from "#db/tables/artifact";
import { flow_run, flow_run_count, flow_run_state } from "#db/tables/flow-run";
import { recordTaskRuns } from "#events/task-runs";
import { buildSegments, segmentStatements } from "#events/segments";
import { DAY, type Micros, SECOND, systemIds } from "#lib/clock";
import { insertSegments } from "#resources/logs/insert-segments";
import { buildLogSegments } from "#resources/logs/segments";
import type { StateType } from "#wire/state";
import type { Fixtures } from "./fixtures.ts";
import { type Plan, rowsOf, type RunRows, WORKSPACE } from "./rows.ts";

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

const ids = systemIds();

/** Which runs there are. */
export interface World {
  fixtures: Fixtures;
  /** The number of runs. The run with the number 0 is the newest. */
  runs: number;
  /** So many of the newest runs have the last week. All others have the weeks before. */
  newest: number;
  now: Micros;
}

/** The statements that write the runs with these numbers. */
export function writeRuns(db: Database, world: World, indices: readonly number[]): Statement[] {
  return statementsOf(
    db,
    indices.map((index) => rowsOf(planOf(index, world))),
    world.now,
  );
}

/** What the clock does each minute, so that a measurement need not wait for it. */
export function countRuns(now: Micros): SQL {
  const before = now - 60 * SECOND;
  return sql`insert into ${flow_run_count} (workspace_id, before, count)
    select ${WORKSPACE}, ${before}, count(*) from ${flow_run} where workspace_id = ${WORKSPACE}
      and coalesce("start_time", "expected_start_time") < ${before}
    on conflict (workspace_id) do update set before = excluded.before, count = excluded.count`;
}

function planOf(index: number, { fixtures: { origins, rare }, runs, newest, now }: World): Plan {
  const isRare = index < newest && index % 100 === RARE;
  const origin = isRare ? rare : origins[index % origins.length];
  if (!origin) throw new Error("no deployment");
  return { index, origin, type: typeOf(index), expected: expectedOf(index, runs, newest, now) };
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

function expectedOf(index: number, runs: number, newest: number, now: Micros): Micros {
  const [, scheduled] = LIVE[0] ?? ["SCHEDULED", 0];
  if (index < scheduled) return now + (scheduled - index) * 3_600 * SECOND;
  if (index < newest) return now - 120 * SECOND - Math.floor(((index - scheduled) / newest) * WEEK);
  return now - WEEK - Math.floor(((index - newest) / Math.max(1, runs - newest)) * WEEKS_BEFORE);
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
