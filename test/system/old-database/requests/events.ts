/** Requests about events. */
import type { Request } from "../answers.ts";
import { idOf, type Known } from "./known.ts";

const HOURS = { since: "2026-11-20T05:00:00Z", until: "2026-11-20T16:00:00Z" };

export function eventRequests({ flowRuns, taskRuns, flows, end }: Known): Request[] {
  const always = { since: "2026-10-01T00:00:00Z", until: end };
  const flowRun = `prefect.flow-run.${idOf(flowRuns, "reported-1")}`;
  const stock = `prefect.flow-run.${idOf(flowRuns, "stock-monday")}`;
  const taskRun = `prefect.task-run.${idOf(taskRuns, "reported-3")}`;
  const criteria: Record<string, unknown>[] = [
    {},
    { event: { name: ["shop.order.paid", "ünï.codé"] } },
    { event: { prefix: ["shop.order"] } },
    { event: { prefix: ["shop", "prefect"], exclude_prefix: ["prefect.task-run"], exclude_name: ["shop.stock.low"] } },
    { event: { name: ["prefect.flow-run.heartbeat"] } },
    { event: { prefix: ["prefect.task-run.AwaitingRetry", "prefect.task-run.Failed"] } },
    { resource: { id: ["shop.1.order.7", "shop.3.order.3"] } },
    { resource: { id_prefix: ["shop.2."] } },
    { resource: { labels: { "shop.size": ["S", "M"] } } },
    { resource: { id: [flowRun] } },
    { resource: { id: [taskRun] } },
    { related: { id: ["shop.1.customer.1"] } },
    { related: { id: [flowRun], role: ["flow-run"] } },
    { related: { role: ["seller"], labels: { "customer.city": "東*" } } },
    { related: { resources_in_roles: [[`prefect.flow.${idOf(flows, "old-reported")}`, "flow"]] } },
    { related: [{ id: [stock] }, { role: ["flow"] }], occurred: always },
    { any_resource: { id: [flowRun] } },
    { any_resource: { id_prefix: ["shop.4.customer"] } },
    { any_resource: [{ id: [stock] }, { id_prefix: ["prefect.task-run"] }], occurred: always },
    { text: { query: "世界" } },
    { text: { query: "12345678901234567890" } },
    { event: { prefix: ["shop"] }, resource: { labels: { "shop.size": "!S" } }, text: { query: "1.10 -abc" } },
  ];
  const filters = criteria.map((one, index) => {
    const window = index % 2 ? { occurred: HOURS, order: "ASC" } : { occurred: always, order: "DESC" };
    return { ...window, ...one };
  });
  const counted = { event: { prefix: ["shop", "prefect.task-run", "ünï"] } };
  return [
    ...filters.map((filter) => ({ path: "/events/filter", body: { filter, limit: 7 }, pages: 3 })),
    { path: "/events/filter", body: { filter: { occurred: HOURS } }, pages: 40 },
    { path: "/events/filter", body: { filter: { occurred: HOURS, order: "ASC" }, limit: 0 } },
    ...[
      ["day", 1, always] as const,
      ["hour", 2, HOURS] as const,
      ["minute", 7.5, { ...HOURS, until: "2026-11-20T10:00:00Z" }] as const,
    ].flatMap(([time_unit, time_interval, occurred]) =>
      ["day", "time", "event", "resource"].map((countable) => ({
        path: `/events/count-by/${countable}`,
        body: { filter: { occurred, ...counted }, time_unit, time_interval },
      })),
    ),
  ];
}
