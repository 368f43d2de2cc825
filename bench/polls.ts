/** Idle polls at a fixed rate, like the polls of many workers. The latency of a late poll includes its wait. */
import { setTimeout as sleep } from "node:timers/promises";

import { openHttpClient } from "./http-client.ts";
import { summarise } from "./measure.ts";
import type { Summary } from "./measure.ts";
import { poll } from "./operations.ts";
import type { Target } from "./target.ts";
import { createPool } from "./world.ts";

export interface PollLoad {
  pollsPerSecond: number;
  seconds: number;
  /** The number of pools, which are polled in turn. */
  pools: number;
}

/** The most connections at once: a worker that polls every second has one. */
const CONNECTIONS = 500;

/** A latency begins when the poll was due, so it includes the wait for earlier polls. */
export async function measurePolls(target: Target, load: PollLoad): Promise<Summary> {
  const http = openHttpClient(target, { connections: CONNECTIONS });
  const names = Array.from({ length: load.pools }, (_, pool) => `sluice-bench-polls-${pool}`);
  for (const name of names) await createPool(http, name);
  for (const name of names) await poll(http, name);

  const latenciesMs: number[] = [];
  let failures = 0;
  let firstFailure: string | undefined;
  const started = performance.now();
  const pollAt = async (pool: string, dueMs: number): Promise<void> => {
    try {
      await poll(http, pool);
      latenciesMs.push(performance.now() - dueMs);
    } catch (error) {
      failures += 1;
      firstFailure ??= error instanceof Error ? error.message : String(error);
    }
  };

  const total = Math.round(load.pollsPerSecond * load.seconds);
  const polling: Promise<void>[] = [];
  while (polling.length < total) {
    const dueMs = started + (polling.length * 1000) / load.pollsPerSecond;
    const earlyMs = dueMs - performance.now();
    if (earlyMs > 0) await sleep(earlyMs);
    polling.push(pollAt(names[polling.length % names.length] ?? "", dueMs));
  }
  await Promise.all(polling);
  const seconds = (performance.now() - started) / 1000;
  http.close();
  return summarise([{ latenciesMs, failures, firstFailure, seconds }]);
}
