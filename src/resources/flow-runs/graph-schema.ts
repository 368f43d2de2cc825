/** The graphs of a flow run on the wire. */
import * as z from "zod";
import { TimeText } from "#wire/dates";
import { UuidText } from "#wire/ids";
import { StateText, StateType } from "#wire/state";

/** A task run with the task runs whose results it takes. */
export const DependencyResult = z
  .object({
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
  })
  .meta({ id: "DependencyResult" });

const Edge = z.object({ id: UuidText }).meta({ id: "Edge" });
const GraphArtifact = z
  .object({
    id: UuidText,
    created: TimeText,
    key: z.string().nullable(),
    type: z.string().nullable(),
    is_latest: z.boolean(),
    data: z.unknown(),
  })
  .meta({ id: "GraphArtifact" });
const GraphNode = z
  .object({
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
  })
  .meta({ id: "Node" });
/** The graph that the user interface shows of a flow run. */
export const Graph = z
  .object({
    start_time: TimeText.nullable(),
    end_time: TimeText.nullable(),
    root_node_ids: z.array(UuidText),
    nodes: z.array(z.tuple([UuidText, GraphNode])),
    artifacts: z.array(GraphArtifact),
    states: z.array(
      z.object({ id: UuidText, timestamp: TimeText, type: StateType, name: z.string() }).meta({ id: "GraphState" }),
    ),
  })
  .meta({ id: "Graph" });
