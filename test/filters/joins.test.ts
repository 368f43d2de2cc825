import { beforeAll, describe, test } from "vitest";
import { type FiltersInput, find, idOf, makeWorld, type Root } from "./world";

beforeAll(makeWorld);

const only = (...names: string[]) => ({ id: { any_: names.map(idOf) } });
const RESOURCES = ["flows", "flow_runs", "task_runs", "deployments", "work_pools", "work_queues"] as const;

/**
 * For each root and each other resource: the rows found by an empty filter of the other resource, and by a filter for
 * one of its rows.
 */
const PAIRS: [root: Root, other: Root, throughAny: string, row: string, throughRow: string][] = [
  ["flows", "flow_runs", "f1 f2", "r3", "f2"],
  ["flows", "task_runs", "f1", "t3", "f1"],
  ["flows", "deployments", "f1 f2", "d3", "f2"],
  ["flows", "work_pools", "f1", "p2", "f1"],
  ["flows", "work_queues", "f1", "q3", "f1"],
  ["flow_runs", "flows", "r1 r2 r3 r4 r5 r6", "f2", "r3 r4"],
  ["flow_runs", "task_runs", "r1 r2", "t3", "r2"],
  ["flow_runs", "deployments", "r1 r2 r3 r6", "d1", "r1 r6"],
  ["flow_runs", "work_pools", "r1 r2 r6", "p1", "r1 r6"],
  ["flow_runs", "work_queues", "r1 r2 r6", "q2", "r6"],
  ["task_runs", "flows", "t1 t2 t3", "f1", "t1 t2 t3"],
  ["task_runs", "flow_runs", "t1 t2 t3", "r1", "t1 t2"],
  ["task_runs", "deployments", "t1 t2 t3", "d2", "t3"],
  ["task_runs", "work_pools", "t1 t2 t3", "p2", "t3"],
  ["task_runs", "work_queues", "t1 t2 t3", "q1", "t1 t2"],
  ["deployments", "flows", "d1 d2 d3", "f2", "d3"],
  ["deployments", "flow_runs", "d1 d2 d3", "r6", "d1"],
  ["deployments", "task_runs", "d1 d2", "t3", "d2"],
  ["deployments", "work_pools", "d1 d2", "p2", "d2"],
  ["deployments", "work_queues", "d1 d2", "q1", "d1"],
  ["work_pools", "flows", "p1 p2", "f2", ""],
  ["work_pools", "flow_runs", "p1 p2", "r2", "p2"],
  ["work_pools", "task_runs", "p1 p2", "t1", "p1"],
  ["work_pools", "deployments", "p1 p2", "d2", "p2"],
  ["work_pools", "work_queues", "p1 p2", "q4", "p2"],
  ["work_queues", "flows", "q1 q3", "f1", "q1 q3"],
  ["work_queues", "flow_runs", "q1 q2 q3", "r6", "q2"],
  ["work_queues", "task_runs", "q1 q3", "t3", "q3"],
  ["work_queues", "deployments", "q1 q3", "d2", "q3"],
  ["work_queues", "work_pools", "q1 q2 q3 q4", "p1", "q1 q2"],
];

test("every pair of resources is in the table", ({ expect }) => {
  const pairs = RESOURCES.flatMap((root) =>
    RESOURCES.filter((other) => other !== root).map((other) => `${root} ${other}`),
  );
  expect(PAIRS.map(([root, other]) => `${root} ${other}`).toSorted()).toEqual(pairs.toSorted());
});

describe.for(PAIRS)("%s by %s", ([root, other, throughAny, row, throughRow]) => {
  test("an empty filter finds the rows that are joined with any row", async ({ expect }) => {
    expect(await find(root, { [other]: {} })).toBe(throughAny);
  });

  test("a filter that is null filters nothing", async ({ expect }) => {
    expect(await find(root, { [other]: null })).toBe(await find(root, {}));
  });

  test("a row is joined with the rows to which it belongs", async ({ expect }) => {
    expect(await find(root, { [other]: only(row) })).toBe(throughRow);
  });

  test("rows of another workspace are not joined", async ({ expect }) => {
    const strangers = { name: { any_: [0, 1, 2, 3, 4, 5].map((index) => `stranger${index}`) } };
    expect(await find(root, { [other]: strangers })).toBe("");
  });
});

const TOGETHER: [what: string, root: Root, filters: FiltersInput, found: string][] = [
  ["the same run has to meet both filters", "flows", { flow_runs: only("r2"), task_runs: only("t1") }, ""],
  ["a run and a task of its own are found", "flows", { flow_runs: only("r1"), task_runs: only("t1") }, "f1"],
  ["the same deployment has to meet both filters", "flows", { deployments: only("d1"), work_pools: only("p2") }, ""],
  [
    "a deployment and a run need not know each other",
    "flows",
    { deployments: only("d2"), flow_runs: only("r1") },
    "f1",
  ],
  ["the same queue has to meet both filters", "deployments", { work_queues: only("q1"), work_pools: only("p2") }, ""],
  ["a queue and its pool are found", "deployments", { work_queues: only("q1"), work_pools: only("p1") }, "d1"],
  ["a run and a task of another run are not", "deployments", { flow_runs: only("r6"), task_runs: only("t1") }, ""],
  [
    "all ways at once",
    "flow_runs",
    {
      flows: only("f1"),
      flow_runs: only("r1", "r2"),
      task_runs: {},
      deployments: only("d1"),
      work_pools: {},
      work_queues: {},
    },
    "r1",
  ],
  [
    "all ways of a task's run at once",
    "task_runs",
    {
      flows: only("f1"),
      flow_runs: {},
      task_runs: only("t1", "t3"),
      deployments: only("d1"),
      work_pools: only("p1"),
      work_queues: only("q1"),
    },
    "t1",
  ],
  ["with only flow run ids, the run need not exist", "task_runs", { flow_runs: only("r9", "r2") }, "t3 t5"],
  ["with more than ids, the run must exist", "task_runs", { flow_runs: { ...only("r9", "r2"), name: {} } }, "t3"],
  [
    "with another filter beside the ids, the run must exist",
    "task_runs",
    { flow_runs: only("r9", "r2"), deployments: {} },
    "t3",
  ],
  [
    "ids to leave out are more than ids",
    "task_runs",
    { flow_runs: { id: { any_: [idOf("r9"), idOf("r2")], not_any_: [idOf("r1")] } } },
    "t3",
  ],
  ["an empty list of ids finds nothing", "task_runs", { flow_runs: only() }, ""],
];

test.for(TOGETHER)("%s (%s)", async ([, root, filters, found], { expect }) => {
  expect(await find(root, filters)).toBe(found);
});
