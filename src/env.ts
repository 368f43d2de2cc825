/** The Worker's bindings and settings, parsed once. Each setting is a line of `Variables`. */
import * as z from "zod";
import { FIRST_WORKSPACE } from "#db/short/ids";
import { canonicalUuid, isUuid } from "#wire/ids";

const HOUR = 3_600;
const DAY = 24 * HOUR;

const Switch = z.union([z.boolean(), z.stringbool()]);
const Whole = z.coerce.number().int();
const Count = Whole.positive();
/** Periods are in seconds. */
const Seconds = z.coerce.number().nonnegative();
const SomeTime = Seconds.positive();

const VACUUM_TYPES = ["events", "flow_runs", "orphans"] as const;
const VacuumType = z.enum(VACUUM_TYPES);
export type VacuumType = z.output<typeof VacuumType>;

/** Prefect: `true` means all types, `false` means only events, and `flow_runs` includes `orphans`. */
const VacuumTypes = z
  .union([z.boolean(), z.number(), z.string()])
  .transform((given) => {
    const word = String(given).trim().toLowerCase();
    if (word === "true" || word === "1") return [...VACUUM_TYPES];
    if (word === "false" || word === "0") return ["events"];
    const types = itemsOf(String(given));
    return types.includes("flow_runs") ? [...types, "orphans"] : types;
  })
  .pipe(z.array(VacuumType))
  .transform((types): readonly VacuumType[] => VACUUM_TYPES.filter((type) => types.includes(type)));

const Json = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue("not JSON");
    return z.NEVER;
  }
});

/** Periods in seconds by the events' names, as JSON. */
const Overrides = Json.pipe(z.record(z.string(), SomeTime));

const WorkspaceId = z.string().refine((text) => isUuid(text) && canonicalUuid(text) === text, "not a workspace's id");

const Binding = z.string().min(1);

/** Names of bindings by the ids of workspaces, as JSON. Two names while a workspace is moved from one database to another. */
const Databases = Json.pipe(
  z
    .record(WorkspaceId, z.union([Binding, z.strictObject({ from: Binding, to: Binding })]))
    .refine(
      (databases) => Object.values(databases).every((one) => typeof one === "string" || one.from !== one.to),
      "a workspace is moved to the database that has it",
    ),
);

/** Keys of 32 bytes in base64, with commas between them. */
const SecretsKeys = z
  .string()
  .transform(itemsOf)
  .pipe(z.array(z.string().regex(/^[A-Za-z0-9+/]{43}=$/, "a key is 32 bytes in base64")));

/** A list with commas between its items. */
const List = z.string().transform(itemsOf);

function itemsOf(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter(Boolean);
}

/** Host names as `URL.hostname` prints them; a port has no effect. */
const Hosts = List.transform((names, context) =>
  names.map((name) => {
    const url = URL.parse(`http://${name}`) ?? URL.parse(`http://[${name}]`);
    if (url === null || url.pathname !== "/") context.addIssue(`${name} is no name of a host`);
    return url?.hostname ?? name;
  }),
);

/** The properties of a setting besides its schema. */
interface About {
  /** The names of the setting's variables. If several are set, the first one counts. */
  variables: readonly string[];
  /** The setting's value if no variable is set. */
  fallback: unknown;
}

const abouts = z.registry<About>();

/** Makes a setting. Prefect: the variable is named after the setting's place among the server's settings, unless `variables` are given. */
function setting<Kind extends z.ZodType>(
  kind: Kind,
  fallback: z.core.util.NoUndefined<z.output<Kind>>,
  ...variables: string[]
) {
  const schema = z._default(kind, fallback);
  abouts.add(schema, { variables, fallback });
  return schema;
}

/** Makes the setting of a CORS list. Prefect has two names for each list. */
const corsList = (name: string) =>
  setting(List.nullable(), null, `PREFECT_SERVER_API_CORS_${name}`, `PREFECT_SERVER_CORS_${name}`);

/** Prefect has two names for each setting of CSRF tokens. */
const csrfNames = (name: string) => [`PREFECT_SERVER_API_CSRF_${name}`, `PREFECT_SERVER_CSRF_${name}`];

