/** Closed-loop load: each client starts its next operation as soon as its last operation is done. */
import { setTimeout as sleep } from "node:timers/promises";

import { openHttpClient } from "./http-client.ts";
import { summarise } from "./measure.ts";
import type { Round, Summary } from "./measure.ts";
import type { Operation } from "./operations.ts";
import type { World } from "./world.ts";

export interface RoundPlan {
  clients: number;
  rounds: number;
  /** The duration of one round on one target. */
  seconds: number;
}

/**
 * A pause after a failure, so that a target that refuses at once does not use the machine's time of the other target.
 */
const PAUSE_AFTER_FAILURE_MS = 20;

/**
 * Measures one operation on several targets in turn, round by round, so that a slow period of the machine affects all
 * targets.
 */
export async function measureInterleaved(
  operation: Operation,
  worlds: readonly World[],
  plan: RoundPlan,
): Promise<Map<World, Summary>> {
  const rounds = new Map<World, Round[]>(worlds.map((world) => [world, []]));
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const [world, ofWorld] of rounds) ofWorld.push(await runRound(operation, world, plan));
  }
  return new Map([...rounds].map(([world, ofWorld]) => [world, summarise(ofWorld)]));
}

async function runRound(operation: Operation, world: World, plan: RoundPlan): Promise<Round> {
  const http = openHttpClient(world.target, { connections: plan.clients });
  const latenciesMs: number[] = [];
  let failures = 0;
  let firstFailure: string | undefined;
  const started = performance.now();
  const deadline = started + plan.seconds * 1000;

  const keepAsking = async (client: number): Promise<void> => {
    for (let number = 0; performance.now() < deadline; number += 1) {
      const began = performance.now();
      try {
        await operation.run({ http, world, client, number });
        latenciesMs.push(performance.now() - began);
      } catch (error) {
        failures += 1;
        firstFailure ??= error instanceof Error ? error.message : String(error);
        await sleep(PAUSE_AFTER_FAILURE_MS);
      }
    }
  };

  await Promise.all(Array.from({ length: plan.clients }, (_, client) => keepAsking(client)));
  const seconds = (performance.now() - started) / 1000;
  http.close();
  return { latenciesMs, failures, firstFailure, seconds };
}
