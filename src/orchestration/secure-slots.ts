/** The slots that one proposal takes before its commit, and gives back if no written state uses them. */
import { sql } from "drizzle-orm";
import type { TaskRunRow } from "#db/rows/task-runs";
import { hasHadState } from "#db/short/states";
import { isTaskRun } from "#db/task-run-keys";
import { task_run } from "#db/tables/task-run";
import { log } from "#lib/log";
import {
  acquireLease,
  concurrencyLimits,
  keepLease,
  readInUse,
  releaseLease,
} from "#objects/concurrency-limits/client";
import type { AcquireAnswer } from "#objects/concurrency-limits/messages";
import { takePoolSlot } from "#objects/work-pool/client";
import { type Commit, type DecideAgain, type ProposalSlots, shutOut } from "#orchestration/change-run";
import type { LoadedFlowRun, LoadedRow } from "#orchestration/load-flow-run";
import {
  type Decision,
  type Effect,
  type FlowRunContext,
  HOLDING_STATES,
  type Need,
  type RunContext,
  type SlotAnswer,
  type TagSlotAnswer,
  type TaskRunContext,
} from "#orchestration/transition";
import type { Tools } from "#tools";

/** A proposal for a run, and the lease that it may take. */
class Lease {
  /** The id of the lease. It is the same in all tries. */
  readonly leaseId: string;
  protected readonly tools: Tools;
  protected readonly runId: string;
  protected hasLease = false;

  constructor(tools: Tools, runId: string) {
    this.tools = tools;
    this.runId = runId;
    this.leaseId = tools.ids.random();
  }
}

const POOL_IS_FULL = "The concurrency limit of the work pool or queue has been reached.";

/** The slots of a flow run: of its deployment's limit, and of its work pool and work queue. */
export class FlowRunSlots extends Lease implements ProposalSlots<FlowRunContext, LoadedFlowRun> {
  private readonly isForced: boolean;
  private hasPoolSlot = false;

  constructor(tools: Tools, runId: string, isForced: boolean) {
    super(tools, runId);
    this.isForced = isForced;
  }

  async secure(
    { row }: LoadedFlowRun,
    first: Decision<FlowRunContext>,
    decideAgain: DecideAgain<FlowRunContext>,
  ): Promise<Decision<FlowRunContext>> {
    const decision = await this.secureDeployment(first, decideAgain);
    if (this.isForced || decision.state?.type !== "PENDING" || HOLDING_STATES.has(row.state_type)) return decision;
    return (await this.takeOfPool(row))
      ? decision
      : { status: "ABORT", state: null, reason: POOL_IS_FULL, delaySeconds: null, changes: {}, effects: [] };
  }

  private async secureDeployment(
    first: Decision<FlowRunContext>,
    decideAgain: DecideAgain<FlowRunContext>,
  ): Promise<Decision<FlowRunContext>> {
    const need = needOf(first);
    if (!need) return first;
    // Set before the call: the lease may be taken although the answer is lost.
    if (need.kind === "take-slot") this.hasLease = true;
    const slot = await askForSlot(this.tools, this.runId, need);
    if (need.kind === "take-slot") this.hasLease = slot === "granted";
    return slot === "granted" ? first : decideAgain({ slot });
  }

  private async takeOfPool(row: LoadedRow): Promise<boolean> {
    const { pool_id: work_pool_id, pool_name: work_pool_name, work_queue_id } = row;
    if (work_pool_id === null || work_pool_name === null || work_queue_id === null) return true;
    const ask = { work_pool_id, work_pool_name, work_queue_id, run_id: this.runId };
    this.hasPoolSlot = await takePoolSlot(this.tools, ask);
    return this.hasPoolSlot;
  }

  /** Records that the state is written, so the run has the slots. Returns whether the work pool's object knows the state. */
  use({ state }: Decision<FlowRunContext>): boolean {
    if (state?.state_details.deployment_concurrency_lease_id === this.leaseId) this.hasLease = false;
    return this.hasPoolSlot && state?.type === "PENDING";
  }

  /**
   * Gives back an unused lease. If that fails, or if a commit may still be written, the lease expires unless the run's
   * client renews it. The slot of a work pool is not given back, because another proposal may have made the run
   * PENDING. That proposal notifies the pool's object; otherwise the object reads the run from D1.
   */
  async giveBackUnused(unknown: readonly Commit[]): Promise<void> {
    if (!this.hasLease || unknown.length > 0) return;
    try {
      await releaseLease(this.tools, this.leaseId);
    } catch (error) {
      log(this.tools, "error", "a slot that was not used was not given back", { error });
    }
  }
}

/** How many times a task run is read to make sure that no commit can be written any more. */
const MAX_TRIES = 40;

/** The slots of a task run: of the limits on its tags. */
export class TaskRunSlots extends Lease implements ProposalSlots<TaskRunContext, unknown> {
  async secure(
    _loaded: unknown,
    first: Decision<TaskRunContext>,
    decideAgain: DecideAgain<TaskRunContext>,
  ): Promise<Decision<TaskRunContext>> {
    const need = needOf(first);
    if (!need) return first;
    // Set before the call: the lease may be taken although the answer is lost.
    this.hasLease = true;
    const slots = await askForTagSlots(this.tools, this.runId, need);
    this.hasLease = slots?.kind === "granted";
    return this.hasLease ? first : decideAgain({ slots });
  }

