import { afterAll, expect, test, vi } from "vitest";
import { aFlow, aFlowRun, api, unique } from "../support/world";
import { blockWorld } from "../resources/blocks-world";
import { ask, BAD_JSON, BAD_TIMES, failingJobs, poisoned, type Place, type Question } from "./world";

vi.spyOn(console, "error").mockImplementation(() => {});

/**
 * A kind of row: its name, a function that creates a row, and the requests that may read the row. A valid row exists as
 * well.
 */
interface Subject {
  name: string;
  make(): Promise<string>;
  /** Columns, by `table.column`, that may hold bad JSON or bad times. */
  json: readonly string[];
  times: readonly string[];
  /** The column of a table with the row's id, if it is not `id`. */
  keys?: Readonly<Record<string, string>>;
  questions(healthy: string, bad: string): Question[];
}

const idOf = async (path: string, body: unknown): Promise<string> => {
  const { status, body: answer } = await api<{ id: string }>("POST", path, body);
  if (status > 201) throw new Error(`${path}: ${status} ${JSON.stringify(answer)}`);
  return answer.id;
};

const list = (path: string, shows: readonly string[], body: unknown = {}): Question => ({
  method: "POST",
  path,
  body,
  shows,
});
const count = (path: string): Question => ({ method: "POST", path, body: {}, shows: [] });
const read = (path: string, id: string): Question => ({ method: "GET", path, shows: [id] });

/** The names of rows by their ids, if the API reads the rows by name. */
const names = new Map<string, string>();
async function named(path: string, prefix: string, fields: (name: string) => Record<string, unknown>): Promise<string> {
  const name = unique(prefix);
  const id = await idOf(path, { name, ...fields(name) });
  names.set(id, name);
  return id;
}
const nameOf = (id: string) => names.get(id) ?? "";

