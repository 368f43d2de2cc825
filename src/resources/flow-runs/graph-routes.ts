/** The routes of a flow run's graphs. */
import { namedObject } from "#wire/named";
import * as z from "zod";
import { Listing } from "#http/listing";
import { route } from "#http/route";
import type { Micros } from "#lib/clock";
import { listWithArchived, orArchived } from "#resources/flow-runs/archived-reads";
import { readDependencies, readGraph } from "#resources/flow-runs/graph";
import type { Tools } from "#tools";
import { Time, TimeText } from "#wire/dates";
import { UuidText } from "#wire/ids";
import { StateText, StateType } from "#wire/state";

/** Prefect: `earliest_possible_datetime`, the first moment of the year 1. */
const EARLIEST: Micros = -62_135_596_800_000_000;

/** A task run with the task runs from which it takes results. */
const DependencyResult = namedObject("DependencyResult", {
  id: UuidText,
  name: z.string(),
  upstream_dependencies: z.array(z.object({ input_type: z.literal("task_run"), id: UuidText })),
  state: StateText.nullable(),
  expected_start_time: TimeText.nullable(),
  start_time: TimeText.nullable(),
  end_time: TimeText.nullable(),
  total_run_time: z.number().nullable(),
  estimated_run_time: z.number().nullable(),
  untrackable_result: z.boolean(),
});

const Edge = namedObject("Edge", { id: UuidText });
const GraphArtifact = namedObject("GraphArtifact", {
  id: UuidText,
  created: TimeText,
  key: z.string().nullable(),
  type: z.string().nullable(),
  is_latest: z.boolean(),
  data: z.unknown(),
});
const GraphNode = namedObject("Node", {
  kind: z.enum(["flow-run", "task-run"]),
  id: UuidText,
  label: z.string(),
  state_type: StateType,
  start_time: TimeText,
  end_time: TimeText.nullable(),
  parents: z.array(Edge),
  children: z.array(Edge),
  encapsulating: z.array(Edge),
  artifacts: z.array(GraphArtifact),
});
/** The graph that the user interface shows of a flow run. */
const Graph = namedObject("Graph", {
  start_time: TimeText.nullable(),
  end_time: TimeText.nullable(),
  root_node_ids: z.array(UuidText),
  nodes: z.array(z.tuple([UuidText, GraphNode])),
  artifacts: z.array(GraphArtifact),
  states: z.array(namedObject("GraphState", { id: UuidText, timestamp: TimeText, type: StateType, name: z.string() })),
});

export const flowRunGraphRoutes = [
  route(
    {
      method: "GET",
      path: "/flow_runs/{id:uuid}/graph",
      summary: "Read the tasks of a flow run with what each waits for.",
      response: z.array(DependencyResult),
      errors: [400],
    },
    async ({ params: { id }, tools }) => {
      const read = (own: Tools) => listWithArchived(own, [id], (inner) => readDependencies(inner, id));
      return new Listing(await orArchived(tools, id, read));
    },
  ),
  route(
    {
      method: "GET",
      path: "/flow_runs/{id:uuid}/graph-v2",
      summary: "Read the graph of a flow run's tasks and subflows, as far as they ended after a time.",
      query: z.object({ since: Time.default(EARLIEST) }),
      response: Graph,
      errors: [400],
    },
    ({ params, query, tools }) =>
      orArchived(tools, params.id, (own) => readGraph(own, params.id, query.since), { withSubflows: true }),
  ),
];
