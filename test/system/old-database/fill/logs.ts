/** Fills a server with logs: batches of several runs, levels and minutes. */
import type { Api } from "../../support/api.ts";
import { BEGIN, range, SECOND, timeAt, turn, UNICODE } from "./made.ts";
import { create, type Things } from "./things.ts";

const RUNS = 6;
const BATCHES = 8;
const LOGS = 20;
const LEVELS = [10, 20, 20, 30, 40, 50, 15] as const;
const TASK_RUNS = ["00000000-0000-4000-8000-000000000001", "ffffffff-0000-4000-8000-000000000002"] as const;
const MESSAGES = [
  "Loaded 12 rows",
  UNICODE,
  'first line\nsecond line\r\nthird, "quoted"',
  "needle in a haystack",
  "",
  "long ".repeat(2000),
  `{"json": [1, 2.50, 12345678901234567890]}`,
] as const;

/** Sends the logs of six runs, and logs without a flow run. */
export async function fillLogs(api: Api, { flows }: Things): Promise<void> {
  const flow_id = flows.get("old-logs");
  for (const run of range(RUNS)) {
    const id = await create(api, "/flow_runs/", { flow_id, name: `logs-${run}`, state: { type: "RUNNING" } });
    for (const batch of range(BATCHES)) await api.ask("/logs/", logsOf(id, batch));
  }
  const strays = range(30).map((index) => ({
    name: "stray",
    level: turn(LEVELS, index),
    message: `stray ${UNICODE} ${index}`,
    timestamp: timeAt(BEGIN - index * SECOND),
    task_run_id: index % 2 ? TASK_RUNS[0] : null,
  }));
  await api.ask("/logs/", strays);
}

/** The logs of a batch. Some batches overlap, and most have logs of more than one minute. */
export function logsOf(flowRunId: string, batch: number): object[] {
  return range(LOGS).map((place) => {
    const index = batch * LOGS + place;
    return {
      name: turn(["prefect.flow_runs", "prefect.task_runs", "ünï.logger"], index),
      level: turn(LEVELS, index),
      message: `${turn(MESSAGES, index + batch)} (${index})`,
      timestamp: timeAt(BEGIN + (batch * 30 + place * 4 - (index % 7)) * SECOND, index),
      flow_run_id: flowRunId,
      task_run_id: index % 3 ? null : turn(TASK_RUNS, index),
    };
  });
}
