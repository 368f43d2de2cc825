/** A history of flow runs for the tests of the archive, and the requests that read it. */
import { sql } from "drizzle-orm";
import { isTaskRun } from "#db/task-run-keys";
import { toResponse } from "#http/errors";
import { moveFlowRuns } from "#resources/flow-runs/archived-move";
import { routes } from "#routes";
import type { Tools } from "#tools";
import { makeTextIds } from "../../support/task-rows";
import { aDeployment, aFlow, aFlowRun, aRunOf, api, propose, sendText, unique, WORKSPACE } from "../../support/world";
import { archiveTools } from "../logs/archive-world";

/** Numbers that a `number` cannot have, and texts that are unusual in JSON and in SQL. */
const ODD =
  '{"big":1152921504606846977,"point":1.0,"long":0.123456789012345678901234567890,"text":"\\u0000 \\" \\\\ \\ud83d\\ude00 é\\n"}';

/** The ids of a history. */
export interface History {
  /** A flow run with tasks that depend on each other, and a subflow. */
  parent: string;
  subflow: string;
  /** A run of a deployment, with inputs and long values. */
  deployed: string;
  /** A run without task runs, which failed before it began. */
  bare: string;
  /** A run that stays in D1. */
  live: string;
  /** All runs but the live one. */
  old: string[];
  tasks: string[];
}

const input = (id: string) => ({ input_type: "task_run", id });

/** Runs one task, through several states. */
async function aTask(flowRunId: string, name: string, fields: Record<string, unknown> = {}): Promise<string> {
  const { body } = await api<{ id: string }>("POST", "/task_runs/", {
    flow_run_id: flowRunId,
    name,
    task_key: `keys.${name}`,
    dynamic_key: crypto.randomUUID(),
    state: { type: "PENDING" },
    ...fields,
  });
  for (const state of [{ type: "RUNNING" }, { type: "COMPLETED", message: `done: ${name}`, data: { n: name } }])
    await api("POST", `/task_runs/${body.id}/set_state`, { state });
  return body.id;
}

async function end(id: string, type = "COMPLETED"): Promise<void> {
  for (const state of [
    { type: "PENDING" },
    { type: "RUNNING" },
    { type, message: "the end", data: { is: [1.5, "x"] } },
  ])
    await propose(id, state, true);
}

async function aParent(): Promise<{ parent: string; subflow: string; tasks: string[] }> {
  const { id: parent } = await aFlowRun({ state: { type: "SCHEDULED" }, tags: ["a", "b"], labels: { team: "é" } });
  const first = await aTask(parent, "first", { cache_key: unique("cache"), tags: ["t"] });
  const second = await aTask(parent, "second", { task_inputs: { x: [input(first)] } });
  const wrapper = await aTask(parent, "wrapper", { task_inputs: { y: [input(first), input(second)] } });
  const last = await aTask(parent, "last", { task_inputs: { __parents__: [input(wrapper)] }, dynamic_key: "0" });
  const { id: subflow } = await aFlowRun({ parent_task_run_id: wrapper, state: { type: "PENDING" } });
  const inner = await aTask(subflow, "inner");
  await end(subflow, "FAILED");
  await end(parent);
  return { parent, subflow, tasks: [first, second, wrapper, last, inner] };
}

async function aDeployedRun(): Promise<string> {
  const { name } = (await api<{ name: string }>("POST", "/work_pools/", { name: unique("pool"), type: "process" }))
    .body;
  const { id } = await aRunOf(await aDeployment({ work_pool_name: name }), { state: { type: "SCHEDULED" } });
  const odd = `{"parameters":{"odd":${ODD},"long":${JSON.stringify("x\n".repeat(60_000))}}}`;
  await sendText("PATCH", `/flow_runs/${id}`, odd);
  for (const key of ["b-1", "a-2", "b-3"])
    await sendText("POST", `/flow_runs/${id}/input`, JSON.stringify({ key, value: `${key} ${ODD}`, sender: "me" }));
  await api("POST", `/flow_runs/${id}/input`, { key: "long", value: "\u0001\n".repeat(300_000) });
  for (let n = 0; n < 12; n++)
    await aTask(id, `task ${n % 5}`, { tags: n % 2 ? ["odd"] : [], labels: { n: String(n) } });
  await end(id);
  return id;
}

