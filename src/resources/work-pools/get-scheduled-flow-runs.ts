/** What a worker that polls is given. */
import { readJson } from "#db/database";
import { missingObject, refused } from "#lib/api-error";
import { noticeRuns, pollPool, pollQueue } from "#objects/work-pool/client";
import type { PollAnswer, PollAsk } from "#objects/work-pool/messages";
import { withoutMissed } from "#orchestration/skip-missed-runs";
import { FlowRunStore, type FlowRunWithState, printFlowRun } from "#resources/flow-runs/store";
import { missingPool } from "#resources/work-pools/update-work-pool";
import { WorkPoolStore } from "#resources/work-pools/store";
import type { Tools } from "#tools";
import type { StateType } from "#wire/state";

/** How often the object is asked again when it offered runs that are no longer to be had. */
const ROUNDS = 3;

/** `POST /work_pools/{name}/get_scheduled_flow_runs`: one call of the pool's object, and D1 only if something is due. */
export async function getScheduledFlowRuns(tools: Tools, poolName: string, ask: PollAsk) {
  const rows = await claimable(
    tools,
    async () => {
      const answer = await pollPool(tools, poolName, ask);
      if (answer.kind === "no pool") throw missingPool(poolName);
      if (answer.kind === "no queue") throw refused(404, `Work pool queue '${poolName}/${answer.name}' not found.`);
      return answer;
    },
    poolName,
  );
  const now = tools.clock();
  return rows.map((row) => {
    const { work_pool_id, work_pool_name: _name, ...flowRun } = printFlowRun(row, now);
    // Prefect: the state is not loaded for workers.
    return { work_pool_id, work_queue_id: row.work_queue_id, flow_run: { ...flowRun, state: null } };
  });
}

/** `POST /work_queues/{id}/get_runs`, as agents of old poll. */
export async function getRunsInQueue(
  tools: Tools,
  id: string,
  ask: Omit<PollAsk, "queues" | "after"> & { is_look: boolean },
) {
  const missing = missingObject(`Work queue with id ${id} not found.`);
  const queue = await new WorkPoolStore(tools.db, tools.workspaceId).readCountedQueue({ id }, []);
  if (!queue) throw missing;
  const pool = { id: queue.work_pool_id, name: queue.work_pool_name };
  const rows = await claimable(
    tools,
    async () => {
      const answer = await pollQueue(tools, pool, { queue_id: id, ...ask });
      if (answer.kind !== "runs") throw missing;
      return answer;
    },
    pool.name,
  );
  const now = tools.clock();
  return rows.map((row) => printFlowRun(row, now));
}

/** The runs that the object offers, read from D1. What it should not have offered it is told, and asked again. */
async function claimable(
  tools: Tools,
  poll: () => Promise<Extract<PollAnswer, { kind: "runs" }>>,
  poolName: string,
): Promise<FlowRunWithState[]> {
  for (let round = 1; ; round++) {
    const answer = await poll();
    if (answer.runs.length === 0) return [];
    const rows = await new FlowRunStore(tools.db, tools.workspaceId).readMany(answer.runs.map(([id]) => id));
    const found = new Map((await withoutMissed(tools, rows)).map((row) => [row.id, row]));
    const good = answer.runs.flatMap(([id]) => {
      const row = found.get(id);
      return row && isOffered(row, answer.pool_id) ? [row] : [];
    });
    if (good.length === answer.runs.length || round === ROUNDS) return good;
    const kept = new Set(good.map(({ id }) => id));
    await noticeRuns(
      tools,
      answer.runs
        .filter(([id]) => !kept.has(id))
        .map(([id, queueId]) => ({
          id,
          work_pool_id: answer.pool_id,
          work_pool_name: poolName,
          work_queue_id: queueId,
          ...standingOf(found.get(id), answer.pool_id),
        })),
    );
  }
}

function isOffered(row: FlowRunWithState, poolId: string): boolean {
  return row.state_type === "SCHEDULED" && row.work_pool_id === poolId && !isInProcess(row);
}

/** Prefect: a run that waits in its process for a retry is no worker's. */
function isInProcess(row: FlowRunWithState): boolean {
  return readJson<{ retry_type?: unknown }>(row.empirical_policy).retry_type === "in_process";
}

/** What a run that was offered for nothing does now; null for one that is gone, or no longer of this pool. */
function standingOf(row: FlowRunWithState | undefined, poolId: string): { state_type: StateType | null; due: null } {
  if (!row || row.work_pool_id !== poolId || row.state_type === "SCHEDULED") return { state_type: null, due: null };
  // The column holds what `StateType` lists.
  return { state_type: row.state_type as StateType, due: null };
}
