import { beforeAll, describe, test } from "vitest";
import { DeploymentSort, FlowRunSort, FlowSort, orderBy, TaskRunSort, VariableSort } from "#filters/sorts";
import { find, makeWorld } from "./world";

beforeAll(makeWorld);

const FLOW_RUNS: Record<FlowRunSort, string> = {
  ID_DESC: "r6 r5 r4 r3 r2 r1",
  START_TIME_ASC: "r5 r1 r4 r2 r3 r6",
  START_TIME_DESC: "r6 r3 r2 r4 r1 r5",
  EXPECTED_START_TIME_ASC: "r5 r1 r4 r2 r3 r6",
  EXPECTED_START_TIME_DESC: "r6 r3 r2 r4 r1 r5",
  NAME_ASC: "r1 r6 r2 r3 r4 r5",
  NAME_DESC: "r5 r4 r3 r2 r6 r1",
  NEXT_SCHEDULED_START_TIME_ASC: "r1 r2 r4 r5 r6 r3",
  END_TIME_DESC: "r6 r1 r5 r4 r3 r2",
};

const TASK_RUNS: Record<TaskRunSort, string> = {
  ID_DESC: "t5 t4 t3 t2 t1",
  EXPECTED_START_TIME_ASC: "t4 t1 t2 t3 t5",
  EXPECTED_START_TIME_DESC: "t5 t3 t2 t1 t4",
  NAME_ASC: "t1 t4 t3 t5 t2",
  NAME_DESC: "t2 t5 t3 t4 t1",
  NEXT_SCHEDULED_START_TIME_ASC: "t1 t2 t3 t4 t5",
  END_TIME_DESC: "t2 t1 t5 t4 t3",
};

const FLOWS: Record<FlowSort, string> = {
  CREATED_DESC: "f3 f2 f1",
  UPDATED_DESC: "f3 f2 f1",
  NAME_ASC: "f1 f3 f2",
  NAME_DESC: "f2 f3 f1",
};

const DEPLOYMENTS: Record<DeploymentSort, string> = {
  CREATED_DESC: "d3 d2 d1",
  UPDATED_DESC: "d3 d2 d1",
  NAME_ASC: "d1 d2 d3",
  NAME_DESC: "d3 d2 d1",
};

const VARIABLES: Record<VariableSort, string> = {
  CREATED_DESC: "v3 v2 v1",
  UPDATED_DESC: "v3 v2 v1",
  NAME_ASC: "v2 v1 v3",
  NAME_DESC: "v3 v1 v2",
};

describe("equal rows are in the order of their ids", () => {
  test.for(FlowRunSort.options)("flow runs by %s", async (sort, { expect }) => {
    expect(await find("flow_runs", {}, orderBy("flow_runs", sort))).toBe(FLOW_RUNS[sort]);
  });
  test.for(TaskRunSort.options)("task runs by %s", async (sort, { expect }) => {
    expect(await find("task_runs", {}, orderBy("task_runs", sort))).toBe(TASK_RUNS[sort]);
  });
  test.for(FlowSort.options)("flows by %s", async (sort, { expect }) => {
    expect(await find("flows", {}, orderBy("flows", sort))).toBe(FLOWS[sort]);
  });
  test.for(DeploymentSort.options)("deployments by %s", async (sort, { expect }) => {
    expect(await find("deployments", {}, orderBy("deployments", sort))).toBe(DEPLOYMENTS[sort]);
  });
  test.for(VariableSort.options)("variables by %s", async (sort, { expect }) => {
    expect(await find("variables", {}, orderBy("variables", sort))).toBe(VARIABLES[sort]);
  });
});
