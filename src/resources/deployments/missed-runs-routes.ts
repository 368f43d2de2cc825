/** The routes under /deployments/{id}/schedules/{schedule_id}/missed_runs: what is done with runs that no worker started in time. Prefect has no such routes. */
import { sql } from "drizzle-orm";
import { readOptionalJson } from "#db/database";
import type { ScheduleRow } from "#db/rows/deployments";
import { deployment_schedule } from "#db/tables/deployment";
import { route } from "#http/route";
import { notFound } from "#lib/api-error";
import type { Tools } from "#tools";
import { DEFAULT_MISSED_RUNS, MissedRuns, missedRunsColumn } from "#wire/deployments";

const PATH = "/deployments/{id:uuid}/schedules/{schedule_id:uuid}/missed_runs";
type BySchedule = { id: string; schedule_id: string };

const where = ({ workspaceId }: Tools, { id, schedule_id }: BySchedule) =>
  sql`where workspace_id = ${workspaceId} and deployment_id = ${id} and id = ${schedule_id}`;

async function read(tools: Tools, which: BySchedule): Promise<MissedRuns> {
  const [row] = await tools.db.rows<Pick<ScheduleRow, "missed_runs">>(
    sql`select missed_runs from ${deployment_schedule} ${where(tools, which)}`,
  );
  if (!row) throw notFound("Schedule");
  return readOptionalJson<MissedRuns>(row.missed_runs) ?? DEFAULT_MISSED_RUNS;
}

/** The schedule's `updated` stays: the runs that exist already remain valid. */
async function write(tools: Tools, which: BySchedule, wish: MissedRuns): Promise<MissedRuns> {
  const { rows } = await tools.db.run(
    sql`update ${deployment_schedule} set missed_runs = ${missedRunsColumn(wish)} ${where(tools, which)} returning id`,
  );
  if (rows.length === 0) throw notFound("Schedule");
  return wish;
}

export const missedRunsRoutes = [
  route(
    {
      method: "GET",
      path: PATH,
      summary: "Read what is done with the runs of a schedule that no worker started in time.",
      response: MissedRuns,
    },
    ({ params, tools }) => read(tools, params),
  ),
  route(
    {
      method: "PUT",
      path: PATH,
      summary: "Set what is done with the runs of a schedule that no worker started in time.",
      body: MissedRuns,
      response: MissedRuns,
    },
    ({ params, body, tools }) => write(tools, params, body),
  ),
];
