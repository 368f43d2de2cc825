/** The settings as the original's model has them: what is ours tells of this server, the rest are a client's defaults. */
import { z } from "zod";
import { DEFAULT_SERVICES } from "#env";
import { MAX_EVENT_BYTES } from "#events/event";
import type { Tools } from "#tools";
import { MAX_LIMIT } from "#wire/paging";

/** What secrets are shown as. */
const HIDDEN = "**********";

/** The settings of this server, as it is reached at `url`. */
export function printSettings({ settings }: Pick<Tools, "settings">, url: URL) {
  return { ...CLIENT_DEFAULTS, server: serverSettings(settings, url) };
}

/** The settings' schema, read off the settings themselves. */
export const Settings = () => {
  const cors = { origins: [], methods: [], headers: [] };
  const settings = {
    local: true,
    apiKey: null,
    authString: null,
    allowedHosts: [],
    cors,
    services: DEFAULT_SERVICES,
  };
  return schemaOf(printSettings({ settings }, new URL("http://127.0.0.1:4200"))).meta({ id: "Settings" });
};

function schemaOf(value: unknown): z.ZodType {
  if (value === null) return z.unknown().nullable();
  if (Array.isArray(value)) return z.array(z.unknown());
  switch (typeof value) {
    case "object":
      return z.object(Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, schemaOf(inner)])));
    case "boolean":
      return z.boolean();
    case "number":
      return z.number();
    default:
      return z.string();
  }
}

/** A period as the original prints it: days as such, and what is left in hours, minutes and seconds. */
function printPeriod(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const rest = [
    [Math.floor((seconds % 86_400) / 3600), "H"],
    [Math.floor((seconds % 3600) / 60), "M"],
    [seconds % 60, "S"],
  ].flatMap(([count, unit]) => (count ? `${count}${unit}` : []));
  return `P${days > 0 ? `${days}D` : ""}${rest.length > 0 || days === 0 ? `T${rest.join("") || "0S"}` : ""}`;
}

function serverSettings({ authString, cors, services }: Tools["settings"], url: URL) {
  return {
    logging_level: "WARNING",
    analytics_enabled: false,
    metrics_enabled: false,
    log_retryable_errors: false,
    register_blocks_on_start: true,
    memoize_block_auto_registration: true,
    memo_store_path: "",
    deployment_schedule_max_scheduled_runs: 50,
    api: {
      auth_string: authString === null ? null : HIDDEN,
      host: url.hostname,
      port: Number(url.port) || (url.protocol === "https:" ? 443 : 80),
      base_path: null,
      default_limit: MAX_LIMIT,
      keepalive_timeout: 5,
      csrf_protection_enabled: false,
      csrf_token_expiration: "PT1H",
      cors_allowed_origins: cors.origins.join(","),
      cors_allowed_methods: cors.methods.join(","),
      cors_allowed_headers: cors.headers.join(","),
      websocket_ping_interval: 20,
      websocket_ping_timeout: 20,
      max_parameter_size: 524_288,
    },
    concurrency: {
      lease_storage: "durable object",
      initial_deployment_lease_duration: 300,
      maximum_concurrency_slot_wait_seconds: 30,
    },
    database: {
      sqlalchemy: {
        connect_args: {
          application_name: null,
          search_path: null,
          statement_cache_size: null,
          prepared_statement_cache_size: null,
          tls: { enabled: false, ca_file: null, cert_file: null, key_file: null, check_hostname: true },
        },
        pool_size: 0,
        pool_recycle: 0,
        pool_timeout: null,
        max_overflow: 0,
      },
      connection_url: HIDDEN,
      driver: "d1",
      host: null,
      port: null,
      user: null,
      name: null,
      password: null,
      echo: false,
      migrate_on_start: false,
      timeout: null,
      connection_timeout: null,
      migration_timeout: null,
    },
    deployments: { concurrency_slot_wait_seconds: 30 },
    docket: { name: "sluice", url: "" },
    ephemeral: { enabled: false, startup_timeout_seconds: 20 },
    events: {
      stream_out_enabled: true,
      related_resource_cache_ttl: "PT5M",
      maximum_labels_per_resource: 500,
      maximum_related_resources: 100,
      maximum_size_bytes: MAX_EVENT_BYTES,
      expired_bucket_buffer: "PT1M",
      proactive_granularity: "PT5S",
      retention_period: printPeriod(services.db_vacuum.event_retention_period),
      maximum_websocket_backfill: "PT15M",
      websocket_backfill_page_size: 250,
      messaging_broker: "queues",
      messaging_cache: "durable object",
      causal_ordering: "durable object",
      maximum_event_name_length: 1024,
    },
    flow_run_graph: { max_nodes: 10_000, max_artifacts: 10_000 },
    logs: { stream_out_enabled: true, stream_publishing_enabled: true },
    services: {
      cancellation_cleanup: { ...services.cancellation_cleanup, loop_seconds: 60 },
      db_vacuum: {
        enabled: services.db_vacuum.types,
        loop_seconds: services.db_vacuum.loop_seconds,
        orphan_cleanup_loop_seconds: services.db_vacuum.orphan_cleanup_loop_seconds,
        retention_period: printPeriod(services.db_vacuum.retention_period),
        batch_size: services.db_vacuum.batch_size,
        event_retention_overrides: Object.fromEntries(
          Object.entries(services.db_vacuum.event_retention_overrides).map(([name, period]) => [
            name,
            printPeriod(period),
          ]),
        ),
      },
      event_persister: {
        enabled: true,
        batch_size: 20,
        read_batch_size: 1,
        flush_interval: 0.1,
        queue_max_size: 50_000,
        max_flush_retries: 5,
      },
      event_logger: { enabled: false },
      foreman: {
        enabled: services.foreman.enabled,
        loop_seconds: 60,
        inactivity_heartbeat_multiple: 3,
        fallback_heartbeat_interval_seconds: 30,
        deployment_last_polled_timeout_seconds: 60,
        work_queue_last_polled_timeout_seconds: 60,
      },
      late_runs: {
        enabled: services.late_runs.enabled,
        loop_seconds: 60,
        after_seconds: `PT${services.late_runs.after_seconds}S`,
      },
      scheduler: {
        enabled: services.scheduler.enabled,
        loop_seconds: 60,
        deployment_batch_size: 100,
        max_runs: services.scheduler.max_runs,
        min_runs: services.scheduler.min_runs,
        max_scheduled_time: printPeriod(services.scheduler.max_scheduled_seconds),
        min_scheduled_time: printPeriod(services.scheduler.min_scheduled_seconds),
        insert_batch_size: 500,
        recent_deployments_loop_seconds: 60,
      },
      pause_expirations: { enabled: services.pause_expirations.enabled, loop_seconds: 60 },
      repossessor: { enabled: true, loop_seconds: 60 },
      cleanup_reconciler: { enabled: true, loop_seconds: 60, batch_size: 100 },
      task_run_recorder: { enabled: true, read_batch_size: 100, batch_size: 100, flush_interval: 1 },
      triggers: {
        enabled: true,
        read_batch_size: 1,
        pg_notify_reconnect_interval_seconds: 10,
        pg_notify_heartbeat_interval_seconds: 5,
      },
    },
    tasks: {
      tag_concurrency_slot_wait_seconds: 30,
      max_cache_key_length: 2000,
      scheduling: { max_scheduled_queue_size: 1000, max_retry_queue_size: 100, pending_task_timeout: "PT0S" },
    },
    ui: {
      enabled: false,
      v2_enabled: false,
      api_url: `${url.origin}/api`,
      serve_base: "/",
      static_directory: null,
      show_promotional_content: false,
    },
    worker_channel: {
      cleanup_queue_storage: "durable object",
      cleanup_lease_seconds: 30,
      cleanup_max_delivery_attempts: 3,
      cleanup_completed_idempotency_retention_seconds: null,
    },
  };
}

