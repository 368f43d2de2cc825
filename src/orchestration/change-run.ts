/** How a run changes its state: load, decide, take slots, commit, and retry. Flow runs and task runs use the same steps. */
import { sql } from "drizzle-orm";
import { isPassing, type Statement } from "#db/database";
import type { flow_run } from "#db/tables/flow-run";
import { isId } from "#db/short/ids";
import { isTaskRun } from "#db/task-run-keys";
import { task_run } from "#db/tables/task-run";
import { unavailable } from "#lib/api-error";
import type { Micros } from "#lib/clock";
import type { Orchestrated } from "#orchestration/result";
import type { Decision, RunContext } from "#orchestration/transition";
import type { Tools } from "#tools";
import { newState, type State, type StateProposal } from "#wire/state";

/** How many times a proposal is tried before the answer is 503. */
const MAX_TRIES = 40;
const MAX_PAUSE_MS = 40;

/** A decision that has a state to write. */
export type WritableDecision<C extends RunContext> = Decision<C> & { readonly state: State };

/** The statements for a decision, and the work after the commit. */
export interface Commit {
  readonly decision: Pick<WritableDecision<RunContext>, "status" | "state" | "reason" | "delaySeconds">;
  /**
   * One batch. Its first statement updates the run, and changes nothing if the row has changed since it was loaded. The
   * other statements change nothing unless the run is in the new state.
   */
  readonly statements: readonly Statement[];
  /** Does the work after the state is written. `isPresent` says whether the run is still in that state. */
  finish(isPresent: boolean): Promise<void>;
}

/** Decides again with the answer to what the decision needs. */
export type DecideAgain<C extends RunContext> = (answer: Partial<C>) => Decision<C>;

/** The slots that one proposal takes, in all its tries. */
export interface ProposalSlots<C extends RunContext, Loaded> {
  /** Takes the slots that a decision needs. Returns the decision, or after a refusal the new decision of `decideAgain`. */
  secure(loaded: Loaded, decision: Decision<C>, decideAgain: DecideAgain<C>): Promise<Decision<C>>;
  /** Gives back the slots that no written state uses. D1 may still write the commits in `unknown`. */
  giveBackUnused(unknown: readonly Commit[]): Promise<void>;
}

type RunTable = typeof flow_run | typeof task_run;

/** A run as it was read. `row` has at least the columns that a commit names. */
interface LoadedRun {
  readonly row: { id: string; state_id: string | null; updated: Micros };
}

/** A proposal for one run: all parts that differ between flow runs and task runs. */
export interface RunChange<C extends RunContext, Loaded extends LoadedRun> {
  readonly noun: "flow run" | "task run";
  readonly table: RunTable;
  readonly slots: ProposalSlots<C, Loaded>;
  /** The run as this isolate last wrote it, for the first try. */
  recall?(): Loaded | undefined;
  /** The run as D1 has it. Throws 404 for an unknown run. */
  load(): Promise<Loaded>;
  /** Whether the run is or was in this state. */
  hasHadState(loaded: Loaded, stateId: string): boolean;
  contextOf(loaded: Loaded): C;
  decide(context: C, proposed: State): Decision<C>;
  commitOf(loaded: Loaded, context: C, decision: WritableDecision<C>): Commit;
}

/**
 * Proposes a state for a run. Each of several concurrent proposals is decided on the state that the proposal before it has written: a
 * commit names the state on which it was decided, and a commit that changes nothing is tried again. Slots are taken before the commit.
 * Slots that no written state uses are given back after the commit. If D1 fails during a commit, the next try finds out whether the
 * commit was written. Throws 404 for an unknown run, and 503 if other proposals were always faster.
 */
export async function changeRun<C extends RunContext, Loaded extends LoadedRun>(
  tools: Tools,
  change: RunChange<C, Loaded>,
  proposal: StateProposal,
): Promise<Orchestrated> {
  // Commits with an unknown outcome. Each has its own state id, by which a later load recognises the commit.
  const unknown: Commit[] = [];
  try {
    return await tryUntilKnown(tools, change, proposal, unknown);
  } finally {
    await change.slots.giveBackUnused(unknown);
  }
}

async function tryUntilKnown<C extends RunContext, Loaded extends LoadedRun>(
  tools: Tools,
  change: RunChange<C, Loaded>,
  proposal: StateProposal,
  unknown: Commit[],
): Promise<Orchestrated> {
  let recalled = change.recall?.();
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    const isRecalled = recalled !== undefined;
    const loaded = recalled ?? (await change.load());
    recalled = undefined;
    const found = unknown.find(({ decision }) => change.hasHadState(loaded, decision.state.id));
    if (found) return finish(found, unknown, loaded.row.state_id === found.decision.state.id);
    const context = change.contextOf(loaded);
    const proposed = newState(proposal, context.now, context.ids);
    const decide = (answer?: Partial<C>) => change.decide({ ...context, ...answer }, proposed);
    const decision = await change.slots.secure(loaded, decide(), decide);
    const { state } = decision;
    if (!state) {
      // A refusal is final only if it was decided on D1's row, and if D1 can no longer write an earlier commit.
      if (isRecalled || (unknown.length > 0 && !(await shutOut(tools, change.table, loaded.row)))) continue;
      unknown.length = 0;
      return { decision, state: context.initial, written: false };
    }
    const commit = change.commitOf(loaded, context, { ...decision, state });
    const outcome = await write(tools, commit);
    if (outcome === "written") return finish(commit, unknown, true);
    if (outcome === "unknown") unknown.push(commit);
    if (!isRecalled) await pause(tools, tries);
  }
  throw unavailable(`Other changes of this ${change.noun} were always faster`, 1);
}

/** Writes a commit; `lost` if the run had changed since it was loaded. */
async function write(tools: Tools, { statements }: Commit): Promise<"written" | "lost" | "unknown"> {
  try {
    const [updated] = await tools.db.batch(statements);
    return updated?.changes ? "written" : "lost";
  } catch (error) {
    if (!isPassing(error)) throw error;
    return "unknown";
  }
}

async function finish(commit: Commit, unknown: Commit[], isPresent: boolean): Promise<Orchestrated> {
  // All tries name the row on which they were decided, so D1 writes only one of them.
  unknown.length = 0;
  await commit.finish(isPresent);
  return { decision: commit.decision, state: commit.decision.state, written: true };
}

function pause(tools: Tools, tries: number): Promise<void> {
  const milliseconds = tools.random() * Math.min(MAX_PAUSE_MS, 2 * tries);
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/**
 * Changes a run's `updated`, so that D1 can no longer write a commit that names the row as it was read. Returns false if this is not
 * certain: the row has changed since it was read, perhaps by such a commit, or D1 failed again. Then the row must be read again.
 */
export async function shutOut(
  tools: Tools,
  table: RunTable,
  { id, state_id: stateId, updated }: LoadedRun["row"],
): Promise<boolean> {
  try {
    const isRun =
      table === task_run ? isTaskRun(tools.workspaceId, id) : sql`workspace_id = ${tools.workspaceId} and id = ${id}`;
    const { changes } = await tools.db.run(sql`update ${table} set updated = ${Math.max(tools.clock(), updated + 1)}
      where ${isRun} and ${isId("state_id", stateId)} and updated = ${updated}`);
    return changes > 0;
  } catch (error) {
    if (!isPassing(error)) throw error;
    return false;
  }
}
