/** How long after its scheduled time a run becomes PENDING, with a stock worker on the same machine as the bench. */
import { setTimeout as sleep } from "node:timers/promises";

import { call, openHttpClient } from "./http-client.ts";
import type { HttpClient } from "./http-client.ts";
import { wireTime } from "./ids.ts";
import { field, items, stringField } from "./json.ts";
import type { Target } from "./target.ts";
import { createDeployment, createFlow } from "./world.ts";

export interface DueLoad {
  /** The pool that the worker serves. */
  pool: string;
  runs: number;
}

export interface DueResult {
  /** From the scheduled time to the timestamp of the PENDING state. Negative if a worker claimed early. */
  delaysMs: number[];
  /** Runs that no worker had claimed half a minute after their scheduled time. */
  unclaimed: number;
  failures: number;
  firstFailure: string | undefined;
}

/** The first run is due this long after its creation. */
const LEAD_MS = 4_000;
/** Runs are due a second apart, each at a random moment of its second. */
const SPACING_MS = 1_000;
const PATIENCE_MS = 30_000;

export async function measureDueToPending(target: Target, load: DueLoad): Promise<DueResult> {
  const http = openHttpClient(target, { connections: 4 });
  try {
    const flowId = await createFlow(http, "sluice-bench-due");
    // The process is `true`, so that no run spends time of the machine on the import of Prefect.
    const deployment = {
      name: "due",
      flow_id: flowId,
      work_pool_name: load.pool,
      job_variables: { command: "true" },
    };
    const deploymentId = await createDeployment(http, deployment);
    const result: DueResult = { delaysMs: [], unclaimed: 0, failures: 0, firstFailure: undefined };
    const startMs = Date.now() + LEAD_MS;
    const timeAndCount = async (dueMs: number): Promise<void> => {
      try {
        const delayMs = await timeRun(http, deploymentId, dueMs);
        if (delayMs === undefined) result.unclaimed += 1;
        else result.delaysMs.push(delayMs);
      } catch (error) {
        result.failures += 1;
        result.firstFailure ??= error instanceof Error ? error.message : String(error);
      }
    };
    const timing: Promise<void>[] = [];
    for (let run = 0; run < load.runs; run += 1) {
      const dueMs = Math.round(startMs + run * SPACING_MS + Math.random() * SPACING_MS);
      await sleep(Math.max(0, dueMs - LEAD_MS - Date.now()));
      timing.push(timeAndCount(dueMs));
    }
    await Promise.all(timing);
    return result;
  } finally {
    http.close();
  }
}

/** Creates one run and waits for its PENDING state; undefined if no worker claimed the run in time. */
async function timeRun(http: HttpClient, deploymentId: string, dueMs: number): Promise<number | undefined> {
  const created = await call(http, "POST", `/deployments/${deploymentId}/create_flow_run`, {
    state: { type: "SCHEDULED", state_details: { scheduled_time: wireTime(dueMs) } },
  });
  const runId = stringField(created.text, "id");
  while (Date.now() < dueMs + PATIENCE_MS) {
    await sleep(1_000);
    const pendingMs = await firstPendingTime(http, runId);
    if (pendingMs !== undefined) return pendingMs - dueMs;
  }
  return undefined;
}

async function firstPendingTime(http: HttpClient, runId: string): Promise<number | undefined> {
  const history = await call(http, "GET", `/flow_run_states/?flow_run_id=${runId}`);
  const times = items(history.text)
    .filter((state) => field(state, "type") === "PENDING")
    .map((state) => Date.parse(String(field(state, "timestamp"))));
  return times.length === 0 ? undefined : Math.min(...times);
}
