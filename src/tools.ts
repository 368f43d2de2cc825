/** The tools of a request, a cron run or a queue batch: database, settings, clock, random source and client. */
import { Archive } from "#archive/store";
import { Database } from "#db/database";
import { databaseFor, databasesInUse } from "#databases";
import { type Env, parseSettings, type Settings } from "#env";
import { type Clock, type Ids, systemClock, systemIds } from "#lib/clock";
import { type Cost, noCost } from "#lib/cost";
import { log } from "#lib/log";
import type { Version } from "#lib/versions";

/** The client of a request, as rules see it. */
export interface Client {
  /** `X-PREFECT-API-VERSION`, or null. */
  apiVersion: Version | null;
  /** The stock client's version from its User-Agent (`3.8.8`), or null for any other program. */
  version: string | null;
  /** Prefect: the automation that sent the request (headers `prefect-automation-id`, `prefect-automation-name`), or null. */
  createdBy: { id: string; type: string; display_value: string } | null;
}

/** The tools of one piece of work, bound to one workspace. */
export interface Tools {
  readonly env: Env;
  readonly settings: Settings;
  readonly workspaceId: string;
  /** The database that has the workspace's rows. */
  readonly db: Database;
  /** The name of the binding of `db`. */
  readonly dbName: string;
  /** Old data in R2; null if the account has no R2. */
  readonly archive: Archive | null;
  readonly cost: Cost;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly client: Client;
  /** The id of the request that caused the work; null if a cron, a queue or an alarm caused it. */
  readonly requestId: string | null;
  readonly random: () => number;
  /** Continues work after the response. A failure is logged, and a sweep must be able to do the work later. */
  readonly background: (work: Promise<unknown>) => void;
}

/** The tools of a sweep in one database. They have no workspace: each row that a sweep finds has its own workspace. */
export type SweepTools = Omit<Tools, "workspaceId">;

/** The tools of one workspace, whose rows are in the sweep's database. */
export const inWorkspace = (tools: SweepTools, workspaceId: string): Tools => ({ ...tools, workspaceId });

const clock = systemClock();
const ids = systemIds();
const NO_CLIENT: Client = { apiVersion: null, version: null, createdBy: null };

type WaitUntil = (work: Promise<unknown>) => void;
type Asked = Partial<Pick<Tools, "client" | "requestId">>;

/**
 * Makes the tools of a piece of work. `waitUntil` is from the Worker's context. `asked` has client and request. Throws
 * `WorkspaceMoves`.
 */
export function makeTools(env: Env, workspaceId: string, waitUntil: WaitUntil, asked: Asked = {}): Tools {
  return toolsOn(env, databaseFor(env, workspaceId), workspaceId, waitUntil, asked);
}

/** Makes the tools of the sweeps: one set for each database that is in use. */
export function makeSweepTools(env: Env, waitUntil: WaitUntil): SweepTools[] {
  return databasesInUse(env).map((database) => toolsOn(env, database, "", waitUntil, {}));
}

function toolsOn(
  env: Env,
  { name, d1 }: ReturnType<typeof databaseFor>,
  workspaceId: string,
  waitUntil: WaitUntil,
  { client = NO_CLIENT, requestId = null }: Asked,
): Tools {
  const cost = noCost();
  return {
    env,
    settings: parseSettings(env),
    workspaceId,
    db: new Database(d1, cost),
    dbName: name,
    archive: env.ARCHIVE ? new Archive(env.ARCHIVE, cost) : null,
    cost,
    clock,
    ids,
    client,
    requestId,
    random: Math.random,
    background: (work) =>
      waitUntil(
        work.catch((error: unknown) =>
          log({ workspaceId, requestId }, "error", "work after the reply failed", { error }),
        ),
      ),
  };
}
