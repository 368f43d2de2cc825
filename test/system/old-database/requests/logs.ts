/** Requests about logs. */
import type { Request } from "../answers.ts";
import { logsOf } from "../fill/logs.ts";
import { idOf, idsOf, type Known } from "./known.ts";

const SORTS = ["TIMESTAMP_ASC", "TIMESTAMP_DESC"];
/** The minutes of the filled logs. */
const TIMES = { after_: "2026-11-20T05:00:00Z", before_: "2026-11-20T06:30:00Z" };
const TEXTS = [
  "needle",
  "世界",
  "-first +loaded",
  "haystack -(63)",
  '"second line"',
  "ünï.logger 12345678901234567890",
];

export function logRequests({ flowRuns, taskRuns }: Known): Request[] {
  const runs = idsOf(flowRuns, "logs-");
  const one = { flow_run_id: { any_: runs.slice(0, 1) } };
  const all = { flow_run_id: { any_: runs } };
  const filters: Record<string, unknown>[] = [
    { ...one, level: { ge_: 30 } },
    { ...one, level: { le_: 15 } },
    { ...all, level: { ge_: 40, le_: 50 } },
    { ...all, timestamp: { after_: "2026-11-20T06:01:00Z", before_: "2026-11-20T06:02:30.000019Z" } },
    { ...all, task_run_id: { is_null_: true } },
    { timestamp: TIMES },
    { timestamp: TIMES, level: { ge_: 50 } },
    ...TEXTS.map((query) => ({ ...all, text: { query } })),
    { timestamp: TIMES, text: { query: "stray" } },
    { flow_run_id: { any_: idsOf(flowRuns, "stock") } },
    { task_run_id: { any_: idsOf(taskRuns, "twice") } },
  ];
  return [
    // A repeated batch is stored once.
    { path: "/logs/", body: logsOf(runs[0] ?? "", 3) },
    ...filters.map((logs, index) => ({ path: "/logs/filter", body: { logs, sort: SORTS[index % 2], limit: 50 } })),
    ...[0, 35, 90, 155, 200].map((offset) => ({ path: "/logs/filter", body: { logs: one, limit: 12, offset } })),
    ...[0, 400, 900].map((offset) => ({
      path: "/logs/filter",
      body: { logs: all, limit: 20, offset, sort: SORTS[1] },
    })),
    { path: "/logs/filter", body: { logs: { timestamp: TIMES }, limit: 10, offset: 700 } },
    ...["logs-0", "logs-5", "stock-monday"].map((name) => ({
      path: `/flow_runs/${idOf(flowRuns, name)}/logs/download`,
    })),
  ];
}
