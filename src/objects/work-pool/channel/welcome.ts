/** Reads from D1 what a hello names: the worker's pool and its queues. The worker may create the pool, or give the pool a template. */
import { readJson } from "#db/database";
import { ApiError } from "#lib/api-error";
import type { CloseReason, Hello } from "#objects/work-pool/channel/frames";
import { announce, poolEvent } from "#resources/work-pools/announce";
import { createWorkPool, isReserved } from "#resources/work-pools/pools";
import { templateProblem, validateTemplateDefaults } from "#resources/work-pools/job-variables";
import { WorkPoolCreate } from "#resources/work-pools/schema";
import { type WorkPoolRow, WorkPoolStore } from "#resources/work-pools/store";
import type { Tools } from "#tools";

/** The pool's row and the worker's queues, or why the worker is refused. */
type Welcome =
  | { pool: WorkPoolRow; queues: { id: string; name: string }[]; isTemplateGiven: boolean }
  | { refused: CloseReason };

type Template = Hello["default_base_job_template"];

/** Reads the pool and the queues that the worker names. If the worker is refused, nothing is written. */
export async function welcome(tools: Tools, poolName: string, hello: Hello): Promise<Welcome> {
  const found = await new WorkPoolStore(tools).readPoolWithQueues(poolName);
  const refused = refusal(poolName, hello, found.pool, found.pool ? found.queues : [{ name: "default" }]);
  if (refused) return { refused };
  if (!found.pool) return welcomeToNew(tools, poolName, hello);
  const isGiven = wantsTemplate(found.pool, hello);
  const pool = isGiven ? await giveTemplate(tools, found.pool, hello.default_base_job_template) : found.pool;
  return { pool, queues: queuesOf(hello, found.queues), isTemplateGiven: isGiven };
}

function refusal(
  poolName: string,
  hello: Hello,
  pool: WorkPoolRow | undefined,
  queues: readonly { name: string }[],
): CloseReason | null {
  if (!pool && (!hello.create_pool_if_not_found || isReserved(poolName))) return "authorization_failed";
  const names = new Set(queues.map(({ name }) => name));
  const problem = pool && !wantsTemplate(pool, hello) ? null : templateRefusal(hello.default_base_job_template);
  // Prefect: a fault of a new pool is found before its queues are read, a fault of an existing pool after.
  if (problem && !pool) return problem;
  return hello.work_queue_names.every((name) => names.has(name)) ? problem : "authorization_failed";
}

/** Prefect: only wrong defaults count as the worker's fault. Any other fault of the template ends in a server error. */
function templateRefusal(template: Template): CloseReason | null {
  try {
    validateTemplateDefaults(template);
  } catch (error) {
    if (error instanceof ApiError) return "protocol_error";
    throw error;
  }
  return templateProblem(template) === null ? null : "transient_server_error";
}

/** If another client makes the pool at the same time, that pool is used. */
async function welcomeToNew(tools: Tools, poolName: string, hello: Hello): Promise<Welcome> {
  const body = WorkPoolCreate.safeParse({
    name: poolName,
    type: hello.worker_type,
    base_job_template: hello.default_base_job_template,
  });
  if (!body.success) return { refused: "transient_server_error" };
  try {
    await createWorkPool(tools, body.data);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 409)) throw error;
  }
  const { pool, queues } = await new WorkPoolStore(tools).readPoolWithQueues(poolName);
  if (!pool) return { refused: "transient_server_error" };
  return { pool, queues: queuesOf(hello, queues), isTemplateGiven: false };
}

/** Prefect: a pool without a template gets the template of its first worker. */
function wantsTemplate(pool: WorkPoolRow, hello: Hello): boolean {
  return pool.base_job_template === "{}" && Object.keys(hello.default_base_job_template).length > 0;
}

async function giveTemplate(tools: Tools, pool: WorkPoolRow, template: Template): Promise<WorkPoolRow> {
  const updated = tools.clock();
  const base_job_template = JSON.stringify(template);
  await tools.db.run(new WorkPoolStore(tools).updatePool(pool.id, { updated, base_job_template }));
  const updates = { base_job_template: { from: readJson<unknown>(pool.base_job_template), to: template } };
  announce(tools, [poolEvent(tools, "updated", pool, updated, updates)]);
  return { ...pool, updated, base_job_template };
}

/** The queues that a worker names, in the worker's order, or all queues by their priority. */
function queuesOf(hello: Hello, queues: readonly { id: string; name: string }[]): { id: string; name: string }[] {
  const named = new Map(queues.map(({ id, name }) => [name, { id, name }]));
  if (hello.work_queue_names.length === 0) return [...named.values()];
  return [...new Set(hello.work_queue_names)].flatMap((name) => named.get(name) ?? []);
}