async function writeLogs(runs: readonly string[]): Promise<void> {
  const logs = runs.flatMap((flow_run_id) =>
    ["one", "two"].map((message) => ({
      name: "n",
      level: 20,
      message,
      timestamp: new Date().toISOString(),
      flow_run_id,
    })),
  );
  await api("POST", "/logs/", logs);
}

/** Makes artifacts of runs: some are the latest of their keys, others have an older or no key. */
async function makeArtifacts(runs: readonly string[], tasks: readonly string[]): Promise<void> {
  const key = unique("report");
  for (const flow_run_id of [...runs, ...runs]) {
    const text = `{"key":"${key}","type":"table","data":${ODD},"flow_run_id":"${flow_run_id}"}`;
    await sendText("POST", "/artifacts/", text);
    const progress = { type: "progress", data: 12.5, flow_run_id, task_run_id: tasks[0] };
    await api("POST", "/artifacts/", progress);
  }
  await api("POST", "/artifacts/", { key: unique("own"), type: "markdown", data: "# own", flow_run_id: runs[0] });
  await api("POST", "/artifacts/", { type: "markdown", data: '\n"'.repeat(300_000), flow_run_id: runs[1] });
}

/** Moves runs to the archive. */
export async function moveRuns(ids: readonly string[]): Promise<void> {
  const moved = await moveFlowRuns(archiveTools(WORKSPACE), ids, sql`true`);
  if (moved.length < ids.length) throw new Error("a run has not moved");
}

/** Creates the history. Some task runs have the form of rows that are older than short ids. */
export async function aHistory(): Promise<History> {
  const { parent, subflow, tasks } = await aParent();
  const deployed = await aDeployedRun();
  const { id: bare } = await aFlowRun({ state: { type: "SCHEDULED" } });
  await propose(bare, { type: "CANCELLED" }, true);
  const { id: live } = await aFlowRun({ state: { type: "SCHEDULED" }, flow_id: await aFlow() });
  tasks.push(await aTask(live, "first"), await aTask(live, "live"));
  await end(live);
  await writeLogs([parent, live]);
  await makeArtifacts([parent, deployed, live], tasks);
  for (const id of tasks.slice(1, 3)) await makeTextIds(isTaskRun(WORKSPACE, id));
  return { parent, subflow, deployed, bare, live, old: [parent, subflow, deployed, bare], tasks };
}

export type Question = [method: "GET" | "POST", path: string, body?: Record<string, unknown>];

export const any = (...ids: string[]) => ({ id: { any_: ids } });
export const WINDOW = {
  history_start: "2020-01-01T00:00:00Z",
  history_end: "2035-01-01T00:00:00Z",
  history_interval_seconds: 9e7,
};

/** The requests about one run. */
export function questionsAbout(id: string): Question[] {
  const run = `/flow_runs/${id}`;
  return [
    ["GET", run],
    ["GET", `${run}/graph`],
    ["GET", `${run}/graph-v2`],
    ["GET", `${run}/graph-v2?since=2100-01-01T00:00:00Z`],
    ["GET", `${run}/why`],
    ["GET", `${run}/logs/download`],
    ["GET", `${run}/input/b-1`],
    ["GET", `${run}/input/long`],
    ["GET", `${run}/input/none`],
    ["POST", `${run}/input/filter`, { prefix: "b", limit: 10 }],
    ["POST", `${run}/input/filter`, { prefix: "", limit: 3, exclude_keys: ["b-1"] }],
    ["GET", `/flow_run_states/?flow_run_id=${id}`],
  ];
}

const TASK_SORTS = [
  "ID_DESC",
  "NAME_ASC",
  "NAME_DESC",
  "EXPECTED_START_TIME_ASC",
  "EXPECTED_START_TIME_DESC",
  "NEXT_SCHEDULED_START_TIME_ASC",
  "END_TIME_DESC",
];
const RUN_SORTS = [...TASK_SORTS, "START_TIME_ASC", "START_TIME_DESC"];

