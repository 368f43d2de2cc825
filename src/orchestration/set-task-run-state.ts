/** A state is proposed for a task run by way of the API: load, decide, secure, commit. Most task runs come as events instead. */
import { type SQL, sql } from "drizzle-orm";
import { insertRows } from "#db/bulk";
import { isPassing, readJson } from "#db/database";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import { task_run, task_run_state_cache } from "#db/tables/task-run";
import { readRecorded } from "#events/read-recorded";
import { missingObject, unavailable } from "#lib/api-error";
import { releaseLease } from "#objects/concurrency-limits/client";
import { enqueueTaskRun } from "#objects/task-queue/client";
import { presentStateOf, taskRunColumnsOf, updateTaskRun } from "#orchestration/commit-flow-run";
import { decideTaskRun } from "#orchestration/decide";
import type { TaskRunRow } from "#orchestration/loaded";
import { BackgroundTaskPolicy, CoreTaskPolicy, MinimalTaskPolicy } from "#orchestration/policies";
import { storedState } from "#orchestration/predicates";
import type { Orchestrated } from "#orchestration/result";
import { askForTagSlots, needOf, releaseSlots } from "#orchestration/secure-slots";
import { shutOut } from "#orchestration/shut-out";
import type { Decision, EnclosingFlowRun, Policy, TaskRunContext } from "#orchestration/transition";
import { STATE_COLUMNS, type StateColumns, stateOf } from "#db/rows/flow-runs";
import { log } from "#lib/log";
import type { Tools } from "#tools";
import { newState, type State, type StateProposal } from "#wire/state";

const MAX_TRIES = 40;

interface Loaded {
  row: TaskRunRow;
  flowRun: EnclosingFlowRun | null;
  cached: State | null;
}

/**
 * Proposes a state for a task run. Where D1 fails during a commit, the next try sees whether it has landed. Throws 404 for
 * an unknown one, and 503 where others were always faster.
 */
export async function setTaskRunState(
  tools: Tools,
  taskRunId: string,
  proposal: StateProposal,
  { force = false }: { force?: boolean } = {},
): Promise<Orchestrated> {
  const progress: Progress = { taskRunId, leaseId: tools.ids.random(), isTaken: false, unknown: [] };
  try {
    return await propose(tools, proposal, { policy: policyFor(proposal, force), progress });
  } finally {
    await giveBackUnused(tools, progress);
  }
}

/** What is known of a proposal beyond one try. */
interface Progress {
  readonly taskRunId: string;
  /** The lease on the slots of the run's tags, in however many tries. */
  readonly leaseId: string;
  /** Whether the lease was taken, and is not known to be used. */
  isTaken: boolean;
  /** Commits whose outcome is unknown. Each has a state of its own, by which it is recognised whenever it lands. */
  unknown: Attempt[];
}

/** A decision as it is to be written. */
interface Attempt {
  row: TaskRunRow;
  decision: Decision<TaskRunContext>;
  state: State;
  now: number;
}

async function propose(
  tools: Tools,
  proposal: StateProposal,
  { policy, progress }: { policy: Policy<TaskRunContext>; progress: Progress },
): Promise<Orchestrated> {
  const { taskRunId, leaseId, unknown } = progress;
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    const loaded = (await load(tools, taskRunId, proposal)) ?? (await loadReported(tools, taskRunId, proposal));
    if (!loaded) throw missingObject(`Task run with id ${taskRunId} not found`);
    const landed = landedAmong(unknown, loaded.row);
    if (landed) return finish(tools, landed, progress);
    const context = contextOf(tools, loaded, leaseId);
    const proposed = newState(proposal, context.now, tools.ids);
    let decision = decideTaskRun(policy, context, proposed);
    const need = needOf(decision);
    if (need) {
      // Known to be asked for before it is: an answer may be lost.
      progress.isTaken = true;
      const slots = await askForTagSlots(tools, taskRunId, need);
      progress.isTaken = slots?.kind === "granted";
      if (!progress.isTaken) decision = decideTaskRun(policy, { ...context, slots }, proposed);
    }
    if (!decision.state) {
      // A refusal is final only when nothing is on its way to D1 any more.
      if (unknown.length > 0 && !(await shutOut(tools, task_run, loaded.row))) continue;
      unknown.length = 0;
      return { decision, state: context.initial, written: false };
    }
    const attempt = { row: loaded.row, decision, state: decision.state, now: context.now };
    const outcome = await commit(tools, attempt);
    if (outcome === "written") return finish(tools, attempt, progress);
    if (outcome === "unknown") unknown.push(attempt);
  }
  throw unavailable("Other changes of this task run were always faster", 1);
}

