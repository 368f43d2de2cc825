/** Requests about flows, deployments, pools, queues, limits and variables. */
import type { Request } from "../answers.ts";
import { idOf, type Known } from "./known.ts";

const SORTS = ["CREATED_DESC", "UPDATED_DESC", "NAME_ASC", "NAME_DESC"];

export function thingRequests({ flows, deployments, variables, pools }: Known): Request[] {
  const own = { flows: { name: { like_: "old-" } } };
  const named = { name: { like_: "old_value" } };
  const ofPools = { work_pools: { name: { any_: pools.map(([name]) => name) } } };
  return [
    ...flows.map(([, id]) => ({ path: `/flows/${id}` })),
    { path: `/flows/name/${encodeURIComponent("old-ünïcode 🌍")}` },
    ...SORTS.map((sort) => ({ path: "/flows/filter", body: { ...own, sort } })),
    ...[
      { tags: { all_: ["nightly"] } },
      { tags: { is_null_: true }, name: { like_: "old-" } },
      { name: { like_: "ÜNÏ" } },
      { name: { any_: ["old-etl", "old-stock"] } },
      { operator: "or_", name: { like_: "report" }, tags: { all_: ["verbose"] } },
      { deployment: { is_null_: false } },
    ].flatMap((criteria) => {
      const among = { flows: criteria };
      return [
        { path: "/flows/filter", body: among },
        { path: "/flows/count", body: among },
      ];
    }),
    { path: "/flows/paginate", body: { ...own, limit: 3, page: 2, sort: "NAME_ASC" } },
    { path: "/flows/filter", body: { ...own, flow_runs: { state: { type: { any_: ["FAILED"] } } } } },
    {
      path: "/flows/filter",
      body: { flows: { name: { like_: "old-re" } }, task_runs: { tags: { all_: ["reported"] } } },
    },
    ...deployments.map(([, id]) => ({ path: `/deployments/${id}` })),
    { path: "/deployments/name/old-etl/nightly" },
    { path: `/deployments/${idOf(deployments, "manual")}/versions` },
    { path: `/deployments/${idOf(deployments, "nightly")}/reliability` },
    { path: `/deployments/${idOf(deployments, "nightly")}/schedules` },
    { path: `/deployments/${idOf(deployments, "hourly")}/schedules` },
    ...SORTS.map((sort) => ({ path: "/deployments/filter", body: { ...own, sort } })),
    ...[
      { tags: { all_: ["prod"] } },
      { tags: { any_: ["grün", "nightly"] } },
      { paused: { eq_: true } },
      { work_queue_name: { any_: ["high"] } },
      { flow_or_deployment_name: { like_: "etl" } },
    ].map((criteria) => ({ path: "/deployments/filter", body: { ...own, deployments: criteria } })),
    { path: "/deployments/count", body: { ...own, work_pools: { name: { any_: ["old-process"] } } } },
    { path: "/deployments/paginate", body: { ...own, limit: 4, page: 2, sort: "NAME_ASC" } },
    ...pools.map(([name]) => ({ path: `/work_pools/${name}` })),
    { path: "/work_pools/filter", body: ofPools },
    { path: "/work_pools/count", body: ofPools },
    ...["process", "docker"].map((pool) => ({ path: `/work_pools/old-${pool}/queues/filter`, body: {} })),
    ...["default", "high", "low"].map((queue) => ({ path: `/work_pools/old-process/queues/${queue}` })),
    ...["old-db", "old-gpu"].map((tag) => ({ path: `/concurrency_limits/tag/${tag}` })),
    ...["old-slots", "old-rate", "old-idle"].map((limit) => ({ path: `/v2/concurrency_limits/${limit}` })),
    ...variables.map(([name]) => ({ path: `/variables/name/${name}` })),
    { path: "/variables/filter", body: { variables: named, sort: "NAME_DESC" } },
    { path: "/variables/filter", body: { variables: { ...named, tags: { all_: ["odd"] } }, limit: 2, offset: 1 } },
    { path: "/variables/count", body: { variables: named } },
  ];
}
