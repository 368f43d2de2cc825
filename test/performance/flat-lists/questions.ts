/** What the measurement asks: the lists, counts and charts of the API, with the bodies that the stock pages and commands send. */
import type { Fixtures } from "./fixtures.ts";

/** What the questions name of a server. */
export interface Named {
  fixtures: Fixtures;
  /** A run that has ended in the last week, with logs, events and an artifact, and a task run of it. */
  runId: string;
  taskRunId: string;
  /** The time of the newest runs, in milliseconds. */
  now: number;
}

/** The method (POST unless the path begins with `GET `), the path and the body. */
export type Question = [path: string, body?: unknown];

const DAY_MS = 86_400_000;

/** The questions by group and name. */
export function questionsOf({ fixtures, runId, taskRunId, now }: Named): Record<string, Record<string, Question>> {
  const [flowId = ""] = fixtures.flowIds;
  const [origin] = fixtures.origins;
  if (!origin) throw new Error("no deployment");
  const since = (days: number) => ({ after_: time(now - days * DAY_MS), before_: time(now) });
  const flows = { id: { any_: [flowId] } };
  const rare = { id: { any_: [fixtures.rare.flowId] } };
  const deployments = { id: { any_: [origin.id] } };
  const pools = { name: { any_: [origin.pool] } };
  const ofType = (...any_: string[]) => ({ state: { type: { any_ } } });
  const noSubflow = { parent_task_run_id: { is_null_: true } };
  const day = { expected_start_time: since(1), ...noSubflow };
  const week = { expected_start_time: since(7), ...noSubflow };
  const started = { start_time: since(7) };
  const history = (days: number) => ({
    history_start: since(days).after_,
    history_end: since(days).before_,
    history_interval_seconds: (days * 86_400) / 50,
  });
  const newest = { sort: "START_TIME_DESC", limit: 100 };
  /** As many as each of both servers has of a deployment. */
  const few = { sort: "START_TIME_DESC", limit: 10 };
  const expected = { sort: "EXPECTED_START_TIME_DESC", limit: 100 };
  return {
    "flow runs, a page": {
      "no filter, newest first": ["/flow_runs/filter", newest],
      "no filter, by id": ["/flow_runs/filter", { limit: 100 }],
      "no filter, expected last (`flow-run ls`)": ["/flow_runs/filter", { ...expected, limit: 15 }],
      "no filter, by name": ["/flow_runs/filter", { sort: "NAME_ASC", limit: 100 }],
      "no filter, ended last": ["/flow_runs/filter", { sort: "END_TIME_DESC", limit: 100 }],
      "no filter, next due": ["/flow_runs/filter", { sort: "NEXT_SCHEDULED_START_TIME_ASC", limit: 100 }],
      "no filter, offset 800": ["/flow_runs/filter", { ...newest, offset: 800 }],
      "started in a week (runs page)": ["/flow_runs/filter", { ...newest, flow_runs: started }],
      "expected in a week, newest first": ["/flow_runs/filter", { ...newest, flow_runs: week }],
      "expected in a day, expected last (dashboard)": ["/flow_runs/filter", { ...expected, flow_runs: day }],
      "expected in a day, by name": ["/flow_runs/filter", { sort: "NAME_ASC", limit: 100, flow_runs: day }],
      "failed, of a week, expected last (dashboard)": [
        "/flow_runs/filter",
        { ...expected, flow_runs: { ...week, ...ofType("FAILED", "CRASHED") } },
      ],
      running: ["/flow_runs/filter", { ...newest, flow_runs: ofType("RUNNING") }],
      "scheduled, expected first": [
        "/flow_runs/filter",
        { sort: "EXPECTED_START_TIME_ASC", limit: 100, flow_runs: ofType("SCHEDULED") },
      ],
      late: ["/flow_runs/filter", { ...newest, flow_runs: { state: { name: { any_: ["Late"] } } } }],
      failed: ["/flow_runs/filter", { ...few, flow_runs: ofType("FAILED") }],
      "of a flow": ["/flow_runs/filter", { ...few, flows }],
      "of a flow, its last run (flows page)": [
        "/flow_runs/filter",
        { ...expected, limit: 1, flows, flow_runs: { expected_start_time: { before_: time(now) } } },
      ],
      "of a flow, expected last (`flow-run ls`)": ["/flow_runs/filter", { ...expected, limit: 15, flows }],
      "of a flow with few runs": ["/flow_runs/filter", { ...newest, flows: rare }],
      "of a flow with few runs, its last run": [
        "/flow_runs/filter",
        { ...expected, limit: 1, flows: rare, flow_runs: { expected_start_time: { before_: time(now) } } },
      ],
      "of a deployment": ["/flow_runs/filter", { ...few, deployments }],
      "of a deployment, its last run (deployments page)": [
        "/flow_runs/filter",
        { ...expected, limit: 1, deployments, flow_runs: { expected_start_time: { before_: time(now) } } },
      ],
      "of a deployment, its next run": [
        "/flow_runs/filter",
        {
          sort: "EXPECTED_START_TIME_ASC",
          limit: 1,
          deployments,
          flow_runs: { state: { name: { any_: ["Scheduled"] } } },
        },
      ],
      "of a deployment, without scheduled": [
        "/flow_runs/filter",
        { ...few, deployments, flow_runs: { state: { name: { not_any_: ["Scheduled"] } } } },
      ],
      "of a pool": ["/flow_runs/filter", { ...newest, work_pools: pools }],
      "with a tag": ["/flow_runs/filter", { ...newest, flow_runs: { tags: { any_: ["team-2"] } } }],
      "with a rare tag, a week": ["/flow_runs/filter", { ...newest, flow_runs: { ...week, tags: { all_: ["rare"] } } }],
      "with a rare tag": ["/flow_runs/filter", { ...newest, flow_runs: { tags: { all_: ["rare"] } } }],
      "name like, a week": ["/flow_runs/filter", { ...newest, flow_runs: { ...week, name: { like_: "otter" } } }],
      "name like": ["/flow_runs/filter", { ...newest, flow_runs: { name: { like_: "otter" } } }],
      "name like, no match": ["/flow_runs/filter", { ...newest, flow_runs: { name: { like_: "zzz" } } }],
    },
    "flow runs, a page with its count": {
      "no filter": ["/flow_runs/paginate", { ...newest, page: 1 }],
      "no filter, page 8": ["/flow_runs/paginate", { ...newest, page: 8 }],
      "started in a week": ["/flow_runs/paginate", { ...newest, flow_runs: { ...started, ...noSubflow }, page: 1 }],
      "of a deployment, a week": ["/flow_runs/paginate", { ...newest, deployments, flow_runs: started, page: 1 }],
      "of a flow, a week": ["/flow_runs/paginate", { ...newest, flows, flow_runs: started, page: 1 }],
      "of a deployment": ["/flow_runs/paginate", { ...few, deployments, page: 1 }],
      "of a flow": ["/flow_runs/paginate", { ...few, flows, page: 1 }],
      "subflows of a run": ["/flow_runs/paginate", { ...newest, flow_runs: { parent_flow_run_id: { any_: [runId] } } }],
    },
    "flow runs, a count": {
      "no filter": ["/flow_runs/count", {}],
      "expected in a day": ["/flow_runs/count", { flow_runs: day }],
      "expected in a week": ["/flow_runs/count", { flow_runs: week }],
      "started in a week": ["/flow_runs/count", { flow_runs: started }],
      "failed in a week": ["/flow_runs/count", { flow_runs: { ...week, ...ofType("FAILED", "CRASHED") } }],
      "running or pending": ["/flow_runs/count", { flow_runs: ofType("RUNNING", "PENDING") }],
      scheduled: ["/flow_runs/count", { flow_runs: ofType("SCHEDULED") }],
      "of a pool, a day": ["/flow_runs/count", { work_pools: pools, flow_runs: day }],
      "of a flow, a week": ["/flow_runs/count", { flows, flow_runs: started }],
      "of a deployment": ["/flow_runs/count", { deployments }],
      "of a flow": ["/flow_runs/count", { flows }],
      failed: ["/flow_runs/count", { flow_runs: ofType("FAILED") }],
      "with a tag": ["/flow_runs/count", { flow_runs: { tags: { any_: ["team-2"] } } }],
      "name like": ["/flow_runs/count", { flow_runs: { name: { like_: "otter" } } }],
    },
    "flow runs, charts": {
      "history of a day": ["/flow_runs/history", { ...history(1) }],
      "history of a week, of a flow": ["/flow_runs/history", { ...history(7), flows }],
      "history of a week, of a deployment": ["/flow_runs/history", { ...history(7), deployments }],
      "lateness of a day, of a pool": [
        "/flow_runs/lateness",
        { work_pools: pools, flow_runs: { start_time: since(1) } },
      ],
      "scatter plot of a week": ["/ui/flow_runs/history", { sort: "START_TIME_DESC", flow_runs: started }],
      "bars of a deployment": [
        "/ui/flow_runs/history",
        { sort: "START_TIME_DESC", limit: 60, deployments, flow_runs: week },
      ],
      "bars of a flow, expected last": ["/ui/flow_runs/history", { limit: 60, flows }],
      "task runs of 1 run": ["/ui/flow_runs/count-task-runs", { flow_run_ids: [runId] }],
    },
    "task runs": {
      "of a run": ["/task_runs/paginate", { flow_runs: { id: { any_: [runId] } }, ...expected, page: 1 }],
      "count of a run": ["/task_runs/count", { flow_runs: { id: { any_: [runId] } } }],
      "counts of a run by state": ["/ui/task_runs/count", { flow_runs: { id: { any_: [runId] } } }],
      one: [`GET /ui/task_runs/${taskRunId}`],
      "no filter": ["/task_runs/filter", { limit: 100 }],
      "expected last (`task-run ls`)": ["/task_runs/filter", { ...expected, limit: 15 }],
      "expected in a week, expected last (runs page)": [
        "/task_runs/paginate",
        { ...expected, task_runs: { expected_start_time: since(7) }, page: 1 },
      ],
      "started in a day, by state (dashboard)": [
        "/task_runs/count",
        { task_runs: { start_time: since(1), ...ofType("COMPLETED") }, flow_runs: noSubflow },
      ],
      "of a flow, a day": ["/task_runs/filter", { ...expected, task_runs: { start_time: since(1) }, flows }],
      "chart of a day (dashboard)": ["/ui/task_runs/dashboard/counts", { task_runs: { start_time: since(1) } }],
      "counts of a day by state": ["/ui/task_runs/count", { task_runs: { start_time: since(1) } }],
      "history of a day": ["/task_runs/history", { ...history(1), task_runs: { start_time: since(1) } }],
      "history of a day, of a flow": ["/task_runs/history", { ...history(1), flows }],
      "count, no filter": ["/task_runs/count", {}],
    },
    logs: {
      "of a run": ["/logs/filter", { logs: { flow_run_id: { any_: [runId] } }, sort: "TIMESTAMP_ASC" }],
      "of a run, errors": [
        "/logs/filter",
        { logs: { flow_run_id: { any_: [runId] }, level: { ge_: 40 } }, sort: "TIMESTAMP_ASC" },
      ],
      "of a task run": ["/logs/filter", { logs: { task_run_id: { any_: [taskRunId] } }, sort: "TIMESTAMP_ASC" }],
      newest: ["/logs/filter", { sort: "TIMESTAMP_DESC", limit: 100 }],
      "errors of a day": [
        "/logs/filter",
        { logs: { timestamp: since(1), level: { ge_: 40 } }, sort: "TIMESTAMP_DESC" },
      ],
      "text, a day": [
        "/logs/filter",
        { logs: { timestamp: since(1), text: { query: "needle" } }, sort: "TIMESTAMP_DESC" },
      ],
      oldest: ["/logs/filter", { sort: "TIMESTAMP_ASC", limit: 100 }],
    },
    events: {
      "of a day": ["/events/filter", { filter: { occurred: { since: since(1).after_, until: time(now) } } }],
      "of a week": ["/events/filter", { filter: { occurred: { since: since(7).after_, until: time(now) } } }],
      "of a run": ["/events/filter", { filter: { any_resource: { id: [`prefect.flow-run.${runId}`] } } }],
      "of a day, by name": [
        "/events/filter",
        {
          filter: { occurred: { since: since(1).after_, until: time(now) }, event: { prefix: ["prefect.flow-run."] } },
        },
      ],
      "count of a day by hour": [
        "/events/count-by/time",
        { filter: { occurred: { since: since(1).after_, until: time(now) } }, time_unit: "hour" },
      ],
      "count of a week by day": [
        "/events/count-by/day",
        { filter: { occurred: { since: since(7).after_, until: time(now) } } },
      ],
      "count of a day by name": [
        "/events/count-by/event",
        { filter: { occurred: { since: since(1).after_, until: time(now) } } },
      ],
      "no filter (180 days)": ["/events/filter", { filter: {} }],
    },
    artifacts: {
      newest: ["/artifacts/filter", { sort: "CREATED_DESC", limit: 100 }],
      "of a run": ["/artifacts/filter", { artifacts: { flow_run_id: { any_: [runId] } } }],
      "of a key, newest": [
        "/artifacts/filter",
        { artifacts: { key: { any_: ["report-2"] } }, sort: "CREATED_DESC", limit: 10 },
      ],
      "the latest of each key (`artifact ls`)": ["/artifacts/latest/filter", { sort: "KEY_ASC", limit: 100 }],
      "count of the latest": ["/artifacts/latest/count", {}],
      "count of a run": ["/artifacts/count", { artifacts: { flow_run_id: { any_: [runId] } } }],
      "count, no filter": ["/artifacts/count", {}],
    },
    flows: {
      all: ["/flows/filter", { limit: 100 }],
      paginate: ["/flows/paginate", { limit: 10, page: 1 }],
      count: ["/flows/count", {}],
      "with runs of a day": ["/flows/filter", { limit: 100, flow_runs: { start_time: since(1) } }],
      "with failed runs of a week": ["/flows/count", { flow_runs: { ...week, ...ofType("FAILED") } }],
      "counts of deployments": ["/ui/flows/count-deployments", { flow_ids: fixtures.flowIds }],
      "next runs": ["/ui/flows/next-runs", { flow_ids: fixtures.flowIds }],
    },
    "deployments and others": {
      deployments: ["/deployments/paginate", { limit: 50, page: 1 }],
      "deployments of a flow": ["/deployments/filter", { flows }],
      "deployments, count": ["/deployments/count", {}],
      "deployments with runs of a day": ["/deployments/filter", { flow_runs: { start_time: since(1) }, limit: 50 }],
      "scheduled runs of a deployment": ["/deployments/get_scheduled_flow_runs", { deployment_ids: [origin.id] }],
      "work pools": ["/work_pools/filter", {}],
      "work pools, count": ["/work_pools/count", {}],
      "queues of a pool": [`/work_pools/${origin.pool}/queues/filter`, {}],
      queues: ["/work_queues/filter", {}],
      "workers of a pool": [`/work_pools/${origin.pool}/workers/filter`, {}],
      "scheduled runs of a pool (a poll)": [`/work_pools/${origin.pool}/get_scheduled_flow_runs`, {}],
      "block types": ["/block_types/filter", {}],
      "block schemas": ["/block_schemas/filter", {}],
      "block documents": ["/block_documents/filter", {}],
      "block documents, count": ["/block_documents/count", {}],
      variables: ["/variables/filter", {}],
      "variables, count": ["/variables/count", {}],
      "concurrency limits": ["/v2/concurrency_limits/filter", {}],
      "saved searches": ["/saved_searches/filter", {}],
    },
  };
}

const time = (at: number) => new Date(at).toISOString();
