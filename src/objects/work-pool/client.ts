/** How the rest of the code calls the `WorkPool` objects. */
import { createHash } from "node:crypto";
import type { Env } from "#env";
import { objectClient, objectStub, tell } from "#objects/client";
import {
  type CleanupMessage,
  type LiveRun,
  type PoolLiveness,
  type RunNote,
  WORK_POOL,
} from "#objects/work-pool/messages";
import type { Tools } from "#tools";

interface Named {
  id: string;
  name: string;
}

/** A client of the object of the pool with this name. */
export const workPool = ({ env, workspaceId: workspace, cost }: Tools, name: string) =>
  objectClient(WORK_POOL, env.WORK_POOL, { workspace, name }, cost);

/** The stub of the object of the pool with this name, for upgrades. */
export const workPoolStub = (env: Env, workspace: string, name: string) =>
  objectStub(env.WORK_POOL, { workspace, name });

/** Notifies the pools' objects, after the commit, of runs that were made or changed. One call for each pool. */
export async function noticeRuns(tools: Tools, runs: readonly LiveRun[]): Promise<void> {
  const byPool = Map.groupBy(runs, (run) => `${run.work_pool_id} ${run.work_pool_name}`);
  await Promise.all(
    [...byPool.values()].map(async ([first, ...others]) => {
      if (first) await workPool(tools, first.work_pool_name).notice(first.work_pool_id, [first, ...others].map(noteOf));
    }),
  );
}

const HOLDING = new Set<LiveRun["state_type"]>(["PENDING", "RUNNING", "CANCELLING"]);

function noteOf({ id, work_queue_id, state_type, due }: LiveRun): RunNote {
  const holds = HOLDING.has(state_type) ? "holds" : null;
  return [id, work_queue_id, state_type === "SCHEDULED" ? due : holds];
}

/** A run of a work pool that needs a slot. */
export interface WantedPoolSlot extends Pick<LiveRun, "work_pool_id" | "work_pool_name" | "work_queue_id"> {
  run_id: string;
}

/** Takes a slot for a run, as `take` in the contract describes. */
export function takePoolSlot(tools: Tools, wanted: WantedPoolSlot): Promise<boolean> {
  return workPool(tools, wanted.work_pool_name).take(wanted.work_pool_id, wanted.work_queue_id, wanted.run_id);
}

/** Notifies a pool's object, after the commit, of a change of the pool or its queues. If the call fails, a check finds the change. */
export function poolChanged(tools: Tools, poolName: string): Promise<void> {
  const message = "a work pool's object was not told of a change";
  return tell(tools, message, { work_pool_name: poolName }, () => workPool(tools, poolName).change());
}

/** Notifies a pool's object, after the commit, of new or moved deployments, so that they become READY with the next poll of their queue. */
export function noticeDeployments(tools: Tools, poolName: string, queueIds: readonly string[]): Promise<void> {
  const message = "a work pool's object was not told of deployments";
  const call = () => workPool(tools, poolName).noticeDeployments([...queueIds]);
  return tell(tools, message, { work_pool_name: poolName }, call);
}

/** The status of these pools and of their queues, by the ids of the pools. Calls each pool's object once. */
export async function readLiveness(tools: Tools, pools: readonly Named[]): Promise<Map<string, PoolLiveness>> {
  const asked = [...new Map(pools.map((pool) => [pool.id, pool])).values()];
  const found = await Promise.all(
    asked.map(async ({ id, name }) => [id, await workPool(tools, name).liveness(id)] as const),
  );
  return new Map(found.flatMap(([id, liveness]) => (liveness ? [[id, liveness]] : [])));
}

/**
 * Makes a worker of the pool tear down the infrastructure of a run after its cancellation timed out and Cancelled is committed. May be
 * repeated. Returns whether a message exists now: none for pools without workers, and none for a deleted pool.
 */
export async function enqueueCleanup(tools: Tools, pool: Named & { type: string }, run: TimedOutRun): Promise<boolean> {
  if (isWorkerless(pool.type)) return false;
  return workPool(tools, pool.name).enqueueCleanup(pool.id, timeoutMessage(run));
}

/** A run that was set to Cancelled because its Cancelling had timed out. */
export interface TimedOutRun {
  id: string;
  work_queue_id: string;
  infrastructure_pid: string | null;
  /** The id of the Cancelled state. It makes the message's key: the same state gives the same message. */
  cancelled_state_id: string;
}

const KIND = "cancelling_timeout_teardown.v1";
/** RFC 9562: the namespace of URLs. */
const URL_NAMESPACE = "6ba7b8119dad11d180b400c04fd430c8";

/** Prefect: pools of these types have no workers that could clean up. */
export function isWorkerless(poolType: string): boolean {
  return poolType.endsWith(":push") || poolType.endsWith(":managed");
}

/** The message to workers about a run. */
export function timeoutMessage(run: TimedOutRun): CleanupMessage {
  const idempotency_key = `${KIND}:${run.id}:${run.cancelled_state_id}`;
  return {
    message_id: uuid5(`prefect:${idempotency_key}`),
    idempotency_key,
    kind: KIND,
    work_queue_id: run.work_queue_id,
    target: { flow_run_id: run.id, infrastructure_pid: run.infrastructure_pid },
    data: {},
  };
}

/** The UUID, version 5, of a name. */
function uuid5(name: string): string {
  const bytes = createHash("sha1").update(URL_NAMESPACE, "hex").update(name).digest();
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString("hex", 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
