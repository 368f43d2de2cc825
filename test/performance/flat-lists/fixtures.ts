/** What both servers of a measurement have in the same numbers: flows, deployments, pools with queues, blocks, variables and limits. */
import { call, type HttpClient, openHttpClient } from "../../../bench/http-client.ts";
import { field, items, stringField } from "../../../bench/json.ts";
import type { Target } from "../../../bench/target.ts";
import { createDeployment, createFlow, createPool } from "../../../bench/world.ts";

const FLOWS = 20;
const DEPLOYMENTS_PER_FLOW = 3;
const POOLS = 4;
const QUEUES_PER_POOL = 2;
const OTHERS = 30;

/** A deployment, and what its runs need to know of it. */
export interface Origin {
  id: string;
  flowId: string;
  queueId: string;
  queueName: string;
  pool: string;
}

/** The fixtures of a server. */
export interface Fixtures {
  flowIds: string[];
  origins: Origin[];
  /** The deployment of a flow that has few runs, all of them in the last week. */
  rare: Origin;
}

const targetAt = (port: number): Target => ({ name: "sluice", apiUrl: `http://127.0.0.1:${port}/api`, key: undefined });

/** Creates the fixtures through the API. */
export async function createFixtures(port: number): Promise<Fixtures> {
  const client = openHttpClient(targetAt(port), { connections: 4 });
  try {
    const flowIds: string[] = [];
    for (let index = 0; index < FLOWS; index++) flowIds.push(await createFlow(client, `flow-${index}`));
    const queues = await createQueues(client);
    const origins: Origin[] = [];
    const rareFlow = await createFlow(client, "rare-flow");
    for (let index = 0; index <= FLOWS * DEPLOYMENTS_PER_FLOW; index++) {
      const flowId = index < FLOWS * DEPLOYMENTS_PER_FLOW ? (flowIds[index % FLOWS] ?? "") : rareFlow;
      const queue = queues[index % queues.length];
      if (!queue) throw new Error("no queue");
      const id = await createDeployment(client, {
        name: `deployment-${index}`,
        flow_id: flowId,
        work_pool_name: queue.pool,
        work_queue_name: queue.queueName,
        tags: [`team-${index % 5}`],
      });
      origins.push({ id, flowId, ...queue });
    }
    for (let index = 0; index < OTHERS; index++) await createOthers(client, index);
    const rare = origins.pop();
    if (!rare) throw new Error("no deployment");
    return { flowIds, origins, rare };
  } finally {
    client.close();
  }
}

async function createQueues(client: HttpClient) {
  const queues: Pick<Origin, "pool" | "queueId" | "queueName">[] = [];
  for (let index = 0; index < POOLS; index++) {
    const pool = `pool-${index}`;
    await createPool(client, pool);
    for (let number = 0; number < QUEUES_PER_POOL; number++) {
      const queueName = `queue-${number}`;
      const { text } = await call(client, "POST", `/work_pools/${pool}/queues`, { name: queueName });
      queues.push({ pool, queueName, queueId: stringField(text, "id") });
    }
  }
  return queues;
}

async function createOthers(client: HttpClient, index: number): Promise<void> {
  await call(client, "POST", "/variables/", { name: `variable_${index}`, value: index, tags: [`team-${index % 5}`] });
  await call(client, "POST", "/v2/concurrency_limits/", { name: `limit-${index}`, limit: 10 });
  const schemas = await call(client, "POST", "/block_schemas/filter", { limit: 1 });
  const [schema] = items(schemas.text);
  await call(client, "POST", "/block_documents/", {
    name: `document-${index}`,
    data: { value: index },
    block_schema_id: field(schema, "id"),
    block_type_id: field(schema, "block_type_id"),
  });
}
