/** Gives runs to a poll of a worker or an agent. */
import { sql } from "drizzle-orm";
import { flowPolicyForm, RETRY_TYPE } from "#db/short/policy";
import { isLeftOut } from "#db/long-values";
import { missingObject } from "#lib/api-error";
import { mapPortions, type Portions, whole } from "#lib/portions";
import { noticeRuns, workPool } from "#objects/work-pool/client";
import type { PollAnswer, PollAsk, QueuePollAsk } from "#objects/work-pool/messages";
import { withoutMissed } from "#orchestration/mark-late";
import { FlowRunStore, type FlowRunWithState, printFlowRun } from "#db/rows/flow-runs";
import { missingPool, missingQueue } from "#resources/work-pools/pools";
import { WorkPoolStore } from "#resources/work-pools/store";
import type { Tools } from "#tools";
import type { StateType } from "#wire/state";
import { list } from "#db/sql";

/** How many times the object is called at most, if it offers runs that no worker may get. */
const ROUNDS = 3;

/** `POST /work_pools/{name}/get_scheduled_flow_runs`: one call of the pool's object. Reads D1 only for due runs. */
export async function getScheduledFlowRuns(tools: Tools, poolName: string, ask: PollAsk) {
  const rows = await claimable(tools, poolName, async (object) => {
    const answer = await object.poll(ask);
    if (answer.kind === "no pool") throw missingPool(poolName);
    if (answer.kind === "no queue") throw missingQueue(poolName, answer.name);
    return answer;
  });
  const now = tools.clock();
  return mapPortions(rows, (some) =>
    some.map((row) => {
      const { work_pool_id, work_pool_name: _name, ...flowRun } = printFlowRun(row, now);
      // Prefect: the state is not loaded for workers.
      return { work_pool_id, work_queue_id: row.work_queue_id, flow_run: { ...flowRun, state: null } };
    }),
  );
}

/** `POST /work_queues/{id}/get_runs`, the poll of old agents. */
export async function getRunsInQueue(tools: Tools, id: string, ask: Omit<QueuePollAsk, "queue_id">) {
  const missing = missingObject(`Work queue with id ${id} not found.`);
  const queue = await new WorkPoolStore(tools).readCountedQueue({ id }, []);
  if (!queue) throw missing;
  const rows = await claimable(tools, queue.work_pool_name, async (object) => {
    const answer = await object.pollQueue(queue.work_pool_id, { queue_id: id, ...ask });
    if (answer.kind !== "runs") throw missing;
    return answer;
  });
  const now = tools.clock();
  return mapPortions(rows, (some) => some.map((row) => printFlowRun(row, now)));
}

/** Reads from D1 the runs that the pool's object offers. If the object offered wrong runs, notifies the object and calls the object again. */
async function claimable(
  tools: Tools,
  poolName: string,
  poll: (object: ReturnType<typeof workPool>) => Promise<Extract<PollAnswer, { kind: "runs" }>>,
): Promise<Portions<FlowRunWithState>> {
  const store = new FlowRunStore(tools);
  for (let round = 1; ; round++) {
    const { runs, pool_id } = await poll(workPool(tools, poolName));
    if (runs.length === 0) return whole([]);
    const rows = await store.readList(runs.map(([id]) => id));
    const found = new Map((await withoutMissed(tools, rows)).map((row) => [row.id, row]));
    const inProcess = await idsInProcess(tools, rows);
    const good = runs.flatMap(([id]) => {
      const row = found.get(id);
      const isGood = row?.state_type === "SCHEDULED" && row.work_pool_id === pool_id && !inProcess.has(id);
      return isGood ? [row] : [];
    });
    if (good.length === runs.length || round === ROUNDS) return store.inFull(good);
    const kept = new Set(good.map(({ id }) => id));
    const others = runs.filter(([id]) => !kept.has(id));
    await noticeRuns(
      tools,
      others.map(([id, work_queue_id]) => {
        const state_type = presentType(found.get(id), pool_id);
        return { id, work_pool_id: pool_id, work_pool_name: poolName, work_queue_id, state_type, due: null };
      }),
    );
  }
}

/** Prefect: a run that its own process retries is not offered to workers. If a policy is too long for a list, a query checks it. */
async function idsInProcess(tools: Tools, rows: readonly FlowRunWithState[]): Promise<Set<string>> {
  const isLong = (row: FlowRunWithState) => isLeftOut(row.empirical_policy);
  const long = rows.filter(isLong).map(({ id }) => id);
  const known = rows.filter(
    (row) => !isLong(row) && flowPolicyForm.read(row.empirical_policy).retry_type === "in_process",
  );
  if (long.length === 0) return new Set(known.map(({ id }) => id));
  const asked = await tools.db.rows<{ id: string }>(
    sql`select id from flow_run r where r.workspace_id = ${tools.workspaceId} and r.id in ${list(long)}
      and ${RETRY_TYPE} = 'in_process'`,
  );
  return new Set([...known, ...asked].map(({ id }) => id));
}

/** The present state type of a run that was offered wrongly. Null if the run is deleted, is in another pool, or cannot be started. */
function presentType(row: FlowRunWithState | undefined, poolId: string): StateType | null {
  if (!row || row.work_pool_id !== poolId || row.state_type === "SCHEDULED") return null;
  // The column has only values of `StateType`.
  return row.state_type as StateType;
}
