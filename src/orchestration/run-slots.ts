/** The slots that one proposal for a flow run takes: those of its deployment's limit and of its work pool. */
import { log } from "#lib/log";
import { releaseLease } from "#objects/concurrency-limits/client";
import { takePoolSlot } from "#objects/work-pool/client";
import type { LoadedFlowRun, LoadedRow } from "#orchestration/loaded";
import { askForSlot, needOf } from "#orchestration/secure-slots";
import { type Decision, type FlowRunContext, HOLDING_STATES, type SlotAnswer } from "#orchestration/transition";
import type { Tools } from "#tools";
import { STATE_TYPES, type StateType } from "#wire/state";

/** How a decision is made again once an object has answered. */
export interface Again {
  isForced: boolean;
  decideAgain: (slot: SlotAnswer) => Decision<FlowRunContext>;
}

export class RunSlots {
  /** The id of the lease that the proposal may take, in however many tries. */
  readonly leaseId: string;
  private readonly tools: Tools;
  private readonly runId: string;
  private hasLease = false;
  private hasPoolSlot = false;

  constructor(tools: Tools, runId: string) {
    this.tools = tools;
    this.runId = runId;
    this.leaseId = tools.ids.random();
  }

  /** Takes what the decision needs; gives the decision that stands then. */
  async secure(
    first: Decision<FlowRunContext>,
    { row }: LoadedFlowRun,
    { isForced, decideAgain }: Again,
  ): Promise<Decision<FlowRunContext>> {
    const decision = await this.secureDeployment(first, decideAgain);
    if (isForced || decision.state?.type !== "PENDING" || HOLDING_STATES.has(typeOf(row))) return decision;
    return (await this.takeOfPool(row))
      ? decision
      : aborted("The concurrency limit of the work pool or queue has been reached.");
  }

  private async secureDeployment(
    first: Decision<FlowRunContext>,
    decideAgain: Again["decideAgain"],
  ): Promise<Decision<FlowRunContext>> {
    const need = needOf(first);
    if (!need) return first;
    // Known to be asked for before it is: an answer may be lost.
    if (need.kind === "take-slot") this.hasLease = true;
    const answer = await askForSlot(this.tools, this.runId, need);
    if (need.kind === "take-slot") this.hasLease = answer === "granted";
    return answer === "granted" ? first : decideAgain(answer);
  }

  private async takeOfPool(row: LoadedRow): Promise<boolean> {
    const { p_id: poolId, p_name: poolName, work_queue_id: queueId } = row;
    if (poolId === null || poolName === null || queueId === null) return true;
    this.hasPoolSlot = await takePoolSlot(this.tools, {
      work_pool_id: poolId,
      work_pool_name: poolName,
      work_queue_id: queueId,
      run_id: this.runId,
    });
    return this.hasPoolSlot;
  }

  /** Notes that this was written: the slots are the run's. Says whether the pool's object knows all about it. */
  use({ state }: Decision<FlowRunContext>): boolean {
    if (state?.state_details.deployment_concurrency_lease_id === this.leaseId) this.hasLease = false;
    return this.hasPoolSlot && state?.type === "PENDING";
  }

  /** Leaves a lease to itself that may be the run's: it runs out, unless the run's client renews it. */
  leave(): void {
    this.hasLease = false;
  }

  /**
   * Gives back a lease that was taken and not used; if that fails it runs out. A pool's slot is not given back from here:
   * somebody else may have put the run on its way meanwhile, and tells the pool. Otherwise its object looks for itself.
   */
  async giveBackUnused(): Promise<void> {
    if (!this.hasLease) return;
    try {
      await releaseLease(this.tools, this.leaseId);
    } catch (error) {
      log(this.tools, "error", "a slot that was not used was not given back", { error });
    }
  }
}

function typeOf({ state_type: type }: LoadedRow): StateType | null {
  return STATE_TYPES.find((known) => known === type) ?? null;
}

function aborted(reason: string): Decision<FlowRunContext> {
  return { status: "ABORT", state: null, reason, delaySeconds: null, changes: {}, effects: [] };
}
