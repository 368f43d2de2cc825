/** The Worker's bindings and settings, parsed once. */
import { z } from "zod";

/** A service of the clock is on unless it is switched off. */
const isEnabled = z.union([z.boolean(), z.stringbool()]).default(true);
const seconds = z.coerce.number().nonnegative();
const count = z.coerce.number().int().positive();

const VACUUM_TYPES = ["events", "flow_runs", "orphans"] as const;
const VacuumType = z.enum(VACUUM_TYPES);
export type VacuumType = z.output<typeof VacuumType>;

/** Prefect: a list of what old things are removed; `true` is all of them, `false` events alone, and with runs go their orphans. */
const VacuumTypes = z
  .union([z.boolean(), z.number(), z.string()])
  .transform((given) => {
    const word = String(given).trim().toLowerCase();
    if (word === "true" || word === "1") return [...VACUUM_TYPES];
    if (word === "false" || word === "0") return ["events"];
    const types = String(given)
      .split(",")
      .map((type) => type.trim())
      .filter(Boolean);
    return types.includes("flow_runs") ? [...types, "orphans"] : types;
  })
  .pipe(z.array(VacuumType))
  .transform((types): readonly VacuumType[] => VACUUM_TYPES.filter((type) => types.includes(type)));

/** Periods in seconds by the events' names, as JSON. */
const Overrides = z
  .string()
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue("not JSON");
      return z.NEVER;
    }
  })
  .pipe(z.record(z.string(), seconds.positive()));

const DAY_SECONDS = 86_400;

/** The variables of the services: Prefect's names, and its defaults. */
const ServiceVars = z.object({
  PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED: isEnabled,
  PREFECT_SERVER_SERVICES_SCHEDULER_MIN_RUNS: count.default(3),
  PREFECT_SERVER_SERVICES_SCHEDULER_MAX_RUNS: count.max(1000).default(100),
  PREFECT_SERVER_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME: seconds.default(3600),
  PREFECT_SERVER_SERVICES_SCHEDULER_MAX_SCHEDULED_TIME: seconds.positive().default(100 * DAY_SECONDS),
  PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED: isEnabled,
  PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS: seconds.default(15),
  PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED: isEnabled,
  PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED: isEnabled,
  PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS: seconds.positive().default(300),
  PREFECT_SERVER_SERVICES_FOREMAN_ENABLED: isEnabled,
  PREFECT_SERVER_SERVICES_ZOMBIES_ENABLED: isEnabled,
  PREFECT_SERVER_SERVICES_ZOMBIES_MISSED_HEARTBEATS: z.coerce.number().int().min(2).default(4),
  PREFECT_SERVER_SERVICES_ZOMBIES_FALLBACK_HEARTBEAT_INTERVAL_SECONDS: seconds.min(30).default(180),
  PREFECT_SERVER_SERVICES_LAZARUS_ENABLED: isEnabled,
  PREFECT_SERVER_SERVICES_LAZARUS_PENDING_SECONDS: seconds.positive().default(600),
  PREFECT_SERVER_SERVICES_LAZARUS_INFRASTRUCTURE_PENDING_SECONDS: seconds.positive().default(3600),
  PREFECT_SERVER_SERVICES_LAZARUS_MOST_TIMES: z.coerce.number().int().nonnegative().default(10),
  PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: VacuumTypes.default(["events"]),
  PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS: seconds.positive().default(3600),
  PREFECT_SERVER_SERVICES_DB_VACUUM_ORPHAN_CLEANUP_LOOP_SECONDS: seconds.positive().default(DAY_SECONDS),
  PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD: seconds.gt(3600).default(90 * DAY_SECONDS),
  PREFECT_SERVER_SERVICES_DB_VACUUM_BATCH_SIZE: count.default(200),
  PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES: Overrides.default({
    "prefect.flow-run.heartbeat": 7 * DAY_SECONDS,
  }),
  PREFECT_SERVER_EVENTS_RETENTION_PERIOD: seconds.positive().default(7 * DAY_SECONDS),
});

/** The names of these variables. */
export const SERVICE_VARIABLES: readonly string[] = Object.keys(ServiceVars.shape);

/** Variables as wrangler.toml and the dashboard give them. */
type GivenServiceVars = { [name in keyof z.input<typeof ServiceVars>]?: string | number | boolean };

/** A comma between each two. */
const List = z.string().transform((text) =>
  text
    .split(",")
    .map((item) => item.trim())
    .filter(Boolean),
);

/** Host names as `URL.hostname` prints them; a port says nothing. */
const Hosts = List.transform((names, context) =>
  names.map((name) => {
    const url = URL.parse(`http://${name}`) ?? URL.parse(`http://[${name}]`);
    if (url === null || url.pathname !== "/") context.addIssue(`${name} is no name of a host`);
    return url?.hostname ?? name;
  }),
);

