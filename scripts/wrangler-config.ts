/**
 * The parts of wrangler.toml that `npm start` and `npm run deploy` need. wrangler.toml is the only list of bindings.
 */
import { parse } from "smol-toml";
import { z } from "zod";

const Config = z.object({
  name: z.string(),
  compatibility_date: z.string(),
  compatibility_flags: z.array(z.string()).default([]),
  vars: z.record(z.string(), z.json()).default({}),
  triggers: z.object({ crons: z.array(z.string()) }).default({ crons: [] }),
  d1_databases: z
    .array(
      z.object({
        binding: z.string(),
        database_name: z.string(),
        database_id: z.string(),
        migrations_dir: z.string(),
      }),
    )
    .default([]),
  r2_buckets: z
    .array(z.looseObject({ binding: z.string(), bucket_name: z.string(), jurisdiction: z.string().optional() }))
    .default([]),
  durable_objects: z
    .object({ bindings: z.array(z.object({ name: z.string(), class_name: z.string() })) })
    .default({ bindings: [] }),
  migrations: z.array(z.object({ tag: z.string(), new_sqlite_classes: z.array(z.string()).default([]) })).default([]),
  queues: z
    .object({
      producers: z.array(z.object({ binding: z.string(), queue: z.string() })).default([]),
      consumers: z
        .array(
          z.object({
            queue: z.string(),
            max_batch_size: z.int().optional(),
            max_batch_timeout: z.int().optional(),
            max_retries: z.int().optional(),
            retry_delay: z.int().optional(),
            dead_letter_queue: z.string().optional(),
          }),
        )
        .default([]),
    })
    .default({ producers: [], consumers: [] }),
});

/** The parts of wrangler.toml that are read. */
export type WranglerConfig = z.output<typeof Config>;

/** Reads the text of wrangler.toml. */
export function parseWranglerConfig(text: string): WranglerConfig {
  return Config.parse(parse(text));
}

/** The names of all queues that the Worker sends to or reads from, and of their dead-letter queues. Each name once. */
export function queueNames(config: WranglerConfig): string[] {
  const { producers, consumers } = config.queues;
  const buried = consumers.flatMap((consumer) => consumer.dead_letter_queue ?? []);
  return [...new Set([...producers, ...consumers].map((end) => end.queue).concat(buried))];
}