const SUBJECTS: readonly Subject[] = [
  {
    name: "a flow",
    make: () => aFlow(),
    json: ["flow.tags", "flow.labels"],
    times: ["flow.created", "flow.updated"],
    questions: (healthy, bad) => [
      list("/flows/filter", [healthy, bad], { sort: "CREATED_DESC" }),
      list("/flows/paginate", [healthy, bad]),
      count("/flows/count"),
      read(`/flows/${healthy}`, healthy),
      read(`/flows/${bad}`, bad),
    ],
  },
  {
    name: "an artifact",
    make: () => idOf("/artifacts/", { type: "progress", data: 1, metadata_: { a: "b" }, flow_run_id: runId }),
    json: ["artifact.data", "artifact.metadata_"],
    times: ["artifact.created", "artifact.updated"],
    questions: (healthy, bad) => [
      list("/artifacts/filter", [healthy, bad], { artifacts: { flow_run_id: { any_: [runId] } } }),
      count("/artifacts/count"),
      { method: "GET", path: `/flow_runs/${runId}/graph-v2`, shows: [healthy, bad] },
      ...[healthy, bad].map((id) => read(`/artifacts/${id}`, id)),
    ],
  },
  {
    name: "an artifact with a key",
    make: async () => {
      const id = await idOf("/artifacts/", {
        key: unique("poisoned"),
        type: "markdown",
        data: "x",
        flow_run_id: runId,
      });
      // An index has the changed artifacts.
      await api("PATCH", `/artifacts/${id}`, { metadata_: { a: "b" } });
      return id;
    },
    json: ["artifact.data", "artifact.metadata_"],
    times: ["artifact.created", "artifact.updated", "artifact_collection.created"],
    keys: { artifact_collection: "latest_id" },
    questions: (healthy, bad) => [
      ...["CREATED_DESC", "UPDATED_DESC", "KEY_ASC"].flatMap((sort) =>
        ["/artifacts/filter", "/artifacts/latest/filter"].map((path) =>
          list(path, [healthy, bad], { sort, artifacts: { key: { like_: "poisoned" } } }),
        ),
      ),
      count("/artifacts/latest/count"),
    ],
  },
  {
    name: "a saved search",
    make: async () => {
      const { body } = await api<{ id: string }>("PUT", "/saved_searches/", { name: unique("search") });
      return body.id;
    },
    json: ["saved_search.filters"],
    times: ["saved_search.created", "saved_search.updated"],
    questions: (healthy, bad) => [
      list("/saved_searches/filter", [healthy, bad]),
      read(`/saved_searches/${healthy}`, healthy),
      read(`/saved_searches/${bad}`, bad),
    ],
  },
  {
    name: "a variable",
    make: () => named("/variables/", "variable", (name) => ({ name: name.replaceAll("-", "_"), value: { n: 1 } })),
    json: ["variable.value", "variable.tags"],
    times: ["variable.created", "variable.updated"],
    questions: (healthy, bad) => [
      list("/variables/filter", [healthy, bad]),
      count("/variables/count"),
      read(`/variables/${healthy}`, healthy),
      read(`/variables/${bad}`, bad),
    ],
  },
  {
    name: "a block type",
    make: async () => (await blockWorld()).type,
    json: [],
    times: ["block_type.created", "block_type.updated"],
    questions: (healthy, bad) => [
      list("/block_types/filter", [healthy, bad]),
      read(`/block_types/${healthy}`, healthy),
      read(`/block_types/${bad}`, bad),
    ],
  },
  {
    name: "a block schema",
    make: async () => (await blockWorld()).schema,
    json: ["block_schema.fields", "block_schema.capabilities"],
    times: ["block_schema.created", "block_schema.updated"],
    questions: (healthy, bad) => [
      list("/block_schemas/filter", [healthy, bad]),
      list("/block_schemas/filter", [], { block_schemas: { block_capabilities: { all_: ["x"] } } }),
      { method: "GET", path: "/block_capabilities/", shows: [] },
      read(`/block_schemas/${healthy}`, healthy),
      read(`/block_schemas/${bad}`, bad),
    ],
  },
  {
    name: "a block document",
    make: async () => (await (await blockWorld(["s"])).make({ s: "x", a: 1 })).id,
    json: ["block_document.data", "block_document.secrets"],
    times: ["block_document.created", "block_document.updated"],
    questions: (healthy, bad) => [
      list("/block_documents/filter", [healthy, bad]),
      list("/block_documents/filter", [healthy, bad], { include_secrets: true }),
      count("/block_documents/count"),
      read(`/block_documents/${healthy}`, healthy),
      read(`/block_documents/${bad}?include_secrets=true`, bad),
    ],
  },
  {
    name: "a work pool",
    make: () => named("/work_pools/", "pool", () => ({ type: "process" })),
    json: ["work_pool.base_job_template", "work_pool.storage_configuration"],
    times: ["work_pool.created", "work_pool.updated", "work_pool.last_transitioned_status_at"],
    questions: (healthy, bad) => [
      list("/work_pools/filter", [healthy, bad]),
      count("/work_pools/count"),
      list("/work_queues/filter", []),
      list("/deployments/filter", []),
      ...[healthy, bad].flatMap((id) => [
        read(`/work_pools/${nameOf(id)}`, id),
        list(`/work_pools/${nameOf(id)}/queues/filter`, []),
        list(`/work_pools/${nameOf(id)}/workers/filter`, []),
        list(`/work_pools/${nameOf(id)}/get_scheduled_flow_runs`, []),
        list(`/work_pools/${nameOf(id)}/concurrency_status`, []),
      ]),
    ],
  },
  {
    name: "a work queue",
    make: () => named("/work_queues/", "queue", () => ({})),
    json: ["work_queue.filter"],
    times: ["work_queue.created", "work_queue.updated", "work_queue.last_polled"],
    questions: (healthy, bad) => [
      list("/work_queues/filter", [healthy, bad]),
      ...[healthy, bad].flatMap((id) => [
        read(`/work_queues/${id}`, id),
        read(`/work_queues/name/${nameOf(id)}`, id),
        { method: "GET", path: `/work_queues/${id}/status`, shows: [] } as const,
        list(`/work_queues/${id}/get_runs`, []),
      ]),
    ],
  },
  {
    name: "a concurrency limit",
    make: () => named("/v2/concurrency_limits/", "limit", () => ({ limit: 3 })),
    json: [],
    times: [
      "concurrency_limit.created",
      "concurrency_limit.updated",
      "concurrency_limit.limit",
      "concurrency_limit.slot_decay_per_second",
      "concurrency_limit.avg_slot_occupancy_seconds",
    ],
    questions: (healthy, bad) => [
      list("/v2/concurrency_limits/filter", [healthy, bad]),
      read(`/v2/concurrency_limits/${healthy}`, healthy),
      read(`/v2/concurrency_limits/${bad}`, bad),
      list("/v2/concurrency_limits/increment", [healthy], { names: [nameOf(healthy)], slots: 1, mode: "concurrency" }),
      list("/v2/concurrency_limits/decrement", [], { names: [nameOf(healthy)], slots: 1, occupancy_seconds: 1 }),
    ],
  },
  {
    name: "a deployment",
    make: async () => named("/deployments/", "deployment", () => ({ ...DEPLOYMENT, flow_id: flowId })),
    json: [
      "parameters",
      "job_variables",
      "parameter_openapi_schema",
      "pull_steps",
      "tags",
      "labels",
      "version_info",
      "concurrency_options",
      "created_by",
      "updated_by",
      "reliability",
    ]
      .map((column) => `deployment.${column}`)
      .concat("deployment_schedule.parameters", "deployment_schedule.missed_runs", "deployment_version.content"),
    times: [
      "deployment.created",
      "deployment.last_polled",
      "deployment.concurrency_limit",
      "deployment_schedule.created",
      "deployment_schedule.updated",
      "deployment_schedule.scheduled_until",
      "deployment_schedule.top_up_at",
      "deployment_schedule.max_scheduled_runs",
      "deployment_version.created",
    ],
    keys: { deployment_schedule: "deployment_id", deployment_version: "deployment_id" },
    questions: (healthy, bad) => [
      list("/deployments/filter", [healthy, bad]),
      list("/deployments/paginate", [healthy, bad]),
      count("/deployments/count"),
      list("/deployments/get_scheduled_flow_runs", [], { deployment_ids: [healthy, bad] }),
      list("/flow_runs/filter", []),
      ...[healthy, bad].flatMap((id) => [
        read(`/deployments/${id}`, id),
        { method: "GET", path: `/deployments/${id}/schedules`, shows: [] } as const,
        { method: "GET", path: `/deployments/${id}/versions`, shows: [] } as const,
        { method: "GET", path: `/deployments/${id}/reliability`, shows: [] } as const,
        { method: "GET", path: `/deployments/${id}/work_queue_check`, shows: [] } as const,
      ]),
      list(`/deployments/${healthy}/schedule`, []),
    ],
  },
  {
    name: "a task run",
    make: () =>
      idOf("/task_runs/", {
        flow_run_id: runId,
        task_key: "t",
        dynamic_key: unique("key"),
        state: { type: "RUNNING" },
      }),
    json: ["states", "tags", "labels", "task_inputs", "empirical_policy"].map((column) => `task_run.${column}`),
    times: [
      "created",
      "state_timestamp",
      "expected_start_time",
      "next_scheduled_start_time",
      "start_time",
      "end_time",
      "total_run_time",
      "cache_expiration",
      "run_count",
    ].map((column) => `task_run.${column}`),
    questions: (healthy, bad) => [
      ...["EXPECTED_START_TIME_ASC", "ID_DESC", "END_TIME_DESC"].map((sort) =>
        list("/task_runs/filter", [healthy, bad], { sort }),
      ),
      list("/task_runs/paginate", [healthy, bad]),
      count("/task_runs/count"),
      list("/task_runs/history", [], HISTORY),
      { method: "GET", path: `/flow_runs/${runId}/graph-v2`, shows: [healthy] },
      { method: "GET", path: `/flow_runs/${runId}/graph`, shows: [healthy] },
      ...[healthy, bad].flatMap((id) => [
        read(`/task_runs/${id}`, id),
        { method: "GET", path: `/task_run_states/?task_run_id=${id}`, shows: [] } as const,
      ]),
      list("/flow_runs/filter", [runId], { task_runs: { state: { type: { any_: ["RUNNING"] } } } }),
    ],
  },
];