/** The variables that say who may talk to this server: Prefect's names, of which each setting has two. */
const AccessVars = z.object({
  SLUICE_ALLOWED_HOSTS: Hosts.optional(),
  PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS: List.optional(),
  PREFECT_SERVER_API_CORS_ALLOWED_METHODS: List.optional(),
  PREFECT_SERVER_API_CORS_ALLOWED_HEADERS: List.optional(),
  PREFECT_SERVER_CORS_ALLOWED_ORIGINS: List.optional(),
  PREFECT_SERVER_CORS_ALLOWED_METHODS: List.optional(),
  PREFECT_SERVER_CORS_ALLOWED_HEADERS: List.optional(),
});

/** The names of these variables. */
export const ACCESS_VARIABLES: readonly string[] = Object.keys(AccessVars.shape);

type GivenAccessVars = { [name in keyof z.input<typeof AccessVars>]?: string };

/** Bindings of wrangler.toml and the settings that a deployment may add. */
export interface Env extends GivenServiceVars, GivenAccessVars {
  DB: D1Database;
  WORK_POOL: DurableObjectNamespace;
  EVENT_STREAM: DurableObjectNamespace;
  CONCURRENCY_LIMITS: DurableObjectNamespace;
  TASK_QUEUE: DurableObjectNamespace;
  EVENTS: Queue;
  ACTIONS: Queue;
  /** `local` under `npm start`: open on loopback, and answers what requests cost. */
  SLUICE_MODE?: string;
  /** The bearer key that clients send as `PREFECT_API_KEY`. */
  SLUICE_API_KEY?: string;
  /** `user:password`, as clients send `PREFECT_API_AUTH_STRING`. */
  SLUICE_AUTH_STRING?: string;
}

const Vars = z.object({
  ...ServiceVars.shape,
  ...AccessVars.shape,
  SLUICE_MODE: z.enum(["local", "deployed"]).default("deployed"),
  SLUICE_API_KEY: z.string().min(1).optional(),
  SLUICE_AUTH_STRING: z.string().includes(":").optional(),
});

/** What the clock starts, by Prefect's names: whether it does, and with which figures. */
export interface ServicesSettings {
  /**
   * How far ahead a schedule is made into runs: at least `min_runs` and `min_scheduled_seconds`, at most `max_runs` and
   * `max_scheduled_seconds`.
   */
  scheduler: {
    enabled: boolean;
    min_runs: number;
    max_runs: number;
    min_scheduled_seconds: number;
    max_scheduled_seconds: number;
  };
  /** `after_seconds`: a scheduled run that did not start so long after it was due is late. */
  late_runs: { enabled: boolean; after_seconds: number };
  pause_expirations: { enabled: boolean };
  /** `cancelling_timeout_seconds`: a run that is Cancelling for longer is Cancelled. */
  cancellation_cleanup: { enabled: boolean; cancelling_timeout_seconds: number };
  foreman: { enabled: boolean };
  /**
   * `missed_heartbeats`: a running run that has sent heartbeats and then misses so many is dead.
   * `fallback_heartbeat_interval_seconds`: how often they come, where a run has sent too few to tell.
   */
  zombies: { enabled: boolean; missed_heartbeats: number; fallback_heartbeat_interval_seconds: number };
  /**
   * `pending_seconds`: a run that is Pending for longer without a sign of life is scheduled anew; with infrastructure of its own
   * it is given `infrastructure_pending_seconds`. `most_times`: how often at most.
   */
  lazarus: {
    enabled: boolean;
    pending_seconds: number;
    infrastructure_pending_seconds: number;
    most_times: number;
  };
  /**
   * `types`: what is removed when it is old. Periods are in seconds: `retention_period` for runs since their end,
   * `event_retention_period` for events, `event_retention_overrides` for those of some names. A round begins every
   * `loop_seconds`, one for orphans every `orphan_cleanup_loop_seconds`; a transaction removes at most `batch_size` runs or
   * changes as many segments of events.
   */
  db_vacuum: {
    enabled: boolean;
    types: readonly VacuumType[];
    loop_seconds: number;
    orphan_cleanup_loop_seconds: number;
    retention_period: number;
    batch_size: number;
    event_retention_period: number;
    event_retention_overrides: Readonly<Record<string, number>>;
  };
}

/** The settings as the code uses them. */
export interface Settings {
  /** Whether this is `npm start` or a test, not a deployed Worker. */
  local: boolean;
  apiKey: string | null;
  authString: string | null;
  /** Host names that a local server answers to besides those of the loopback. */
  allowedHosts: readonly string[];
  /** Which pages of other origins may send what; `*` stands for all. */
  cors: { origins: readonly string[]; methods: readonly string[]; headers: readonly string[] };
  services: ServicesSettings;
}