/** What the original's model has besides the server's part, and what a client would find there unchanged. */
const CLIENT_DEFAULTS = {
  home: "",
  profiles_path: "",
  debug_mode: false,
  api: {
    url: null,
    auth_string: null,
    key: null,
    tls_insecure_skip_verify: false,
    ssl_cert_file: null,
    enable_http2: false,
    request_timeout: 60,
  },
  cli: { colors: true, prompt: null, wrap_lines: true },
  client: {
    max_retries: 5,
    retry_jitter_factor: 0.2,
    retry_extra_codes: [],
    csrf_support_enabled: true,
    custom_headers: {},
    server_version_check_enabled: true,
    metrics: { enabled: false, port: 4201 },
  },
  cloud: { api_url: null, enable_orchestration_telemetry: false, max_log_size: 25_000, ui_url: null },
  deployments: { default_work_pool_name: null, default_docker_build_namespace: null },
  events: { worker_max_queue_size: 0 },
  experiments: { warn: true },
  flows: { heartbeat_frequency: 180, default_retries: 0, default_retry_delay_seconds: 0 },
  internal: { logging_level: "ERROR" },
  logging: {
    level: "INFO",
    config_path: null,
    extra_loggers: [],
    log_prints: false,
    colors: true,
    markup: false,
    to_api: {
      enabled: true,
      batch_interval: 2,
      batch_size: 4_000_000,
      max_log_size: 1_000_000,
      when_missing_flow: "warn",
    },
  },
  plugins: { enabled: false, allow: [], deny: [], setup_timeout_seconds: 20, strict: false, safe_mode: false },
  results: {
    default_serializer: "pickle",
    persist_by_default: false,
    default_storage_block: null,
    local_storage_path: "",
  },
  runner: {
    process_limit: 5,
    poll_frequency: 10,
    crash_on_cancellation_failure: false,
    auto_install_dependencies: false,
    server: { enable: false, host: "localhost", port: 8080, log_level: "ERROR", missed_polls_tolerance: 2 },
  },
  tasks: {
    refresh_cache: false,
    default_no_cache: false,
    disable_caching: false,
    default_retries: 0,
    default_retry_delay_seconds: 0,
    default_persist_result: null,
    runner: { thread_pool_max_workers: null, process_pool_max_workers: null },
    scheduling: { default_storage_block: null, delete_failed_submissions: true },
  },
  telemetry: { enable_resource_metrics: true, resource_metrics_interval_seconds: 10 },
  testing: { test_mode: false, unit_test_mode: false, unit_test_loop_debug: true, test_setting: "FOO" },
  worker: {
    debug_mode: false,
    heartbeat_seconds: 30,
    query_seconds: 10,
    prefetch_seconds: 10,
    enable_cancellation: false,
    cancellation_poll_seconds: 120,
    webserver: { host: "0.0.0.0", port: 8080 },
  },
  ui_url: null,
  silence_api_url_misconfiguration: false,
};
