/** The two graphs of a flow run: the dependencies of its task runs, and the graph that the user interface shows. */
import { type SQL, sql } from "drizzle-orm";
import { flow } from "#db/tables/flow";
import { estimatedRunTime } from "#db/run-estimates";
import { readBySize } from "#db/long-values";
import type { TaskRunRow } from "#db/rows/task-runs";
import { stateIdsOf } from "#db/state-pages";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { uuidText } from "#db/short/ids";
import { inputId, inputsForm } from "#db/short/inputs";
import { presentState } from "#db/short/states";
import { areTaskRuns, ofFlowRun } from "#db/task-run-keys";
import { readRecorded } from "#events/read-recorded";
import { artifactsOf, type GraphArtifactRow, printArtifact } from "#resources/flow-runs/graph-artifacts";
import { inWorkspace, seek } from "#filters/clause";
import { missingObject, refused } from "#lib/api-error";
import type { Micros } from "#lib/clock";
import { mapPortions } from "#lib/portions";
import type { Tools } from "#tools";
import { printDuration, printOptionalTime, printTime } from "#wire/dates";
import { printState } from "#wire/state";
import { asObject } from "#db/sql";

/** Prefect: PREFECT_API_MAX_FLOW_RUN_GRAPH_NODES. */
const MAX_NODES = 10_000;
/** How many edges an answer has at most. */
const MAX_EDGES = 100_000;

/**
 * Gives every task run with the task runs from which it takes results. Throws 404 for an unknown flow run, 400 for too
 * many task runs. Prefect bounds only the other graph: for this graph it reads a run of any size.
 */
export async function readDependencies(tools: Tools, id: string) {
  const { workspaceId } = tools;
  const own = ofFlowRun(workspaceId, id);
  const [runs, tasks = []] = await readRecorded(tools, { flowRunIds: [id] }, [
    sql`select 1 from ${flow_run} where workspace_id = ${workspaceId} and id = ${id}`,
    sql`select id, octet_length(states) + octet_length(task_inputs) as bytes from ${task_run}
      where ${own} order by expected_start_time, ${sql.raw(uuidText("id"))} limit ${MAX_NODES + 1}`,
  ]);
  if (!runs?.length) throw missingObject(`Flow run with id ${id} not found`);
  if (tasks.length > MAX_NODES) throw refused(400, `The graph of flow run ${id} has more than ${MAX_NODES} nodes.`);
  const now = tools.clock();
  // There may be thousands of task runs, so the first read gives only their sizes.
  const whole = readBySize(tasks as unknown as { id: string; bytes: number }[], (ids) =>
    tools.db.rows<TaskRunRow>(sql`select * from ${task_run} where ${areTaskRuns(workspaceId, ids)}`),
  );
  return mapPortions(whole, (rows) => rows.map((row) => printDependency(row, now)));
}

function printDependency(row: TaskRunRow, now: Micros) {
  const state = presentState(row);
  const inputs = Object.values(inputsForm.read(row.task_inputs) ?? {}).flat();
  const upstream = new Set(inputs.flatMap((input) => (input?.input_type === "task_run" && input.id ? [input.id] : [])));
  return {
    id: row.id,
    name: row.name,
    upstream_dependencies: [...upstream].map((from) => ({ input_type: "task_run", id: from })),
    state: state && printState(state),
    expected_start_time: printOptionalTime(row.expected_start_time),
    start_time: printOptionalTime(row.start_time),
    end_time: printOptionalTime(row.end_time),
    total_run_time: printDuration(row.total_run_time),
    estimated_run_time: printDuration(estimatedRunTime(row, state, now)),
    untrackable_result: state?.state_details.untrackable_result ?? false,
  };
}

interface NodeRow {
  kind: "flow-run" | "task-run";
  id: string;
  label: string;
  state_type: string;
  start_time: Micros;
  end_time: Micros | null;
}

/** An edge from a parent to a node that takes the result of the parent, or that runs within the parent. */
interface EdgeRow {
  parent: string;
  child: string;
  encapsulating: 0 | 1;
}

interface StateRow {
  id: string;
  timestamp: Micros;
  type: string;
  name: string;
}

/**
 * Gives the task runs and subflows that have not ended before a time, with their edges, in one round trip. Throws 404
 * for an unknown flow run, 400 for too many nodes or edges.
 */
