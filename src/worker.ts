/** The ways in: requests, the clock and the queues; and the Durable Object classes. Wiring only. */
import { createApp } from "#app";
import type { Env } from "#env";

export { EventStream } from "#objects/event-stream/object";
export { WorkPool } from "#objects/work-pool/object";

const app = createApp();

export default {
  fetch: app.fetch,
} satisfies ExportedHandler<Env>;