const landedAmong = (unknown: readonly Attempt[], { states }: TaskRunRow): Attempt | undefined =>
  unknown.find(({ state }) => states.includes(state.id));

/** What follows from an attempt that was written. */
async function finish(tools: Tools, attempt: Attempt, progress: Progress): Promise<Orchestrated> {
  const { row, decision, state } = attempt;
  progress.unknown.length = 0;
  if (needOf(decision)) progress.isTaken = false;
  await releaseSlots(tools, row.id, decision.effects);
  enqueue(tools, row, decision, state);
  return { decision, state, written: true };
}

/**
 * Gives back a lease that was taken and not used. Where a commit may land yet, it is kept from that first; it stays the
 * run's where that cannot be done. A lease that is left ends with the run.
 */
async function giveBackUnused(tools: Tools, { taskRunId, leaseId, isTaken, unknown }: Progress): Promise<void> {
  if (!isTaken) return;
  if (unknown.length > 0 && !(await isShutOut(tools, taskRunId, unknown))) return;
  await releaseLease(tools, leaseId);
}

/** Whether none of the commits has landed or can land any more. */
async function isShutOut(tools: Tools, taskRunId: string, unknown: readonly Attempt[]): Promise<boolean> {
  try {
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      const [row] = await tools.db.rows<TaskRunRow>(sql`select * from ${task_run} where ${byId(tools, taskRunId)}`);
      if (!row) return true;
      if (landedAmong(unknown, row)) return false;
      if (await shutOut(tools, task_run, row)) return true;
    }
  } catch (error) {
    log(tools, "error", "a task run keeps its slots, for a state may be written yet", {
      task_run_id: taskRunId,
      error,
    });
  }
  return false;
}

const byId = ({ workspaceId }: Tools, id: string): SQL =>
  sql`${task_run.workspace_id} = ${workspaceId} and ${task_run.id} = ${id}`;

/** Whether the row is still as it was read. */
const isAsRead = ({ state_id: stateId, updated }: TaskRunRow): SQL =>
  sql`state_id is ${stateId} and updated = ${updated}`;

/** Prefect: a deferred state belongs to a background task, whose policy also keeps it from running twice. */
function policyFor(proposal: StateProposal, force: boolean): Policy<TaskRunContext> {
  if (proposal.state_details?.deferred) return BackgroundTaskPolicy;
  return force ? MinimalTaskPolicy : CoreTaskPolicy;
}

async function load(tools: Tools, id: string, proposal: StateProposal): Promise<Loaded | undefined> {
  const { workspaceId, db } = tools;
  const own = byId(tools, id);
  const [rows, flowRuns, cached] = await db.readAll([
    sql`select * from ${task_run} where ${own}`,
    sql`select r.id as id, r.run_count as run_count, ${STATE_COLUMNS} from ${task_run}
      join ${flow_run} r on r.workspace_id = ${task_run.workspace_id} and r.id = ${task_run.flow_run_id}
      left join ${flow_run_state} s on s.id = r.state_id where ${own}`,
    ...cacheLookup(workspaceId, proposal, tools.clock()),
  ]);
  const row = rows?.[0] as TaskRunRow | undefined;
  if (!row) return undefined;
  const enclosing = flowRuns?.[0] as ({ id: string; run_count: number } & StateColumns) | undefined;
  const kept = cached?.[0] as { state: string } | undefined;
  return {
    row,
    flowRun: enclosing ? { id: enclosing.id, run_count: enclosing.run_count, state: stateOf(enclosing) } : null,
    cached: kept ? readJson<State>(kept.state) : null,
  };
}

