/** The deletion of a work queue or pool reads the live runs of the queue or pool, and not the ended runs. */
import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { costOf, TELL_COST } from "../support/cost";
import { aFlow, aFlowRun, api, type FlowRun, propose, unique, WORKSPACE } from "../support/world";

/** A pool with a queue. */
async function aPoolWithQueue(): Promise<{ pool: string; queue: string; queueId: string }> {
  const [pool, queue] = [unique("pool"), unique("queue")];
  await api("POST", "/work_pools/", { name: pool, type: "process" });
  const made = await api<{ id: string }>("POST", `/work_pools/${pool}/queues/`, { name: queue });
  return { pool, queue, queueId: made.body.id };
}

/** Inserts ended runs of a queue into D1. */
async function endedRuns(queueId: string, count: number): Promise<void> {
  const ids = Array.from({ length: count }, () => crypto.randomUUID());
  await env.DB.prepare(
    `insert into flow_run (workspace_id, id, created, updated, name, flow_id, work_queue_id, parameters, context, empirical_policy,
       tags, labels, auto_scheduled, state_type, state_name, state_ids, run_count, end_time, total_run_time)
     select ?, value, 1, 1, 'n', ?, ?, '{}', '{}', '{}', '[]', '{}', 0, 'COMPLETED', 'Completed', '[]', 1, 1, 0 from json_each(?)`,
  )
    .bind(WORKSPACE, await aFlow(), queueId, JSON.stringify(ids))
    .run();
}

test.for(["queue", "pool"] as const)("the deletion of a %s does not read runs that have ended", async (what) => {
  const delete_ = async (ended: number) => {
    const { pool, queue, queueId } = await aPoolWithQueue();
    await endedRuns(queueId, ended);
    const path = what === "pool" ? `/work_pools/${pool}` : `/work_pools/${pool}/queues/${queue}`;
    const answer = await api("DELETE", path, undefined, TELL_COST);
    expect(answer.status).toBe(204);
    return costOf(answer.headers, "rows_read");
  };
  await delete_(0);
  expect(await delete_(3_000)).toBeLessThan((await delete_(0)) + 100);
});

test("no run has the id of a deleted queue, whether the run has ended or not", async () => {
  const { pool, queue, queueId } = await aPoolWithQueue();
  const place = { work_pool_name: pool, work_queue_name: queue };
  const [live, ended] = [await aFlowRun(place), await aFlowRun(place)];
  for (const type of ["RUNNING", "COMPLETED"]) await propose(ended.id, { type });
  const shown = async () =>
    (
      await Promise.all(
        [live, ended].map(async ({ id }) => {
          const { body } = await api<FlowRun>("GET", `/flow_runs/${id}`);
          return [body["work_queue_id"], body["work_queue_name"], body["work_pool_name"]];
        }),
      )
    ).flat();
  expect(await shown()).toEqual([queueId, queue, pool, queueId, queue, pool]);
  await api("DELETE", `/work_pools/${pool}/queues/${queue}`);
  expect(await shown()).toEqual([null, queue, null, null, queue, null]);
  const filter = { work_pool_queues: { id: { any_: [queueId] } } };
  expect((await api<FlowRun[]>("POST", "/flow_runs/filter", filter)).body).toEqual([]);
});
