/** What a task was given: results of other runs, parameters, constants. */
import * as z from "zod";
import { Uuid } from "#wire/ids";
import { branchNames } from "#wire/refusal";

const TaskRunInput = z.union(
  [
    z.object({ input_type: z.literal("task_run").optional(), id: Uuid }).meta({ id: "TaskRunResult" }),
    z.object({ input_type: z.literal("flow_run").optional(), id: Uuid }).meta({ id: "FlowRunResult" }),
    z.object({ input_type: z.literal("parameter").optional(), name: z.string() }).meta({ id: "Parameter" }),
    z.object({ input_type: z.literal("constant").optional(), type: z.string() }).meta({ id: "Constant" }),
  ],
  branchNames("TaskRunResult", "FlowRunResult", "Parameter", "Constant"),
);

/** The inputs of a task run by the names of its parameters. */
export const TaskInputs = z.record(z.string(), z.array(TaskRunInput));
