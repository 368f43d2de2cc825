/** The tools of a request, a cron run or a queue batch: database, settings, clock, random source and client. */
import { Archive } from "#archive/store";
import { Database } from "#db/database";
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
  readonly db: Database;
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

/** The tools of a sweep. They have no workspace: each row that a sweep finds has its own workspace. */
export type SweepTools = Omit<Tools, "workspaceId">;

/** The tools of one workspace. */
export const inWorkspace = (tools: SweepTools, workspaceId: string): Tools => ({ ...tools, workspaceId });

const clock = systemClock();
const ids = systemIds();
const NO_CLIENT: Client = { apiVersion: null, version: null, createdBy: null };

/** Makes the tools of a piece of work. `waitUntil` is from the Worker's context. `asked` has client and request. */
export function makeTools(
  env: Env,
  workspaceId: string,
  waitUntil: (work: Promise<unknown>) => void,
  asked: Partial<Pick<Tools, "client" | "requestId">> = {},
): Tools {
  const { client = NO_CLIENT, requestId = null } = asked;
  const cost = noCost();
  return {
    env,
    settings: parseSettings(env),
    workspaceId,
    db: new Database(env.DB, cost),
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
