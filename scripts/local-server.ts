/** The local server: the Worker in workerd, started with miniflare's API, with its data in a folder. */
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Miniflare, NoOpLog } from "miniflare";
import { bundleWorker, writeOpenApi } from "./build.ts";
import { isAlive, readPid } from "./processes.ts";
import { parseWranglerConfig, type WranglerConfig } from "./wrangler-config.ts";

/** How long a stop waits for running requests. */
const DRAIN_MS = 3000;
/** How long a start waits for a process that may be the workerd of a killed server. Only its process id is known. */
const ORPHAN_MS = 1000;
/** How long a start waits for a process that is the workerd of a killed server. */
const DYING_MS = 30_000;
/** The variable that gives `workerd.sh` the name of the file for its process id. */
const PID_FILE_VARIABLE = "SLUICE_PID_FILE";
const MINUTE_MS = 60_000;
/**
 * V8 sizes its heaps by the memory of the machine: with 20 MB of live objects, three isolates keep 300 MB of garbage
 * and of almost empty pages. With these flags V8 collects earlier, compacts each time, and frees large pages. Each isolate
 * has two spaces for new objects. With 16 MB each, three isolates keep 40 MB more than with 4 MB, and are not faster.
 */
const V8_FLAGS = [
  "--heap-growing-percent=20",
  "--compact-on-every-full-gc",
  "--compaction-max-evacuated-bytes-mb=64",
  "--no-large-page-pool",
  "--max-semi-space-size=4",
];

/** The address, the data folder and the settings of the server. */
export interface LocalOptions {
  host: string;
  port: number;
  /** The folder of the server's data. */
  data: string;
  /** The Worker's settings, including the keys. */
  vars: Record<string, string>;
  /** The port of V8's inspector, for debuggers and profiles. Without the port there is no inspector. */
  inspect?: number | undefined;
}

/** A running server. */
export interface LocalServer {
  stop(): Promise<void>;
}

type D1 = Awaited<ReturnType<Miniflare["getD1Database"]>>;

/** Builds the Worker, applies migrations and listens. */
export async function startLocalServer(options: LocalOptions): Promise<LocalServer> {
  await writeOpenApi();
  const script = await bundleWorker();
  const config = parseWranglerConfig(readFileSync("wrangler.toml", "utf8"));
  const data = resolve(options.data);
  mkdirSync(data, { recursive: true });
  const pidFile = join(data, "workerd.pid");
  await forgotten(pidFile);
  process.env["MINIFLARE_WORKERD_V8_FLAGS"] ??= V8_FLAGS.join(" ");
  runUnderWatch(pidFile);
  const workerOptions = miniflareOptions(config, script, data, options);
  // No request may arrive before the tables exist, so the port is opened by a second start of workerd.
  const miniflare = new Miniflare(workerOptions);
  for (const database of config.d1_databases) {
    await applyMigrations(await miniflare.getD1Database(database.binding), database.migrations_dir);
  }
  await miniflare.setOptions({
    ...workerOptions,
    unsafeDirectSockets: [{ host: options.host, port: options.port }],
  });
  const stopClock = startClock(miniflare, config.triggers.crons);
  return {
    async stop() {
      stopClock();
      await drain(pidFile);
      await miniflare.dispose();
      rmSync(pidFile, { force: true });
    },
  };
}

/**
 * All options except the public port. On that port the Worker itself listens (`unsafeDirectSockets`), because with
 * miniflare's entry each request would pass through a second Worker. The entry has its own port, for crons and
 * migrations.
 */
function miniflareOptions(config: WranglerConfig, script: string, data: string, { vars, inspect }: LocalOptions) {
  const classes = new Set(config.migrations.flatMap((migration) => migration.new_sqlite_classes));
  return {
    name: config.name,
    host: "127.0.0.1",
    port: 0,
    log: new NoOpLog(),
    cf: false,
    logRequests: false,
    ...(inspect !== undefined && { inspectorPort: inspect }),
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags,
    modules: [{ type: "ESModule" as const, path: "worker.js", contents: script }],
    bindings: { ...config.vars, SLUICE_MODE: "local", ...vars },
    // By name, not by id: a deployment changes the id, but the data must stay in one place.
    d1Databases: Object.fromEntries(config.d1_databases.map((database) => [database.binding, database.database_name])),
    d1Persist: join(data, "d1"),
    r2Buckets: Object.fromEntries(config.r2_buckets.map((bucket) => [bucket.binding, bucket.bucket_name])),
    r2Persist: join(data, "r2"),
    durableObjects: Object.fromEntries(
      config.durable_objects.bindings.map(({ name, class_name: className }) => [
        name,
        { className, useSQLite: classes.has(className) },
      ]),
    ),
    durableObjectsPersist: join(data, "objects"),
    queueProducers: Object.fromEntries(
      config.queues.producers.map(({ binding, queue }) => [binding, { queueName: queue }]),
    ),
    queueConsumers: Object.fromEntries(
      config.queues.consumers.map((consumer) => [
        consumer.queue,
        {
          maxBatchSize: consumer.max_batch_size,
          maxBatchTimeout: consumer.max_batch_timeout,
          maxRetries: consumer.max_retries,
          retryDelay: consumer.retry_delay,
          deadLetterQueue: consumer.dead_letter_queue,
        },
      ]),
    ),
  };
}

