/** Proposes a state for a task run through the API. The states of most task runs come as events instead. */
import { type SQL, sql } from "drizzle-orm";
import { insertRows } from "#db/sql";
import { readJson } from "#db/database";
import { isId, uuidText } from "#db/short/ids";
import { hasHadState } from "#db/short/states";
import { STATE_COLUMNS, type StateColumns, stateOf } from "#db/rows/flow-runs";
import type { TaskRunRow } from "#db/rows/task-runs";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import { isTaskRun } from "#db/task-run-keys";
import { task_run, task_run_state_cache } from "#db/tables/task-run";
import { readRecorded } from "#events/read-recorded";
import { missingObject } from "#lib/api-error";
import type { Micros } from "#lib/clock";
import { enqueueTaskRun } from "#objects/task-queue/client";
import { changeRun, type Commit, type WritableDecision } from "#orchestration/change-run";
import { taskRunContext } from "#orchestration/context";
import { decideTaskRun } from "#orchestration/decide";
import { BackgroundTaskPolicy, CoreTaskPolicy, MinimalTaskPolicy } from "#orchestration/policies";
import { storedState } from "#orchestration/predicates";
import type { Orchestrated } from "#orchestration/result";
import { releaseSlots, TaskRunSlots } from "#orchestration/secure-slots";
import { updateTaskRun } from "#orchestration/statements";
import type { EnclosingFlowRun, Policy, TaskRunContext } from "#orchestration/transition";
import type { Tools } from "#tools";
import type { State, StateProposal } from "#wire/state";

/** A task run with the other data that its rules see. */
interface LoadedTaskRun {
  row: TaskRunRow;
  flowRun: EnclosingFlowRun | null;
  /** The cached state for the proposal's cache key. */
  cached: State | null;
}

/** Proposes a state for a task run. Throws 404 for an unknown run, and 503 if other proposals were always faster. */
export function setTaskRunState(
  tools: Tools,
  taskRunId: string,
  proposal: StateProposal,
  { force = false }: { force?: boolean } = {},
): Promise<Orchestrated> {
  const slots = new TaskRunSlots(tools, taskRunId);
  const policy = policyFor(proposal, force);
  return changeRun<TaskRunContext, LoadedTaskRun>(
    tools,
    {
      noun: "task run",
      table: task_run,
      slots,
      load: async () => {
        const recorded = await load(tools, taskRunId, proposal);
        // The task run may have been reported in an event that is not recorded yet.
        if (!recorded) await readRecorded(tools, { taskRunIds: [taskRunId] }, []);
        const loaded = recorded ?? (await load(tools, taskRunId, proposal));
        if (!loaded) throw missingObject(`Task run with id ${taskRunId} not found`);
        return loaded;
      },
      hasHadState: ({ row }, stateId) => hasHadState(row, stateId),
      contextOf: ({ row, flowRun, cached }) => taskRunContext(tools, row, { flowRun, cached, leaseId: slots.leaseId }),
      decide: (context, proposed) => decideTaskRun(policy, context, proposed),
      commitOf: ({ row }, { now }, decision) => commitOf(tools, slots, row, { now, decision }),
    },
    proposal,
  );
}

/** Prefect: a deferred state belongs to a background task. Its policy also prevents a second run of the task. */
function policyFor(proposal: StateProposal, force: boolean): Policy<TaskRunContext> {
  if (proposal.state_details?.deferred) return BackgroundTaskPolicy;
  return force ? MinimalTaskPolicy : CoreTaskPolicy;
}

async function load(tools: Tools, id: string, proposal: StateProposal): Promise<LoadedTaskRun | undefined> {
  const { workspaceId, db } = tools;
  const own = isTaskRun(workspaceId, id);
  const [rows, flowRuns, cached] = await db.readAll([
    sql`select * from ${task_run} where ${own}`,
    sql`select r.id as id, r.run_count as run_count, ${STATE_COLUMNS} from ${task_run}
      join ${flow_run} r on r.workspace_id = ${workspaceId} and r.id = ${sql.raw(uuidText("task_run.flow_run_id"))}
      left join ${flow_run_state} s on s.id = r.state_id where ${own}`,
    ...selectCached(workspaceId, proposal, tools.clock()),
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

function selectCached(workspaceId: string, proposal: StateProposal, now: Micros): SQL[] {
  const key = proposal.state_details?.cache_key;
  if (!key) return [];
  return [
    sql`select state from ${task_run_state_cache}
      where workspace_id = ${workspaceId} and cache_key = ${key} and (cache_expiration is null or cache_expiration > ${now})
      order by created desc limit 1`,
  ];
}

interface DecidedTaskRun {
  now: Micros;
  decision: WritableDecision<TaskRunContext>;
}

function commitOf(tools: Tools, slots: TaskRunSlots, row: TaskRunRow, decided: DecidedTaskRun): Commit {
  const { now, decision } = decided;
  const { state, changes, effects } = decision;
  const isAsLoaded = sql`${isId("state_id", row.state_id)} and updated = ${row.updated}`;
  const queued = effects.find((effect) => effect.kind === "enqueue-task-run");
  return {
    decision,
    statements: [
      updateTaskRun(tools.workspaceId, row, state, changes, isAsLoaded, now),
      ...insertCached(tools, row, decided),
      ...(queued && row.background !== 1 ? [markBackground(tools, row, state)] : []),
    ],
    async finish() {
      slots.use(decision);
      await releaseSlots(tools, row.id, effects);
      if (queued) tools.background(enqueueTaskRun(tools, row, state, queued.retry));
    },
  };
}

/** Sets the flag by which the task queue finds a run that was not created as a background task. */
function markBackground(tools: Tools, row: TaskRunRow, state: State): SQL {
  return sql`update ${task_run} set background = 1
      where ${isTaskRun(tools.workspaceId, row.id)} and ${isId("state_id", state.id)}`;
}

function insertCached(tools: Tools, row: TaskRunRow, { now, decision: { state, effects } }: DecidedTaskRun): SQL[] {
  const effect = effects.find((one) => one.kind === "insert-cache");
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
          where ${isTaskRun(tools.workspaceId, row.id, "t")} and ${isId("t.state_id", state.id)})`,
      },
    ),
  ];
}
