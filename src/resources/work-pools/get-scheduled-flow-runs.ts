/** What a worker that polls is given. */
import { sql } from "drizzle-orm";
import { readJson } from "#db/database";
import { jsonValue } from "#db/json-column";
import { isLeftOut } from "#db/long-values";
import { missingObject } from "#lib/api-error";
import { mapPortions, type Portions, whole } from "#lib/portions";
import { noticeRuns, workPool } from "#objects/work-pool/client";
import type { PollAnswer, PollAsk } from "#objects/work-pool/messages";
import { withoutMissed } from "#orchestration/skip-missed-runs";
import { FlowRunStore, type FlowRunWithState, printFlowRun } from "#db/rows/flow-runs";
import { missingPool, missingQueue } from "#resources/work-pools/find";
import { WorkPoolStore } from "#resources/work-pools/store";
import type { Tools } from "#tools";
import type { StateType } from "#wire/state";
import { list } from "#db/sql";

/** How often the object is asked again when it offered runs that are no longer to be had. */
const ROUNDS = 3;

/** `POST /work_pools/{name}/get_scheduled_flow_runs`: one call of the pool's object, and D1 only if something is due. */
export async function getScheduledFlowRuns(tools: Tools, poolName: string, ask: PollAsk) {
  const rows = await claimable(
    tools,
    async () => {
      const answer = await workPool(tools, poolName).poll(ask);
      if (answer.kind === "no pool") throw missingPool(poolName);
      if (answer.kind === "no queue") throw missingQueue(poolName, answer.name);
      return answer;
    },
    poolName,
  );
  const now = tools.clock();
  return mapPortions(rows, (some) =>
    some.map((row) => {
      const { work_pool_id, work_pool_name: _name, ...flowRun } = printFlowRun(row, now);
      // Prefect: the state is not loaded for workers.
      return { work_pool_id, work_queue_id: row.work_queue_id, flow_run: { ...flowRun, state: null } };
    }),
  );
}

/** `POST /work_queues/{id}/get_runs`, as agents of old poll. */
export async function getRunsInQueue(
  tools: Tools,
  id: string,
  ask: Omit<PollAsk, "queues" | "after"> & { is_look: boolean },
) {
  const missing = missingObject(`Work queue with id ${id} not found.`);
  const queue = await new WorkPoolStore(tools).readCountedQueue({ id }, []);
  if (!queue) throw missing;
  const pool = { id: queue.work_pool_id, name: queue.work_pool_name };
  const rows = await claimable(
    tools,
    async () => {
      const answer = await workPool(tools, pool.name).pollQueue(pool.id, { queue_id: id, ...ask });
      if (answer.kind !== "runs") throw missing;
      return answer;
    },
    pool.name,
  );
  const now = tools.clock();
  return mapPortions(rows, (some) => some.map((row) => printFlowRun(row, now)));
}

/** The runs that the object offers, read from D1. What it should not have offered it is told, and asked again. */
async function claimable(
  tools: Tools,
  poll: () => Promise<Extract<PollAnswer, { kind: "runs" }>>,
  poolName: string,
): Promise<Portions<FlowRunWithState>> {
  const store = new FlowRunStore(tools.db, tools.workspaceId);
  for (let round = 1; ; round++) {
    const answer = await poll();
    if (answer.runs.length === 0) return whole([]);
    const rows = await store.readList(answer.runs.map(([id]) => id));
    const found = new Map((await withoutMissed(tools, rows)).map((row) => [row.id, row]));
    const inProcess = await idsInProcess(tools, rows);
    const good = answer.runs.flatMap(([id]) => {
      const row = found.get(id);
      return row && isOffered(row, answer.pool_id) && !inProcess.has(id) ? [row] : [];
    });
    if (good.length === answer.runs.length || round === ROUNDS) return store.inFull(good);
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
  return row.state_type === "SCHEDULED" && row.work_pool_id === poolId;
}

/** Prefect: a run that waits in its process for a retry is no worker's. A policy that is too long for a list is asked for. */
async function idsInProcess(tools: Tools, rows: readonly FlowRunWithState[]): Promise<Set<string>> {
  const [long, short] = [rows.filter(isPolicyLong), rows.filter((row) => !isPolicyLong(row))];
  const known = short.filter(
    (row) => readJson<{ retry_type?: unknown }>(row.empirical_policy).retry_type === "in_process",
  );
  if (long.length === 0) return new Set(known.map(({ id }) => id));
  const asked = await tools.db.rows<{
    id: string;
  }>(sql`select id from flow_run r where r.workspace_id = ${tools.workspaceId}
    and r.id in ${list(long.map(({ id }) => id))}
    and ${jsonValue("r.empirical_policy", "$.retry_type")} = 'in_process'`);
  return new Set([...known, ...asked].map(({ id }) => id));
}

const isPolicyLong = (row: FlowRunWithState) => isLeftOut(row.empirical_policy);

/** What a run that was offered for nothing does now; null for one that is gone, or no longer of this pool. */
function standingOf(row: FlowRunWithState | undefined, poolId: string): { state_type: StateType | null; due: null } {
  if (!row || row.work_pool_id !== poolId || row.state_type === "SCHEDULED") return { state_type: null, due: null };
  // The column holds what `StateType` lists.
  return { state_type: row.state_type as StateType, due: null };
}