/**
 * Makes miniflare run workerd through a script that ends workerd together with this process. Windows cannot run the
 * script.
 */
function runUnderWatch(pidFile: string): void {
  if (process.platform === "win32") return;
  const require = createRequire(createRequire(import.meta.url).resolve("miniflare"));
  const { default: workerd } = require("workerd") as { default: string };
  process.env["SLUICE_WORKERD"] = process.env["MINIFLARE_WORKERD_PATH"] ?? workerd;
  process.env[PID_FILE_VARIABLE] = pidFile;
  process.env["MINIFLARE_WORKERD_PATH"] = resolve("scripts/workerd.sh");
}

/** Applies the missing migrations, each in one batch with its row in wrangler's table of migrations. */
async function applyMigrations(database: D1, folder: string): Promise<void> {
  await database
    .prepare(
      "CREATE TABLE IF NOT EXISTS d1_migrations(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
    )
    .run();
  const { results } = await database.prepare("SELECT name FROM d1_migrations").all<{ name: string }>();
  const applied = new Set(results.map((row) => row.name));
  const files = readdirSync(folder).filter((name) => name.endsWith(".sql"));
  for (const name of files.toSorted().filter((file) => !applied.has(file))) {
    const statements = readFileSync(join(folder, name), "utf8").split("--> statement-breakpoint");
    await database.batch([
      ...statements.filter((statement) => statement.trim() !== "").map((statement) => database.prepare(statement)),
      database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name),
    ]);
  }
}

/**
 * Runs the crons at once, to make up for the time without a server, and then on each full minute, one run at a time.
 */
function startClock(miniflare: Miniflare, crons: readonly string[]): () => void {
  const unknown = crons.find((cron) => cron !== "* * * * *");
  if (unknown) throw new Error(`npm start knows only the cron "* * * * *", not "${unknown}"`);
  let timer: NodeJS.Timeout | undefined;
  let running = false;
  let stopped = false;
  const fire = async (time: number) => {
    if (running) return;
    running = true;
    try {
      const worker = await miniflare.getWorker();
      for (const cron of crons) await worker.scheduled({ cron, scheduledTime: new Date(time) });
    } catch (error) {
      if (!stopped) console.error("the cron failed:", error);
    } finally {
      running = false;
    }
  };
  const wait = () => {
    const minute = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS + MINUTE_MS;
    timer = setTimeout(() => {
      void fire(minute);
      wait();
    }, minute - Date.now());
  };
  void fire(Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS);
  wait();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/**
 * Waits for the workerd of a killed server. The system ends both processes, but a process that waits for its disk ends
 * later. Two workerd processes on one folder would each grant the same slot, so the next server does not start before
 * the old workerd has ended.
 */
async function forgotten(pidFile: string): Promise<void> {
  const pid = readPid(pidFile);
  if (pid === null) return;
  for (const end = Date.now() + ORPHAN_MS; Date.now() < end && isAlive(pid);) await sleep(20);
  for (const end = Date.now() + DYING_MS; isWorkerdOf(pid, pidFile); await sleep(100)) {
    if (Date.now() > end) throw new Error(`The workerd of a server that was killed, process ${pid}, does not end.`);
  }
}

/** Whether a process is the workerd that wrote the file. The system may have given the id to another process. */
function isWorkerdOf(pid: number, pidFile: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`${PID_FILE_VARIABLE}=${pidFile}`);
  } catch {
    // The process has ended, or this system has no /proc. Without /proc, the wait of ORPHAN_MS must be enough.
    return false;
  }
}

/** Makes workerd finish the running requests and take no more, and waits at most DRAIN_MS for its end. */
async function drain(pidFile: string): Promise<void> {
  const pid = readPid(pidFile);
  if (pid === null || !isAlive(pid)) return;
  process.kill(pid, "SIGTERM");
  for (const end = Date.now() + DRAIN_MS; Date.now() < end && isAlive(pid);) await sleep(20);
}