export async function readGraph(tools: Tools, id: string, since: Micros) {
  const { workspaceId } = tools;
  const nodes = sql`with ${nodesOf(workspaceId, id, since)}`;
  const results = await readRecorded(tools, { flowRunIds: [id] }, [
    sql`select coalesce(start_time, expected_start_time) as start_time, end_time from ${flow_run}
      where workspace_id = ${workspaceId} and id = ${id}`,
    sql`${nodes} select kind, id, label, state_type, start_time, end_time from shown`,
    sql`${nodes} ${edges()}`,
    sql`select s.id as id, s.timestamp as timestamp, s.type as type, s.name as name
      from ${stateIdsOf(sql`r.workspace_id = ${workspaceId} and r.id = ${id}`)} listed
      cross join ${flow_run_state} s on s.id = listed.id order by s.timestamp, listed.place`,
    artifactsOf(workspaceId, id),
  ]);
  // The rows of the five selects above.
  const [runs, shown, at, states, artifacts] = results as unknown as [
    Pick<NodeRow, "start_time" | "end_time">[],
    NodeRow[],
    EdgeRow[],
    StateRow[],
    GraphArtifactRow[],
  ];
  const [run] = runs;
  if (!run) throw missingObject(`Flow run ${id} not found`);
  if (shown.length > MAX_NODES) throw refused(400, `The graph of flow run ${id} has more than ${MAX_NODES} nodes.`);
  if (at.length > MAX_EDGES) throw refused(400, `The graph of flow run ${id} has more than ${MAX_EDGES} edges.`);
  return printGraph(run, shown, at, states, artifacts);
}

/**
 * Two subqueries. `node` has each task run, or its subflow instead, with the inputs. `shown` has the nodes that have
 * not ended before the time, and at most one node more than the bound, so that a graph over the bound is detected.
 */
function nodesOf(workspaceId: string, flowRunId: string, since: Micros): SQL {
  return sql`node as materialized (
      select iif(s.id is null, 'task-run', 'flow-run') as kind, coalesce(s.id, ${TASK_RUN_ID}) as id,
        iif(s.id is null, t.name, coalesce(f.name || ' / ', '') || s.name) as label, coalesce(s.state_type, t.state_type) as state_type,
        coalesce(s.start_time, s.expected_start_time, t.start_time, t.expected_start_time) as start_time,
        coalesce(s.end_time, t.end_time, iif(t.state_type = 'COMPLETED', t.expected_start_time, null)) as end_time,
        ${asObject(sql`t.task_inputs`)} as task_inputs
      from ${task_run} t
      left join ${flow_run} s on ${inWorkspace(sql`s.workspace_id`, workspaceId)}
        and ${seek(sql`s.parent_task_run_id`, sql`s.parent_task_run_id = ${TASK_RUN_ID}`)}
      left join ${flow} f on f.workspace_id = s.workspace_id and f.id = s.flow_id
      where ${ofFlowRun(workspaceId, flowRunId, "t")}
        and coalesce(s.start_time, s.expected_start_time, t.start_time, t.expected_start_time) is not null
    ), shown as materialized (
      select * from node where end_time is null or end_time >= ${since} order by start_time, end_time, id limit ${MAX_NODES + 1}
    )`;
}

/** Selects the edges of shown nodes, the earlier parents and children first. `__parents__` has the tasks inside which a task runs. */
function edges(): SQL {
  return sql`, input as materialized (
      select ${inputId("argument")} as parent, node.id as child, node.start_time as start_time,
        parameter.key = '__parents__' as encapsulating
      from node join json_each(node.task_inputs) parameter join json_each(parameter.value) argument
    )
    select input.parent as parent, input.child as child, input.encapsulating as encapsulating
    from input join node on node.id = input.parent
    where input.child in (select id from shown) or input.parent in (select id from shown)
    group by 1, 2, 3 order by node.start_time, input.start_time limit ${MAX_EDGES + 1}`;
}

/** The text of the id of a task run `t`. */
const TASK_RUN_ID = sql.raw(uuidText("t.id"));

function printGraph(
  run: Pick<NodeRow, "start_time" | "end_time">,
  shown: NodeRow[],
  at: EdgeRow[],
  states: StateRow[],
  artifacts: GraphArtifactRow[],
) {
  const flowing = at.filter((edge) => !edge.encapsulating);
  const parents = Map.groupBy(flowing, (edge) => edge.child);
  const children = Map.groupBy(flowing, (edge) => edge.parent);
  const around = Map.groupBy(
    at.filter((edge) => edge.encapsulating),
    (edge) => edge.child,
  );
  const made = Map.groupBy(artifacts, (one) => one.task_run_id);
  return {
    start_time: printOptionalTime(run.start_time),
    end_time: printOptionalTime(run.end_time),
    root_node_ids: shown.filter(({ id }) => !parents.has(id)).map(({ id }) => id),
    nodes: shown.map((node) => [
      node.id,
      {
        ...node,
        start_time: printTime(node.start_time),
        end_time: printOptionalTime(node.end_time),
        parents: (parents.get(node.id) ?? []).map(({ parent }) => ({ id: parent })),
        children: (children.get(node.id) ?? []).map(({ child }) => ({ id: child })),
        encapsulating: (around.get(node.id) ?? []).map(({ parent }) => ({ id: parent })),
        artifacts: (made.get(node.id) ?? []).map(printArtifact),
      },
    ]),
    artifacts: (made.get(null) ?? []).map(printArtifact),
    states: states.map((state) => ({ ...state, timestamp: printTime(state.timestamp) })),
  };
}
