/** The number of rows that a turn reads grows with the due schedules, not with the deployments. */
import { createExecutionContext, env, runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { Database } from "#db/database";
import { noCost } from "#lib/cost";
import { CRONS, runCron } from "#services/crons";
import { skipMissedRuns } from "#services/overdue-runs";
import { topUpSchedules } from "#services/scheduler";
import { repackEvents } from "#services/repack-events";
import { packOldLogs } from "#services/repack-logs";
import { shortenRows } from "#services/shorten-rows";
import { makeTools } from "#tools";
import { SimulatedD1 } from "../services/simulated-d1";
import { WORKSPACE } from "../support/world";

const NOW = 1_790_000_000_000_000;

/** Creates so many deployments with an hourly schedule. The first few schedules are due. */
function seed(d1: SimulatedD1, deployments: number, due: number): Promise<unknown> {
  const ids = JSON.stringify(Array.from({ length: deployments }, (_, index) => `d${String(index).padStart(6, "0")}`));
  const schedule = JSON.stringify({ interval: 3600, anchor_date: "2026-01-01T00:00:00Z", timezone: "UTC" });
  return d1.batch([
    d1
      .prepare(
        "insert into flow (workspace_id, id, created, updated, name, tags, labels) values (?, 'f', 1, 1, 'f', '[]', '{}')",
      )
      .bind(WORKSPACE),
    d1
      .prepare(
        `insert into deployment (workspace_id, id, created, updated, name, flow_id, paused, status, job_variables, parameters,
          enforce_parameter_schema, tags, labels)
        select ?, value, 1, 1, value, 'f', 0, 'READY', '{}', '{}', 1, '[]', '{}' from json_each(?)`,
      )
      .bind(WORKSPACE, ids),
    d1
      .prepare(
        `insert into deployment_schedule (workspace_id, deployment_id, id, created, updated, schedule, active, parameters,
          scheduled_until, top_up_at)
        select ?1, value, value, 1, 1, ?2, 1, '{}', ?3, case when key < ?4 then ?3 else ?3 + 1800000000 end from json_each(?5)`,
      )
      .bind(WORKSPACE, schedule, NOW, due, ids),
  ]);
}

const cron = Object.values(CRONS).flat();

/**
 * The rows that a turn with so many due schedules reads, and the next turn without any; of single jobs and of all jobs.
 */
async function readBy(deployments: number, due: number) {
  const name = `${deployments} ${due}`;
  return runInDurableObject(env.TASK_QUEUE.get(env.TASK_QUEUE.idFromName(name)), async (_, state) => {
    const d1 = new SimulatedD1(state.storage, () => "none");
    await seed(d1, deployments, due);
    const context = createExecutionContext();
    const tools = makeTools(env, WORKSPACE, (work) => context.waitUntil(work));
    const rowsOf = async (job: typeof topUpSchedules) => {
      const cost = noCost();
      await job({ ...tools, db: new Database(d1, cost), clock: () => NOW + 1000 });
      return cost.d1_rows_read;
    };
    const read = {
      busy: await rowsOf(topUpSchedules),
      idle: await rowsOf(topUpSchedules),
      missed: await rowsOf(skipMissedRuns),
    };
    // These sweeps read all rows once in the life of a database.
    for (const sweep of [shortenRows, repackEvents, packOldLogs]) await rowsOf(sweep);
    const all = () => rowsOf((own) => runCron(cron, own));
    // In the first turn all rounds begin. They begin again after an hour or a day.
    return { ...read, first: await all(), turn: await all() };
  });
}

test("a turn reads as many rows with 10,000 deployments as with 10", async () => {
  const small = await readBy(10, 5);
  const table = [small, await readBy(1000, 5), await readBy(10_000, 5), await readBy(10_000, 50)];
  const [, middle, large, busy] = table;
  expect(middle).toEqual(small);
  expect(large).toEqual(small);
  expect(small.idle).toBeLessThanOrEqual(1);
  expect(small.missed).toBeLessThanOrEqual(1);

  expect(small.first).toBeLessThanOrEqual(70);
  expect(small.turn).toBeLessThanOrEqual(40);
  // With ten times the due schedules, a turn reads about ten times the rows.
  expect(busy?.busy).toBeLessThan(small.busy * 12);
}, 120_000);