const DEPLOYMENT = { parameters: { n: 1 }, schedules: [{ schedule: { interval: 3600 }, slug: "hourly" }] };
const HISTORY = {
  history_start: "2000-01-01T00:00:00Z",
  history_end: "2100-01-01T00:00:00Z",
  history_interval_seconds: 86_400 * 365,
};
const flowId = await aFlow();
const runId = (await aFlowRun({ flow_id: flowId, state: { type: "RUNNING" } })).id;

const made = new Map<Subject, Promise<readonly [string, string]>>();
function pairOf(subject: Subject): Promise<readonly [string, string]> {
  const pair = made.get(subject) ?? (async () => [await subject.make(), await subject.make()] as const)();
  made.set(subject, pair);
  return pair;
}

const cases = SUBJECTS.flatMap((subject) => [
  ...subject.json.flatMap((place) =>
    Object.entries(BAD_JSON).map(([name, text]) => [subject.name, place, name, text, subject] as const),
  ),
  ...subject.times.flatMap((place) =>
    BAD_TIMES.map((time) => [subject.name, place, String(time), time, subject] as const),
  ),
]);

function placeOf(subject: Subject, where: string, id: string): Place {
  const [table = "", column = ""] = where.split(".");
  const key = subject.keys?.[table];
  return { table, column, id, ...(key !== undefined && { key }) };
}

test.for(cases)("lists, reads and sweeps work beside %s with %s that is %s", async ([, where, , value, subject]) => {
  const [healthy, bad] = await pairOf(subject);
  const wrong = await poisoned(placeOf(subject, where, bad), value, async () => [
    ...(await ask(subject.questions(healthy, bad))),
    ...(await failingJobs()),
  ]);
  expect(wrong).toEqual([]);
});

afterAll(() => vi.restoreAllMocks());
