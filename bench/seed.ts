/** Creates runs on a target through the API, up to a wanted number. */
import { call, openHttpClient } from "./http-client.ts";
import type { HttpClient } from "./http-client.ts";
import type { World } from "./world.ts";

/** Seed sizes for every target (`1000,100000`) or for one target (`sluice=1000,100000`). */
export class SeedPlan {
  readonly #forAll: number[] = [];
  readonly #forTarget = new Map<string, number[]>();

  constructor(texts: readonly string[]) {
    for (const text of texts) this.#add(text);
    if (texts.length === 0) this.#forAll.push(1000);
  }

  sizesFor(targetName: string): number[] {
    return this.#forTarget.get(targetName) ?? this.#forAll;
  }

  #add(text: string): void {
    const equals = text.indexOf("=");
    const sizes = text
      .slice(equals + 1)
      .split(",")
      .map(Number);
    if (sizes.some((size) => !Number.isInteger(size) || size < 0)) throw new Error(`--seed ${text}: not whole numbers`);
    if (equals === -1) {
      this.#forAll.push(...sizes);
      return;
    }
    this.#forTarget.set(text.slice(0, equals), sizes);
  }
}

const SEEDING_CLIENTS = 32;
/** Every tenth seeded run belongs to the deployment of the filtered list. */
const RUNS_PER_DEPLOYMENT_RUN = 10;
/** Every fiftieth seeded run stays RUNNING, for the filtered count. */
const RUNS_PER_RUNNING_RUN = 50;

/** Creates runs until the bench's flow has at least `wanted` runs. Returns the number of its runs. */
export async function topUp(world: World, wanted: number, report: (line: string) => void): Promise<number> {
  const client = openHttpClient(world.target, { connections: SEEDING_CLIENTS });
  try {
    const present = await countRuns(client, world.flowId);
    let next = present;
    const started = performance.now();
    const createUntilEnough = async (): Promise<void> => {
      while (next < wanted) {
        const turn = next;
        next += 1;
        await createSeededRun(client, world, turn);
        if ((turn + 1) % 10_000 === 0) report(`${world.target.name}: ${turn + 1} of ${wanted} runs`);
      }
    };
    await Promise.all(Array.from({ length: SEEDING_CLIENTS }, createUntilEnough));
    if (present < wanted) {
      const seconds = (performance.now() - started) / 1000;
      report(`${world.target.name}: seeded ${wanted - present} runs in ${seconds.toFixed(1)} s`);
    }
    return await countRuns(client, world.flowId);
  } finally {
    client.close();
  }
}

async function createSeededRun(client: HttpClient, world: World, turn: number): Promise<void> {
  await call(client, "POST", "/flow_runs/", {
    flow_id: world.flowId,
    ...(turn % RUNS_PER_DEPLOYMENT_RUN === 0 ? { deployment_id: world.deploymentId } : {}),
    state: { type: turn % RUNS_PER_RUNNING_RUN === 0 ? "RUNNING" : "COMPLETED" },
  });
}

async function countRuns(client: HttpClient, flowId: string): Promise<number> {
  const reply = await call(client, "POST", "/flow_runs/count", {
    flows: { id: { any_: [flowId] } },
  });
  return Number(reply.text);
}
