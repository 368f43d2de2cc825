/** The entry points of the Worker: requests, crons and queues. Exports the Durable Object classes. Wiring only. */
import { createApp } from "#app";
import { movesOf } from "#databases";
import { DEFAULT_WORKSPACE, type Env } from "#env";
import { consumeSegments, isDeadQueue, keepDeadLetters } from "#events/consumer";
import { systemClock } from "#lib/clock";
import { CRONS, runCron } from "#services/crons";
import { runMoves } from "#services/move-workspace";
import { makeSweepTools, makeTools } from "#tools";

export { ConcurrencyLimits } from "#objects/concurrency-limits/object";
export { EventStream } from "#objects/event-stream/object";
export { TaskQueue } from "#objects/task-queue/object";
export { WorkPool } from "#objects/work-pool/object";

const app = createApp();

export default {
  fetch: app.fetch,
  async scheduled(controller, env, context) {
    const jobs = CRONS[controller.cron] ?? [];
    const databases = makeSweepTools(env, (work) => context.waitUntil(work));
    await Promise.all([...databases.map((tools) => runCron(jobs, tools)), runMoves(movesOf(env), systemClock())]);
  },
  async queue(batch, env, context) {
    const toolsOf = (workspaceId: string) => makeTools(env, workspaceId, (work) => context.waitUntil(work));
    if (batch.queue === "sluice-events") await consumeSegments(batch, toolsOf);
    else if (isDeadQueue(batch.queue)) await keepDeadLetters(batch, toolsOf, DEFAULT_WORKSPACE);
    else throw new Error(`nobody consumes the queue ${batch.queue}`);
  },
} satisfies ExportedHandler<Env>;