/** One that is reported, but not recorded yet. */
async function loadReported(tools: Tools, id: string, proposal: StateProposal): Promise<Loaded | undefined> {
  await readRecorded(tools, { taskRunIds: [id] }, []);
  return load(tools, id, proposal);
}

function cacheLookup(workspaceId: string, proposal: StateProposal, now: number): SQL[] {
  const key = proposal.state_details?.cache_key;
  if (!key) return [];
  return [
    sql`select state from ${task_run_state_cache}
      where workspace_id = ${workspaceId} and cache_key = ${key} and (cache_expiration is null or cache_expiration > ${now})
      order by created desc limit 1`,
  ];
}

function contextOf(tools: Tools, { row, flowRun, cached }: Loaded, leaseId: string): TaskRunContext {
  return {
    kind: "task-run",
    run: taskRunColumnsOf(row),
    initial: presentStateOf(row),
    flowRun,
    cached,
    slots: null,
    leaseId,
    now: tools.clock(),
    ids: tools.ids,
    apiVersion: tools.client.apiVersion,
    clientVersion: tools.client.version,
    random: tools.random,
  };
}

/** Writes an attempt in one batch; `lost` where the run had changed since it was read. */
async function commit(tools: Tools, { row, decision, state, now }: Attempt): Promise<"written" | "lost" | "unknown"> {
  const update = updateTaskRun(tools.workspaceId, row, state, decision.changes, isAsRead(row), now);
  const others = [...cacheInsertions(tools, row, decision, state, now), ...backgroundMark(tools, row, decision, state)];
  try {
    const [updated] = await tools.db.batch([update, ...others]);
    return updated?.changes ? "written" : "lost";
  } catch (error) {
    if (!isPassing(error)) throw error;
    return "unknown";
  }
}

/** A background task that is scheduled again goes to the task workers' queue. */
function enqueue(tools: Tools, row: TaskRunRow, { effects }: Decision<TaskRunContext>, state: State): void {
  const effect = effects.find((one) => one.kind === "enqueue-task-run");
  if (effect) tools.background(enqueueTaskRun(tools, row, state, effect.retry));
}

/** The mark by which the queue finds a run that was not made as a background task. */
function backgroundMark(tools: Tools, row: TaskRunRow, { effects }: Decision<TaskRunContext>, state: State): SQL[] {
  if (row.background === 1 || !effects.some(({ kind }) => kind === "enqueue-task-run")) return [];
  return [
    sql`update ${task_run} set background = 1
      where workspace_id = ${tools.workspaceId} and id = ${row.id} and state_id = ${state.id}`,
  ];
}

function cacheInsertions(
  tools: Tools,
  row: TaskRunRow,
  decision: Decision<TaskRunContext>,
  state: State,
  now: number,
): SQL[] {
  const effect = decision.effects.find((one) => one.kind === "insert-cache");
  if (!effect) return [];
  return [
    insertRows(
      task_run_state_cache,
      [
        {
          workspace_id: tools.workspaceId,
          cache_key: effect.cache_key,
          state_id: state.id,
          created: now,
          cache_expiration: effect.cache_expiration,
          state: JSON.stringify(storedState(state)),
        },
      ],
      {
        guard: sql`exists (select 1 from ${task_run} t
          where t.workspace_id = ${tools.workspaceId} and t.id = ${row.id} and t.state_id = ${state.id})`,
      },
    ),
  ];
}
