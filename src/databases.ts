/** Which database of D1 has the rows of which workspace. Nothing else of the Worker takes a database from the environment. */
import { databaseNamed, type Env, parseSettings, type Settings } from "#env";
import { ApiError } from "#lib/api-error";

/** The binding of the database that has each workspace that `SLUICE_DATABASES` does not name. */
const DEFAULT_DATABASE = "DB";

/** How long a client waits before it asks again for a workspace that is moved. */
const RETRY_AFTER_SECONDS = 60;

/** Nobody may read or write the workspace now, because its rows are moved to another database. A client asks again. */
export class WorkspaceMoves extends ApiError {
  constructor() {
    const message = "The workspace is being moved to another database.";
    super(503, { exception_message: message }, { "Retry-After": String(RETRY_AFTER_SECONDS) });
  }
}

/** The binding's name of the database that has a workspace's rows. Throws `WorkspaceMoves`. */
export function databaseNameOf({ databases }: Pick<Settings, "databases">, workspaceId: string): string {
  const name = Object.hasOwn(databases, workspaceId) ? databases[workspaceId] : undefined;
  if (typeof name === "object") throw new WorkspaceMoves();
  return name ?? DEFAULT_DATABASE;
}

/** The database that has a workspace's rows, and the name of its binding. Throws `WorkspaceMoves`. */
export function databaseFor(env: Env, workspaceId: string): { name: string; d1: D1Database } {
  const name = databaseNameOf(parseSettings(env), workspaceId);
  return { name, d1: bound(env, name) };
}

/** All databases that may have rows, each once. None while a workspace is moved, because then no sweep may run. */
export function databasesInUse(env: Env): { name: string; d1: D1Database }[] {
  if (movesOf(env).length > 0) return [];
  const { databases } = parseSettings(env);
  const names = new Set([DEFAULT_DATABASE, ...Object.keys(databases).map((id) => databaseNameOf({ databases }, id))]);
  return [...names].map((name) => ({ name, d1: bound(env, name) }));
}

/** A move of a workspace from one database to another. */
export interface Move {
  workspaceId: string;
  from: D1Database;
  to: D1Database;
}

/** The moves that the settings ask for. */
export function movesOf(env: Env): Move[] {
  return Object.entries(parseSettings(env).databases).flatMap(([workspaceId, chosen]) =>
    typeof chosen === "string" ? [] : { workspaceId, from: bound(env, chosen.from), to: bound(env, chosen.to) },
  );
}

function bound(env: Env, name: string): D1Database {
  const database = databaseNamed(env, name);
  if (!database) throw new Error(`the Worker has no binding ${name} of D1`);
  return database;
}