/** All settings, each in its place. docs/settings.md describes each setting. */
const Variables = z.object({
  mode: setting(z.enum(["local", "deployed"]), "deployed", "SLUICE_MODE"),
  apiKey: setting(z.string().min(1).nullable(), null, "SLUICE_API_KEY"),
  authString: setting(z.string().includes(":").nullable(), null, "SLUICE_AUTH_STRING"),
  secretsKeys: setting(SecretsKeys, [], "SLUICE_SECRETS_KEY"),
  allowedHosts: setting(Hosts, [], "SLUICE_ALLOWED_HOSTS"),
  cors: z.object({
    origins: corsList("ALLOWED_ORIGINS"),
    methods: corsList("ALLOWED_METHODS"),
    headers: corsList("ALLOWED_HEADERS"),
  }),
  csrf: z.object({
    enabled: setting(Switch, false, ...csrfNames("PROTECTION_ENABLED")),
    token_seconds: setting(SomeTime, HOUR, ...csrfNames("TOKEN_EXPIRATION")),
  }),
  services: z.object({
    scheduler: z.object({
      enabled: setting(Switch, true),
      min_runs: setting(Count, 3),
      max_runs: setting(Count.max(1000), 100),
      min_scheduled_seconds: setting(Seconds, 3600, "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME"),
      max_scheduled_seconds: setting(SomeTime, 100 * DAY, "PREFECT_SERVER_SERVICES_SCHEDULER_MAX_SCHEDULED_TIME"),
    }),
    late_runs: z.object({ enabled: setting(Switch, true), after_seconds: setting(Seconds, 15) }),
    pause_expirations: z.object({ enabled: setting(Switch, true) }),
    cancellation_cleanup: z.object({
      enabled: setting(Switch, true),
      cancelling_timeout_seconds: setting(SomeTime, 300),
    }),
    foreman: z.object({ enabled: setting(Switch, true) }),
    zombies: z.object({
      enabled: setting(Switch, true),
      missed_heartbeats: setting(Whole.min(2), 4),
      fallback_heartbeat_interval_seconds: setting(Seconds.min(30), 180),
    }),
    lazarus: z.object({
      enabled: setting(Switch, true),
      pending_seconds: setting(SomeTime, 600),
      infrastructure_pending_seconds: setting(SomeTime, 3600),
      most_times: setting(Whole.nonnegative(), 10),
    }),
    db_vacuum: z.object({
      types: setting(VacuumTypes, ["events"], "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED"),
      loop_seconds: setting(SomeTime, 3600),
      orphan_cleanup_loop_seconds: setting(SomeTime, DAY),
      retention_period: setting(Seconds.gt(3600), 90 * DAY),
      batch_size: setting(Count, 200),
      event_retention_period: setting(SomeTime, 7 * DAY, "PREFECT_SERVER_EVENTS_RETENTION_PERIOD"),
      event_retention_overrides: setting(Overrides, { "prefect.flow-run.heartbeat": 7 * DAY }),
    }),
  }),
  databases: setting(Databases, {}, "SLUICE_DATABASES"),
  archive: z.object({
    enabled: setting(Switch, true, "SLUICE_ARCHIVE_ENABLED"),
    // Sweeps and listeners read the events of the last two hours.
    events_after_seconds: setting(Seconds.min(3 * HOUR), DAY, "SLUICE_ARCHIVE_EVENTS_AFTER_SECONDS"),
    logs_after_seconds: setting(Seconds.min(HOUR), 7 * DAY, "SLUICE_ARCHIVE_LOGS_AFTER_SECONDS"),
    runs: setting(Switch, true, "SLUICE_ARCHIVE_RUNS"),
    retention_period: setting(Seconds, 400 * DAY, "SLUICE_ARCHIVE_RETENTION_PERIOD"),
  }),
});

/** A setting in the form of docs/settings.md. */
export interface Setting extends About {
  /** The setting's place in the schema. */
  place: readonly string[];
}

/** All settings. */
export const SETTINGS: readonly Setting[] = settingsIn(Variables, []);

function settingsIn(schema: z.core.$ZodType, place: readonly string[]): Setting[] {
  if (schema instanceof z.ZodObject)
    return Object.entries(schema.shape).flatMap(([name, inner]) => settingsIn(inner, [...place, name]));
  const about = abouts.get(schema);
  if (about === undefined) throw new Error(`${place.join(".")} is no setting`);
  const named = `PREFECT_SERVER_${place.join("_").toUpperCase()}`;
  return [{ ...about, place, variables: about.variables.length > 0 ? about.variables : [named] }];
}

/** Bindings and variables of wrangler.toml and the dashboard. */
export interface Env {
  DB: D1Database;
  /** The bucket of old data. An account without R2 has none. */
  ARCHIVE?: R2Bucket;
  WORK_POOL: DurableObjectNamespace;
  EVENT_STREAM: DurableObjectNamespace;
  CONCURRENCY_LIMITS: DurableObjectNamespace;
  TASK_QUEUE: DurableObjectNamespace;
  EVENTS: Queue;
  ACTIONS: Queue;
  [variable: `SLUICE_${string}`]: string | undefined;
  [variable: `PREFECT_${string}`]: string | number | boolean | undefined;
}