const parsed = new WeakMap<Env, Settings>();

/** Reads the settings out of the environment, once; a malformed one throws, so that a typo never opens the door. */
export function parseSettings(env: Env): Settings {
  const known = parsed.get(env);
  if (known) return known;
  const vars = Vars.parse(withoutEmpty(env));
  const settings: Settings = {
    local: vars.SLUICE_MODE === "local",
    apiKey: vars.SLUICE_API_KEY ?? null,
    authString: vars.SLUICE_AUTH_STRING ?? null,
    allowedHosts: vars.SLUICE_ALLOWED_HOSTS ?? [],
    cors: corsOf(vars),
    services: servicesOf(vars),
  };
  parsed.set(env, settings);
  return settings;
}

/** Prefect: all may do all, unless it is said otherwise. A local server needs no key, so there the origins have to be listed. */
function corsOf(vars: z.output<typeof Vars>): Settings["cors"] {
  const {
    PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS: origins = vars.PREFECT_SERVER_CORS_ALLOWED_ORIGINS,
    PREFECT_SERVER_API_CORS_ALLOWED_METHODS: methods = vars.PREFECT_SERVER_CORS_ALLOWED_METHODS,
    PREFECT_SERVER_API_CORS_ALLOWED_HEADERS: headers = vars.PREFECT_SERVER_CORS_ALLOWED_HEADERS,
  } = vars;
  return {
    origins: origins ?? (vars.SLUICE_MODE === "local" ? [] : ["*"]),
    methods: methods ?? ["*"],
    headers: headers ?? ["*"],
  };
}

/** A variable that is set to nothing is one that is not set. */
function withoutEmpty(env: Env): Partial<Env> {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
}

function servicesOf(vars: z.output<typeof ServiceVars>): ServicesSettings {
  return {
    scheduler: {
      enabled: vars.PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED,
      min_runs: vars.PREFECT_SERVER_SERVICES_SCHEDULER_MIN_RUNS,
      max_runs: vars.PREFECT_SERVER_SERVICES_SCHEDULER_MAX_RUNS,
      min_scheduled_seconds: vars.PREFECT_SERVER_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME,
      max_scheduled_seconds: vars.PREFECT_SERVER_SERVICES_SCHEDULER_MAX_SCHEDULED_TIME,
    },
    late_runs: {
      enabled: vars.PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED,
      after_seconds: vars.PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS,
    },
    pause_expirations: { enabled: vars.PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED },
    cancellation_cleanup: {
      enabled: vars.PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED,
      cancelling_timeout_seconds: vars.PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS,
    },
    foreman: { enabled: vars.PREFECT_SERVER_SERVICES_FOREMAN_ENABLED },
    zombies: {
      enabled: vars.PREFECT_SERVER_SERVICES_ZOMBIES_ENABLED,
      missed_heartbeats: vars.PREFECT_SERVER_SERVICES_ZOMBIES_MISSED_HEARTBEATS,
      fallback_heartbeat_interval_seconds: vars.PREFECT_SERVER_SERVICES_ZOMBIES_FALLBACK_HEARTBEAT_INTERVAL_SECONDS,
    },
    lazarus: {
      enabled: vars.PREFECT_SERVER_SERVICES_LAZARUS_ENABLED,
      pending_seconds: vars.PREFECT_SERVER_SERVICES_LAZARUS_PENDING_SECONDS,
      infrastructure_pending_seconds: vars.PREFECT_SERVER_SERVICES_LAZARUS_INFRASTRUCTURE_PENDING_SECONDS,
      most_times: vars.PREFECT_SERVER_SERVICES_LAZARUS_MOST_TIMES,
    },
    db_vacuum: {
      enabled: vars.PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED.length > 0,
      types: vars.PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED,
      loop_seconds: vars.PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS,
      orphan_cleanup_loop_seconds: vars.PREFECT_SERVER_SERVICES_DB_VACUUM_ORPHAN_CLEANUP_LOOP_SECONDS,
      retention_period: vars.PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD,
      batch_size: vars.PREFECT_SERVER_SERVICES_DB_VACUUM_BATCH_SIZE,
      event_retention_period: vars.PREFECT_SERVER_EVENTS_RETENTION_PERIOD,
      event_retention_overrides: vars.PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES,
    },
  };
}

/** The services' settings where no variable says anything. */
export const DEFAULT_SERVICES: ServicesSettings = servicesOf(ServiceVars.parse({}));

/** The workspace of `/api/…`, the shape of the open-source server. */
export const DEFAULT_WORKSPACE = "00000000-0000-4000-8000-000000000001";