/** The lists and counts of some runs, which may be in both stores. */
export function questionsAboutMany(ids: string[], tasks: string[]): Question[] {
  const filters: Record<string, unknown>[] = [
    { flow_runs: any(...ids) },
    { task_runs: { flow_run_id: { any_: ids } } },
    { flow_runs: any(...ids), task_runs: { name: { like_: "t" }, tags: { is_null_: true } } },
    { flow_runs: { ...any(...ids), state: { type: { any_: ["COMPLETED"] } } } },
    { flow_runs: any(...ids), task_runs: { subflow_runs: { exists_: true } } },
    { flow_runs: any(...ids), task_runs: any(...tasks) },
    { flow_runs: { ...any(...ids), tags: { all_: ["a"] } }, flows: { name: { like_: "flow" } } },
  ];
  const runFilters: Record<string, unknown>[] = [
    ...filters.filter((filter) => "flow_runs" in filter),
    { flow_runs: { ...any(...ids), parent_task_run_id: { is_null_: true } } },
    { flow_runs: { ...any(...ids), parent_flow_run_id: { any_: ids.slice(0, 2) } } },
    { flow_runs: { ...any(...ids), state: { type: { any_: ["RUNNING", "SCHEDULED"] } } } },
    { flow_runs: { parent_flow_run_id: { any_: ids.slice(0, 2) } } },
    { flow_runs: any(...ids), work_pools: { type: { any_: ["process"] } } },
  ];
  return [
    ...filters.flatMap((filter, n) => listsOf("/task_runs", filter, TASK_SORTS, n)),
    ...questionsAboutArtifacts(ids, tasks),
    ...runFilters.flatMap((filter, n) => listsOf("/flow_runs", filter, RUN_SORTS, n)),
    ["POST", "/flow_runs/lateness", { flow_runs: any(...ids) }],
  ];
}

function questionsAboutArtifacts(ids: string[], tasks: string[]): Question[] {
  const filters: Record<string, unknown>[] = [
    { flow_runs: any(...ids) },
    { artifacts: { flow_run_id: { any_: ids } } },
    { artifacts: { flow_run_id: { any_: ids }, type: { any_: ["progress"] }, task_run_id: { any_: tasks } } },
    { artifacts: { flow_run_id: { any_: ids }, key: { like_: "report" } }, flows: { name: { like_: "flow" } } },
    { flow_runs: any(...ids), task_runs: { name: { like_: "t" } } },
  ];
  return filters.flatMap((filter): Question[] => [
    ...["ID_DESC", "KEY_ASC", "UPDATED_DESC"].map((sort): Question => [
      "POST",
      "/artifacts/filter",
      { ...filter, sort },
    ]),
    ["POST", "/artifacts/filter", { ...filter, limit: 2, offset: 1 }],
    ["POST", "/artifacts/count", filter],
    ["POST", "/artifacts/latest/filter", filter],
  ]);
}

function listsOf(path: string, filter: Record<string, unknown>, sorts: string[], n: number): Question[] {
  const some = sorts.filter((_, index) => index === 0 || n === 0 || index % 4 === n % 4);
  return [
    ...some.flatMap((sort): Question[] => [
      ["POST", `${path}/filter`, { ...filter, sort }],
      ["POST", `${path}/filter`, { ...filter, sort, limit: 3, offset: 2 }],
    ]),
    ["POST", `${path}/count`, filter],
    ["POST", `${path}/paginate`, { ...filter, limit: 2, page: 2 }],
    ["POST", `${path}/history`, { ...WINDOW, ...filter }],
  ];
}

/** The answer to a request: its status, its body, and what it says about the archive. */
export async function ask([method, path, body]: Question): Promise<unknown[]> {
  const { status, text, headers } = await sendText(method, path, body && JSON.stringify(body));
  return [status, text, headers.get("x-sluice-archive")];
}

/** The answers to requests. */
export async function answersTo(questions: readonly Question[]): Promise<unknown[][]> {
  const answers: unknown[][] = [];
  for (const question of questions) answers.push(await ask(question));
  return answers;
}

/** Sends a request to its route, with other tools than a request has. */
export async function send([method, path, body]: Question, tools: Tools): Promise<Response> {
  const [at = "", query = ""] = path.split("?");
  const id = /[0-9a-f-]{36}/.exec(at)?.[0] ?? "";
  const key = /\/input\/(.+)/.exec(at)?.[1] ?? "";
  const shape = at.replace(id, "{id:uuid}").replace(key === "filter" ? "none" : `/input/${key}`, "/input/{key}");
  const route = routes.find((one) => one.method === method && (one.path === at || one.path === shape));
  if (!route) throw new Error(`no route ${method} ${shape}`);
  const headers = { "content-type": "application/json" };
  const url = `http://sluice/?${query}`;
  const request = new Request(url, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  return route.run(request, { id, key }, tools).catch((error: unknown) => toResponse(error, "id"));
}