/** The settings as the code uses them. */
export type Settings = ReturnType<typeof settingsOf>;
/** The settings of the sweeps. */
export type ServicesSettings = Settings["services"];

const parsed = new WeakMap<Env, Settings>();

/** Reads the settings of an environment once. Throws for a malformed setting, so that a typo cannot leave the server without a key. */
export function parseSettings(env: Env): Settings {
  const known = parsed.get(env);
  if (known) return known;
  const settings = settingsOf(env);
  parsed.set(env, settings);
  return settings;
}

/** The settings, with the values that are derived from them. Throws a `ZodError` that names the variables. */
function settingsOf(env: Env) {
  // An empty variable counts as not set.
  const values = new Map<string, unknown>(Object.entries(env).filter(([, value]) => value !== ""));
  const { success, data, error } = Variables.safeParse(valuesAt([], Variables, values));
  if (!success) throw new z.ZodError(error.issues.map((issue) => ({ ...issue, path: named(issue.path, values) })));
  const { mode, cors, services, ...rest } = data;
  checkDatabases(env, rest.databases);
  const local = mode === "local";
  const secretsKeys = [...laterKeys(env), ...rest.secretsKeys];
  return {
    ...rest,
    /** The keys that encrypt the keys of workspaces. The first one encrypts, and all decrypt. */
    secretsKeys,
    /** Whether this is `npm start` or a test, not a deployed Worker. */
    local,
    /** Prefect: pages of all origins may send everything. A local server has no key, so its origins must be listed. */
    cors: {
      origins: cors.origins ?? (local ? [] : ["*"]),
      methods: cors.methods ?? ["*"],
      headers: cors.headers ?? ["*"],
    },
    services: { ...services, db_vacuum: { enabled: services.db_vacuum.types.length > 0, ...services.db_vacuum } },
  };
}

/**
 * The keys that replace `SLUICE_SECRETS_KEY`: `SLUICE_SECRETS_KEY_2`, `SLUICE_SECRETS_KEY_3` and so on, the highest number
 * first. Nobody can read a secret of a Worker, so a new key has a name of its own.
 */
function laterKeys(env: Env): string[] {
  const numbered = Object.entries(env).flatMap(([name, value]) => {
    const [, number] = /^SLUICE_SECRETS_KEY_(\d+)$/.exec(name) ?? [];
    return number !== undefined && typeof value === "string" && value !== ""
      ? [{ name, number: Number(number), value }]
      : [];
  });
  return numbered
    .toSorted((one, other) => other.number - one.number)
    .flatMap(({ name, value }) => {
      const { data, error } = SecretsKeys.safeParse(value);
      if (error) throw new z.ZodError(error.issues.map((issue) => ({ ...issue, path: [name] })));
      return data;
    });
}

/** The database of a binding; undefined if the Worker has no such binding. */
export function databaseNamed(env: Env, name: string): D1Database | undefined {
  const binding: unknown = Reflect.get(env, name);
  return isDatabase(binding) ? binding : undefined;
}

const isDatabase = (binding: unknown): binding is D1Database =>
  typeof binding === "object" && binding !== null && "prepare" in binding;

/** Throws if a database has no binding. */
function checkDatabases(env: Env, databases: z.output<typeof Databases>): void {
  const issues = Object.entries(databases).flatMap(([workspace, chosen]) => {
    const missing = [typeof chosen === "string" ? chosen : Object.values(chosen)]
      .flat()
      .filter((name) => !databaseNamed(env, name));
    return missing.map((name): z.core.$ZodIssue => {
      const message = `the Worker has no binding ${name} of D1`;
      return { code: "custom", path: ["SLUICE_DATABASES", workspace], message, input: name };
    });
  });
  if (issues.length > 0) throw new z.ZodError(issues);
}

type Values = ReadonlyMap<string, unknown>;
type Place = readonly PropertyKey[];

/** Replaces the setting's place at the start of a path by the variable that was read. */
function named(path: Place, values: Values): PropertyKey[] {
  const setting = SETTINGS.find(({ place }) => place.every((name, index) => path[index] === name));
  const variable = setting?.variables.find((name) => values.get(name) !== undefined);
  return [variable ?? "", ...path.slice(setting?.place.length)];
}

/** The variables' values in the places of their settings. */
function valuesAt(place: Place, schema: unknown, values: Values): unknown {
  if (!(schema instanceof z.ZodObject)) return values.get(String(named(place, values)[0]));
  const entries = Object.entries(schema.shape);
  return Object.fromEntries(entries.map(([name, inner]) => [name, valuesAt([...place, name], inner, values)]));
}

/** The workspace of `/api/…`, which are the paths of the open-source server. */
export const DEFAULT_WORKSPACE = FIRST_WORKSPACE;
