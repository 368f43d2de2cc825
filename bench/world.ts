/** The things that the bench needs on a target before a measurement: a flow, two deployments, two pools, a limit. */
import { call, openHttpClient } from "./http-client.ts";
import type { HttpClient } from "./http-client.ts";
import { field, items, stringField } from "./json.ts";
import type { Target } from "./target.ts";

export interface World {
  target: Target;
  flowId: string;
  /** A deployment with a tenth of the seeded runs. The filtered list asks for these runs. */
  deploymentId: string;
  /** A deployment of a pool. Runs are created from it, and no worker takes them. */
  pooledDeploymentId: string;
  /** A pool that never has a run. */
  idlePool: string;
  /** A concurrency limit with more slots than clients. */
  limitName: string;
  /** The ids of some seeded runs, for reads and logs. */
  runIds: string[];
}

export const BENCH_FLOW = "sluice-bench";
const IDLE_POOL = "sluice-bench-idle";
const BUSY_POOL = "sluice-bench-busy";
const LIMIT = "sluice-bench-lease";
const LIMIT_SLOTS = 10_000;

export async function prepareWorld(target: Target): Promise<World> {
  const client = openHttpClient(target, { connections: 1 });
  try {
    const flowId = await createFlow(client, BENCH_FLOW);
    const deploymentId = await createDeployment(client, { name: "seeded", flow_id: flowId });
    await createPool(client, IDLE_POOL);
    await createPool(client, BUSY_POOL);
    const pooled = { name: "pooled", flow_id: flowId, work_pool_name: BUSY_POOL };
    const pooledDeploymentId = await createDeployment(client, pooled);
    await createLimit(client, LIMIT, LIMIT_SLOTS);
    const names = { idlePool: IDLE_POOL, limitName: LIMIT };
    return { target, flowId, deploymentId, pooledDeploymentId, ...names, runIds: [] };
  } finally {
    client.close();
  }
}

export async function createFlow(client: HttpClient, name: string): Promise<string> {
  const reply = await call(client, "POST", "/flows/", { name, tags: [], labels: {} });
  return stringField(reply.text, "id");
}

export async function createDeployment(client: HttpClient, deployment: Record<string, unknown>): Promise<string> {
  const reply = await call(client, "POST", "/deployments/", {
    paused: false,
    schedules: [],
    enforce_parameter_schema: false,
    parameters: {},
    tags: [],
    entrypoint: "flow.py:hello",
    ...deployment,
  });
  return stringField(reply.text, "id");
}

/** Creates a process pool, unless it exists from an earlier run of the bench. */
export async function createPool(client: HttpClient, name: string): Promise<void> {
  const conflict = 409;
  const body = { name, type: "process", base_job_template: {}, is_paused: false };
  await call(client, "POST", "/work_pools/", body, [conflict]);
}

/** Creates a concurrency limit, unless it exists from an earlier run of the bench. */
async function createLimit(client: HttpClient, name: string, limit: number): Promise<void> {
  const conflict = 409;
  await call(client, "POST", "/v2/concurrency_limits/", { name, limit }, [conflict]);
}

/** Fetches the ids of up to 200 of the bench's runs. */
export async function fetchRunIds(world: World): Promise<string[]> {
  const client = openHttpClient(world.target, { connections: 1 });
  try {
    const filter = { flows: { id: { any_: [world.flowId] } }, limit: 200 };
    const reply = await call(client, "POST", "/flow_runs/filter", filter);
    return items(reply.text).map((run) => String(field(run, "id")));
  } finally {
    client.close();
  }
}
