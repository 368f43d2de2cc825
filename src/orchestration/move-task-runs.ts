/** Moves many task runs of a flow run into a state, by force: the minimal policy decides. */
import { type SQL, sql } from "drizzle-orm";
import { isPassing } from "#db/database";
import { TASK_RUN_IN_LIST, type TaskRunRow, taskRunsInFull } from "#db/rows/task-runs";
import { type KeyForm, ofFlowRunIn, orderIn, type Place, throughIndex, walkForms } from "#db/task-run-keys";
import { inHalves } from "#lib/halving";
import { log } from "#lib/log";
import { taskRunContext } from "#orchestration/context";
import { decideTaskRun } from "#orchestration/decide";
import { MinimalTaskPolicy } from "#orchestration/policies";
import { releaseSlots } from "#orchestration/secure-slots";
import { updateTaskRun } from "#orchestration/statements";
import type { Changes, Effect, TaskRunContext } from "#orchestration/transition";
import type { Tools } from "#tools";
import { newState, type StateProposal } from "#wire/state";

/** How many task runs one select reads and one batch writes. */
const AT_ONCE = 100;
/** How many selects there are at most: enough for half a million task runs. */
const ROUNDS = 5_000;

/** Which task runs move, and into which state. */
export interface Move {
  /** The types of their present states, as a list in SQL. */
  from: SQL;
  proposal: StateProposal;
  /** Columns that change with the state. */
  changes?: Changes<TaskRunContext>;
}

/**
 * Moves task runs of a flow run. Each task run is read once. A change names the state on which it was decided, so a task run that has
 * another state by then is not changed. If a task run cannot be moved, the failure is logged, and the others are moved.
 */
export async function moveTaskRuns(tools: Tools, flowRunId: string, move: Move): Promise<void> {
  const select = (form: KeyForm, last?: Place) => selectTaskRuns(tools.workspaceId, flowRunId, move.from, form, last);
  for await (const rows of walkForms<TaskRunRow>(tools.db, { select, most: AT_ONCE, rounds: ROUNDS })) {
    for (const portion of taskRunsInFull(tools.db, tools.workspaceId, rows)) {
      const some = await portion();
      await write(
        tools,
        some.flatMap((row) => moved(tools, row, move)),
      );
    }
  }
}

/** Selects task runs without long values, in the order of one of their indexes, after `last`. */
export function selectTaskRuns(workspaceId: string, flowRunId: string, from: SQL, form: KeyForm, last?: Place): SQL {
  const { order, rest } = orderIn(form, last);
  return sql`select ${TASK_RUN_IN_LIST} from ${throughIndex(form)} where ${ofFlowRunIn(form, workspaceId, flowRunId)}
    and ${rest} and state_type in ${from} order by ${order} limit ${AT_ONCE}`;
}

/** The change of a task run, and its effects. */
interface Moved {
  id: string;
  statement: SQL;
  effects: readonly Effect[];
}

function moved(tools: Tools, row: TaskRunRow, { proposal, changes: more }: Move): Moved[] {
  const now = tools.clock();
  try {
    const context = taskRunContext(tools, row, { now });
    const { state, changes, effects } = decideTaskRun(MinimalTaskPolicy, context, newState(proposal, now, tools.ids));
    if (!state) return [];
    const isInSameState = sql`state_id is ${row.state_id}`;
    const statement = updateTaskRun(tools.workspaceId, row, state, { ...changes, ...more }, isInSameState, now);
    return [{ id: row.id, statement, effects }];
  } catch (error) {
    log(tools, "error", "a task run could not be moved", { task_run_id: row.id, error });
    return [];
  }
}

/** Writes the changes in one batch. If one change fails the batch, the batch is halved. */
function write(tools: Tools, changes: readonly Moved[]): Promise<void> {
  return inHalves(
    changes,
    async (some) => {
      const written = await tools.db.batch(some.map(({ statement }) => statement));
      const released = some.filter((_, index) => written[index]?.changes);
      await Promise.all(released.map(({ id, effects }) => releaseSlots(tools, id, effects)));
    },
    async ({ id }, error) => log(tools, "error", "a task run could not be moved", { task_run_id: id, error }),
    { isPassing },
  );
}