  /** Records that the state is written, so the run has the slots. */
  use(decision: Decision<TaskRunContext>): void {
    if (needOf(decision)) this.hasLease = false;
  }

  /**
   * Gives back an unused lease. If a commit may still be written, the commit is made impossible first. If that fails,
   * the run keeps the lease. A lease that is not given back ends with the run.
   */
  async giveBackUnused(unknown: readonly Commit[]): Promise<void> {
    if (!this.hasLease) return;
    if (unknown.length > 0 && !(await this.areShutOut(unknown))) return;
    await releaseLease(this.tools, this.leaseId);
  }

  /** Whether none of the commits is written, and none can be written any more. */
  private async areShutOut(unknown: readonly Commit[]): Promise<boolean> {
    const { db, workspaceId } = this.tools;
    try {
      for (let tries = 1; tries <= MAX_TRIES; tries++) {
        const [row] = await db.rows<TaskRunRow>(
          sql`select * from ${task_run} where ${isTaskRun(workspaceId, this.runId)}`,
        );
        if (!row) return true;
        if (unknown.some(({ decision }) => hasHadState(row, decision.state.id))) return false;
        if (await shutOut(this.tools, task_run, row)) return true;
      }
    } catch (error) {
      log(this.tools, "error", "a task run keeps its slots, for a state may be written yet", {
        task_run_id: this.runId,
        error,
      });
    }
    return false;
  }
}

const NEEDS: ReadonlySet<string> = new Set<Need["kind"]>([
  "take-slot",
  "keep-slot",
  "see-slots",
  "keep-slot-without-end",
  "take-tag-slots",
]);

/** The slot that a decision needs before it is written, or undefined. */
function needOf({ effects }: Pick<Decision<RunContext>, "effects">): Need | undefined {
  return effects.find((effect): effect is Need => NEEDS.has(effect.kind));
}

/** Asks for the slot that a flow run's state needs. A repeated call takes no second slot, because the lease has the same id. */
async function askForSlot(tools: Tools, flowRunId: string, need: Need): Promise<SlotAnswer> {
  const holder = { type: "flow_run", id: flowRunId } as const;
  switch (need.kind) {
    case "take-slot":
    case "keep-slot": {
      const ask = { lease_id: need.lease_id, limit_ids: [need.limit_id], slots: 1, seconds: need.seconds, holder };
      return slotAnswer(await (need.kind === "take-slot" ? acquireLease : keepLease)(tools, ask));
    }
    case "see-slots": {
      const inUse = await readInUse(tools, [need.limit_id]);
      return (inUse[need.limit_id] ?? 0) >= need.slots ? "full" : "granted";
    }
    case "keep-slot-without-end":
      await concurrencyLimits(tools).makeEndless(need.lease_id, holder);
      return "granted";
    case "take-tag-slots":
      throw new Error("flow runs take no slots of tags");
    default:
      return need satisfies never;
  }
}

function slotAnswer(answer: AcquireAnswer): SlotAnswer {
  if (answer.kind !== "acquired") return "full";
  return answer.is_held ? "granted" : "none";
}

const TAG = "tag:";

/** Takes a slot of each limit on the tags, or takes none. The run has the slots until it gives them back or has ended. */
async function askForTagSlots(tools: Tools, taskRunId: string, need: Need): Promise<TagSlotAnswer> {
  if (need.kind !== "take-tag-slots") throw new Error("task runs take slots of tags only");
  const answer = await concurrencyLimits(tools).acquire({
    names: need.tags.map((tag) => TAG + tag),
    ids: [],
    slots: 1,
    mode: "concurrency",
    lease: { id: need.lease_id, seconds: null, holder: { type: "task_run", id: taskRunId } },
  });
  const tags = answer.limits.map(({ name }) => name.slice(TAG.length));
  if (answer.kind === "full") return { kind: "full", tags, retry_after_seconds: answer.retry_after_seconds };
  return answer.kind === "acquired" ? { kind: "granted" } : { kind: "too small", tags };
}

/**
 * Gives back the slots that the effects of a written state release. A failure is logged. A lease expires by itself, and
 * the ConcurrencyLimits object ends a lease without an expiry when it finds that the run has ended.
 */
export async function releaseSlots(tools: Tools, runId: string, effects: readonly Effect[]): Promise<void> {
  const releases = effects.flatMap((effect): Promise<unknown>[] => {
    if (effect.kind === "release-slot") return [releaseLease(tools, effect.lease_id)];
    if (effect.kind !== "release-tag-slots") return [];
    const names = effect.tags.map((tag) => TAG + tag);
    return [concurrencyLimits(tools).releaseHeld(names, runId)];
  });
  for (const result of await Promise.allSettled(releases))
    if (result.status === "rejected")
      log(tools, "error", "slots were not given back", { run_id: runId, error: result.reason });
}
