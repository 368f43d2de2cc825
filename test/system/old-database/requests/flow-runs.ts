/** Requests about flow runs, their states, inputs and graphs. */
import type { Request } from "../answers.ts";
import { idOf, idsOf, type Known } from "./known.ts";

const SORTS = [
  "ID_DESC",
  "START_TIME_ASC",
  "START_TIME_DESC",
  "EXPECTED_START_TIME_ASC",
  "EXPECTED_START_TIME_DESC",
  "NAME_ASC",
  "NAME_DESC",
  "NEXT_SCHEDULED_START_TIME_ASC",
  "END_TIME_DESC",
];
const TYPES = [
  "SCHEDULED",
  "PENDING",
  "RUNNING",
  "COMPLETED",
  "FAILED",
  "CANCELLED",
  "CRASHED",
  "PAUSED",
  "CANCELLING",
];
const ENDED = { state: { type: { any_: ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"] } } };
const SINCE = "2026-11-01T00:00:00Z";
/** One run of each kind is read in all ways. */
const KINDS = [
  "scheduled",
  "late",
  "pending",
  "running",
  "completed",
  "cached",
  "failed",
  "retried",
  "paused",
  "suspended",
  "cancelling",
  "cancelled",
  "crashed",
  "changed",
  "stock-monday",
  "stock-failing",
  "reported",
];

export function flowRunRequests(known: Known): Request[] {
  const { flows, flowRuns, deployments, states, end } = known;
  const own = { flows: { name: { like_: "old-" } } };
  const filters: Record<string, unknown>[] = [
    ...TYPES.map((type) => ({ state: { type: { any_: [type] } } })),
    { state: { name: { any_: ["Late", "Suspended", "Cached"] } } },
    { state: { type: { not_any_: ["COMPLETED", "RUNNING"] } } },
    { tags: { all_: ["prod", "old-tag"] } },
    { tags: { any_: ["grün"] } },
    { tags: { is_null_: true } },
    { name: { like_: "ED-2" } },
    { name: { any_: ["changed-0", "late-3", "waiting"] } },
    { id: { any_: idsOf(flowRuns, "retried") } },
    { id: { not_any_: idsOf(flowRuns, "c") } },
    { deployment_id: { any_: [idOf(deployments, "docker"), idOf(deployments, "hourly")] } },
    { deployment_id: { is_null_: true } },
    { work_queue_name: { any_: ["high"] } },
    { flow_version: { any_: ["v1"] } },
    { start_time: { after_: SINCE, before_: end, is_null_: false } },
    { start_time: { is_null_: true } },
    { end_time: { before_: end, after_: SINCE } },
    { expected_start_time: { after_: "2026-12-01T00:00:00Z" } },
    { next_scheduled_start_time: { after_: "2026-12-24T18:00:00Z" } },
    { parent_flow_run_id: { any_: [...idsOf(flowRuns, "completed"), ...idsOf(flowRuns, "stock-monday")] } },
    { parent_task_run_id: { is_null_: false } },
    { idempotency_key: { any_: ["failed/0", "failed/3"] } },
    { created_by: { is_null_: false } },
    { operator: "or_", name: { any_: ["paused-1"] }, tags: { all_: ["prod", "old-tag"] } },
  ];
  return [
    ...KINDS.flatMap((kind) => {
      const id = idOf(flowRuns, kind);
      return [{ path: `/flow_runs/${id}` }, { path: `/flow_run_states/?flow_run_id=${id}` }];
    }),
    ...["completed", "cancelled", "changed", "stock-monday", "reported"].map((kind) => ({
      path: `/flow_runs/${idOf(flowRuns, kind)}/graph-v2`,
    })),
    ...states.map((id) => ({ path: `/flow_run_states/${id}` })),
    ...idsOf(flowRuns, "stock").map((id) => ({ path: `/flow_runs/${id}/graph` })),
    { path: `/flow_runs/${idOf(flowRuns, "reported")}/graph-v2?since=2026-11-20T06:02:00Z` },
    { path: `/flow_runs/${idOf(flowRuns, "paused")}/input/filter`, body: { prefix: "old", limit: 10 } },
    { path: `/flow_runs/${idOf(flowRuns, "paused")}/input/old-0` },
    ...filters.flatMap((flow_runs, index) => [
      { path: "/flow_runs/filter", body: { ...own, flow_runs, limit: 8, sort: SORTS[index % SORTS.length] } },
      { path: "/flow_runs/count", body: { ...own, flow_runs } },
    ]),
    ...SORTS.map((sort) => ({ path: "/flow_runs/filter", body: { ...own, sort, limit: 8, offset: 20 } })),
    // The key is known, so no run is created.
    { path: "/flow_runs/", body: { flow_id: idOf(flows, "old-etl"), idempotency_key: "failed/1", name: "repeated" } },
    ...[1, 4].map((page) => ({ path: "/flow_runs/paginate", body: { ...own, sort: "NAME_ASC", limit: 10, page } })),
    { path: "/flow_runs/filter", body: { ...own, task_runs: { name: { like_: "by-http" } } } },
    { path: "/flow_runs/filter", body: { ...own, deployments: { tags: { all_: ["prod"] } }, limit: 10 } },
    { path: "/flow_runs/filter", body: { ...own, work_pools: { name: { any_: ["old-docker"] } }, limit: 10 } },
    { path: "/flow_runs/filter", body: { ...own, work_pool_queues: { name: { any_: ["high"] } }, limit: 10 } },
    { path: "/flow_runs/lateness", body: { ...own, flow_runs: ENDED } },
    ...[3600, 86_400].map((history_interval_seconds) => ({
      path: "/flow_runs/history",
      body: { ...own, flow_runs: ENDED, history_start: SINCE, history_end: end, history_interval_seconds },
    })),
  ];
}
