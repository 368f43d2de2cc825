/** The slots that one proposal takes before its commit, and gives back if no written state uses them. */
import { sql } from "drizzle-orm";
import type { TaskRunRow } from "#db/rows/task-runs";
import { task_run } from "#db/tables/task-run";
import { log } from "#lib/log";
import { releaseLease } from "#objects/concurrency-limits/client";
import { takePoolSlot } from "#objects/work-pool/client";
import { type Commit, type DecideAgain, type ProposalSlots, shutOut } from "#orchestration/change-run";
import type { LoadedFlowRun, LoadedRow } from "#orchestration/load-flow-run";
import { askForSlot, askForTagSlots, needOf } from "#orchestration/secure-slots";
import { type Decision, type FlowRunContext, HOLDING_STATES, type TaskRunContext } from "#orchestration/transition";
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
      : aborted("The concurrency limit of the work pool or queue has been reached.");
  }

  private async secureDeployment(
    first: Decision<FlowRunContext>,
    decideAgain: DecideAgain<FlowRunContext>,
  ): Promise<Decision<FlowRunContext>> {
    const need = needOf(first);
    if (!need) return first;
    // Noted before the object is asked: the lease may be taken although the answer is lost.
    if (need.kind === "take-slot") this.hasLease = true;
    const slot = await askForSlot(this.tools, this.runId, need);
    if (need.kind === "take-slot") this.hasLease = slot === "granted";
    return slot === "granted" ? first : decideAgain({ slot });
  }

  private async takeOfPool(row: LoadedRow): Promise<boolean> {
    const { pool_id: poolId, pool_name: poolName, work_queue_id: queueId } = row;
    if (poolId === null || poolName === null || queueId === null) return true;
    this.hasPoolSlot = await takePoolSlot(this.tools, {
      work_pool_id: poolId,
      work_pool_name: poolName,
      work_queue_id: queueId,
      run_id: this.runId,
    });
    return this.hasPoolSlot;
  }

  /** Notes that the state is written: the run has the slots. Returns whether the work pool's object knows of the state. */
  use({ state }: Decision<FlowRunContext>): boolean {
    if (state?.state_details.deployment_concurrency_lease_id === this.leaseId) this.hasLease = false;
    return this.hasPoolSlot && state?.type === "PENDING";
  }

  /**
   * Gives back an unused lease. If that fails, or if a commit may still be written, the lease expires unless the run's client
   * renews it. The slot of a work pool is not given back: another proposal may have made the run PENDING. That
   * proposal tells the pool's object; otherwise the object reads the run from D1.
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

function aborted(reason: string): Decision<FlowRunContext> {
  return { status: "ABORT", state: null, reason, delaySeconds: null, changes: {}, effects: [] };
}

/** How often a task run is read to make sure that no commit is written any more. */
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
    // Noted before the object is asked: the lease may be taken although the answer is lost.
    this.hasLease = true;
    const slots = await askForTagSlots(this.tools, this.runId, need);
    this.hasLease = slots?.kind === "granted";
    return this.hasLease ? first : decideAgain({ slots });
  }

  /** Notes that the state is written: the run has the slots. */
  use(decision: Decision<TaskRunContext>): void {
    if (needOf(decision)) this.hasLease = false;
  }

  /**
   * Gives back an unused lease. If a commit may still be written, it is first kept from that; if that fails, the lease is the
   * run's. A lease that is not given back ends with the run.
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
          sql`select * from ${task_run} where ${task_run.workspace_id} = ${workspaceId} and ${task_run.id} = ${this.runId}`,
        );
        if (!row) return true;
        if (unknown.some(({ decision }) => row.states.includes(decision.state.id))) return false;
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
