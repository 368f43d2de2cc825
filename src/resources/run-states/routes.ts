/**
 * The routes under /flow_run_states and /task_run_states. The states of a flow run are rows. The states of a task run
 * are JSON in the row of the task run.
 */
import { sql } from "drizzle-orm";
import * as z from "zod";
import { readJson, readOptionalJson } from "#db/database";
import { readDetails } from "#db/short/details";
import { isId } from "#db/short/ids";
import { readStates, STATES_ROW, type StatesRow } from "#db/short/states";
import { digitsOf } from "#db/short/uuid";
import { readBySize } from "#db/long-values";
import { list } from "#db/sql";
import { stateIdsOf } from "#db/state-pages";
import { inTaskWorkspace, isTaskRun } from "#db/task-run-keys";
import { flow_run_state } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { readRecorded } from "#events/read-recorded";
import { Listing } from "#http/listing";
import { route } from "#http/route";
import { notFound } from "#lib/api-error";
import { mapPortions, type Portions } from "#lib/portions";
import { listWithArchived } from "#resources/flow-runs/archived-reads";
import type { Tools } from "#tools";
import { Uuid } from "#wire/ids";
import { printState, type State, StateText, type StateType } from "#wire/state";

type TaskStatesRow = StatesRow & { states: string };
type StateRow = Omit<typeof flow_run_state.$inferSelect, "type"> & { type: StateType };

const STATE_BYTES = sql.raw(
  "coalesce(octet_length(s.message), 0) + coalesce(octet_length(s.data), 0) + octet_length(s.state_details)",
);

export const runStateRoutes = [
  route(
    { method: "GET", path: "/flow_run_states/{id:uuid}", summary: "Read a state of a flow run.", response: StateText },
    async ({ params, tools }) => shown(await readFlowRunState(tools, params.id)),
  ),
  route(
    {
      method: "GET",
      path: "/flow_run_states/",
      summary: "Read the states of a flow run, oldest first.",
      query: z.object({ flow_run_id: Uuid }),
      response: z.array(StateText),
    },
    async ({ query, tools }) => {
      const states = await listWithArchived(tools, [query.flow_run_id], (own) =>
        readFlowRunStates(own, query.flow_run_id),
      );
      return new Listing(mapPortions(states, (some) => some.map(printState)));
    },
  ),
  route(
    { method: "GET", path: "/task_run_states/{id:uuid}", summary: "Read a state of a task run.", response: StateText },
    async ({ params, tools }) => shown(await readTaskRunState(tools, params.id)),
  ),
  route(
    {
      method: "GET",
      path: "/task_run_states/",
      summary: "Read the states of a task run, oldest first.",
      query: z.object({ task_run_id: Uuid }),
      response: z.array(StateText),
    },
    async ({ query, tools }) => (await readTaskRunStates(tools, query.task_run_id)).map(printState),
  ),
];

function shown(state: State | undefined): StateText {
  // Prefect: the message has "Flow run state" also for the state of a task run.
  if (!state) throw notFound("Flow run state");
  return printState(state);
}

/** One state of a flow run, or undefined. */
async function readFlowRunState({ db, workspaceId }: Tools, id: string): Promise<State | undefined> {
  const [row] = await db.rows<StateRow>(
    sql`select * from ${flow_run_state} where id = ${id} and workspace_id = ${workspaceId}`,
  );
  return row && stateOfRow(row);
}

/**
 * The states of a flow run, oldest first. The run's row has the ids of its states, so the table of states needs no
 * index. A run may have any number of states, so the first read gives only their sizes.
 */
async function readFlowRunStates({ db, workspaceId }: Tools, flowRunId: string): Promise<Portions<State>> {
  const sizes = await db.rows<{ id: string; bytes: number }>(
    sql`select s.id, ${STATE_BYTES} as bytes
      from ${stateIdsOf(sql`r.workspace_id = ${workspaceId} and r.id = ${flowRunId}`)} listed
      cross join ${flow_run_state} s on s.id = listed.id order by s.timestamp, listed.place`,
  );
  const rows = readBySize(sizes, (ids) =>
    db.rows<StateRow>(sql`select * from ${flow_run_state} where id in ${list(ids)}`),
  );
  return mapPortions(rows, (some) => some.map(stateOfRow));
}

function stateOfRow({ id, flow_run_id, type, name, timestamp, message, data, state_details }: StateRow): State {
  const details = readDetails(readJson(state_details), { flow_run_id });
  return { id, type, name, timestamp, message, data: readOptionalJson<unknown>(data), state_details: details };
}

/**
 * One state of a task run, or undefined. There is no index from a state to its task run: an index would have a row for
 * each state, and no client uses this route. So the statement reads all task runs of the workspace.
 */
async function readTaskRunState({ db, workspaceId }: Tools, id: string): Promise<State | undefined> {
  const rows = await db.rows<TaskStatesRow>(
    sql`select ${sql.raw(STATES_ROW)} from ${task_run} where ${inTaskWorkspace(workspaceId)}
      and (${isId("state_id", id)} or instr(states, ${digitsOf(id)}) > 0 or instr(states, ${id}) > 0)`,
  );
  return rows.flatMap(readStates).find((state) => state.id === id);
}

/** The states of a task run, oldest first. */
async function readTaskRunStates(tools: Tools, taskRunId: string): Promise<State[]> {
  const [rows = []] = await readRecorded(tools, { taskRunIds: [taskRunId] }, [
    sql`select ${sql.raw(STATES_ROW)} from ${task_run} where ${isTaskRun(tools.workspaceId, taskRunId)}`,
  ]);
  return (rows as unknown as TaskStatesRow[]).flatMap(readStates).toSorted((a, b) => a.timestamp - b.timestamp);
}
