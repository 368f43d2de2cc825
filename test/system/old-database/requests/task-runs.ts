/** Requests about task runs and their states. */
import type { Request } from "../answers.ts";
import { idOf, idsOf, type Known } from "./known.ts";

const SORTS = [
  "ID_DESC",
  "EXPECTED_START_TIME_ASC",
  "EXPECTED_START_TIME_DESC",
  "NAME_ASC",
  "NAME_DESC",
  "NEXT_SCHEDULED_START_TIME_ASC",
  "END_TIME_DESC",
];
const ENDED = { state: { type: { any_: ["COMPLETED", "FAILED", "CRASHED"] } } };
const DAY = { history_start: "2026-11-20T00:00:00Z", history_end: "2026-11-21T00:00:00Z" };

export function taskRunRequests({ flowRuns, taskRuns }: Known): Request[] {
  const reported = idsOf(flowRuns, "reported");
  const runs = { flow_runs: { id: { any_: reported } } };
  const http = { flow_runs: { name: { any_: ["completed-0", "completed-2", "cancelled-1"] } } };
  const both = { flow_runs: { id: { any_: [...reported, ...idsOf(flowRuns, "stock")] } } };
  const filters: Record<string, unknown>[] = [
    ...["PENDING", "RUNNING", "COMPLETED", "FAILED", "CRASHED"].map((type) => ({ state: { type: { any_: [type] } } })),
    { state: { name: { any_: ["Cached", "NotReady"] } } },
    { tags: { all_: ["reported"] } },
    { tags: { is_null_: true } },
    { name: { like_: "ED-1" } },
    { start_time: { after_: "2026-11-20T06:01:00Z", before_: "2026-11-20T09:00:00Z" } },
    { end_time: { is_null_: true } },
    { expected_start_time: { before_: "2026-11-20T07:31:00Z" } },
    { subflow_runs: { exists_: true } },
  ];
  const seen = [
    ...idsOf(taskRuns, "reported-").slice(0, 10),
    ...idsOf(taskRuns, "by-http-3").slice(0, 2),
    ...["twice", "fail", "delayed"].map((name) => idOf(taskRuns, name)),
  ];
  return [
    ...seen.flatMap((id) => [`/task_runs/${id}`, `/task_run_states/?task_run_id=${id}`]).map((path) => ({ path })),
    ...[both, http].flatMap((those, index) =>
      SORTS.map((sort) => ({ path: "/task_runs/filter", body: { ...those, sort, limit: 9, offset: index * 2 } })),
    ),
    ...filters.flatMap((task_runs, index) => [
      { path: "/task_runs/filter", body: { ...both, task_runs, limit: 10, sort: SORTS[index % SORTS.length] } },
      { path: "/task_runs/count", body: { ...both, task_runs } },
    ]),
    // The keys are known, so no task run is created.
    {
      path: "/task_runs/",
      body: { flow_run_id: idOf(flowRuns, "completed-1"), task_key: "by-http", dynamic_key: "2" },
    },
    { path: "/task_runs/paginate", body: { ...runs, limit: 7, page: 3, sort: "NAME_ASC" } },
    { path: "/task_runs/filter", body: { task_runs: { id: { any_: seen }, flow_run_id: { is_null_: null } } } },
    { path: "/task_runs/history", body: { ...runs, task_runs: ENDED, ...DAY, history_interval_seconds: 3600 } },
    // Its reports were not yet recorded.
    { path: "/task_runs/filter", body: { flow_runs: { id: { any_: idsOf(flowRuns, "waiting") } } } },
    { path: "/task_runs/count", body: { flow_runs: { id: { any_: idsOf(flowRuns, "waiting") } } } },
  ];
}
