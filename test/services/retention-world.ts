/** Shared by the tests of retention: a fixed clock, a database that fails, and rounds that run to their end. */
import { env } from "cloudflare:test";
import { sql } from "drizzle-orm";
import { Database } from "#db/database";
import { parseSettings } from "#env";
import { noCost } from "#lib/cost";
import { makeTools, type Tools } from "#tools";
import { WORKSPACE } from "../support/world";

export const HOUR = 3_600_000_000;
export const DAY = 24 * HOUR;
/** A time in the middle of an hour. */
export const NOW = 1_800_000_000_000_000 + HOUR / 2;

type Vars = Parameters<typeof parseSettings>[0];

/** Tools with a fixed clock and with other settings. */
export function toolsAt(now: number, vars: Partial<Vars> = {}, d1: D1Database = env.DB): Tools {
  const settings = parseSettings({ ...env, ...vars });
  return {
    ...makeTools(env, WORKSPACE, () => {}),
    settings,
    clock: () => now,
    db: new Database(d1, noCost()),
  };
}

/** The outcome of each call in turn: it succeeds, or fails before or after the call was carried out. */
export type Fate = "made" | "lost" | "made, but the answer is lost";

/** A database that gives its first calls these outcomes. */
export function failingD1(fates: readonly Fate[]): D1Database {
  const rest = [...fates];
  const through = async <T>(call: () => Promise<T>): Promise<T> => {
    const fate = rest.shift() ?? "made";
    if (fate === "lost") throw new Error("the database is away");
    const result = await call();
    if (fate !== "made") throw new Error("the answer is lost");
    return result;
  };
  const statements = new WeakMap<D1PreparedStatement, D1PreparedStatement>();
  const watched: Pick<D1Database, "prepare" | "batch"> = {
    prepare: (query) =>
      new Proxy(env.DB.prepare(query), {
        get: (statement, name) => {
          if (name !== "bind") throw new Error(`unexpected ${String(name)}`);
          return (...values: unknown[]) => {
            const bound = statement.bind(...values);
            const shown = new Proxy(bound, {
              get: (_, called) => {
                if (called !== "all") throw new Error(`unexpected ${String(called)}`);
                return () => through(() => bound.all());
              },
            });
            statements.set(shown, bound);
            return shown;
          };
        },
      }),
    batch: <T>(shown: D1PreparedStatement[]) =>
      through(() => env.DB.batch<T>(shown.map((one) => statements.get(one) ?? one))),
  };
  return watched as D1Database;
}

/** Runs turns until all rounds have ended. Turns may fail. */
export async function untilDone(turn: () => Promise<void>): Promise<void> {
  for (let turns = 0; turns < 60; turns++) {
    try {
      await turn();
    } catch (error) {
      if (!/the database is away|the answer is lost/.test(String(error))) throw error;
      continue;
    }
    if (turns > 0 && (await openRounds()) === 0) return;
  }
  throw new Error("the rounds do not come to an end");
}

async function openRounds(): Promise<number> {
  return Number(
    await env.DB.prepare(
      "select count(*) as n from sweep_mark where name like 'retention:%' and json_valid(mark) and mark ->> 'cursor' is not null",
    ).first("n"),
  );
}

/** Clears the tables, including the marks of rounds. */
export async function empty(...tables: string[]): Promise<void> {
  await env.DB.batch([
    ...tables.map((table) => env.DB.prepare(`delete from ${table}`)),
    env.DB.prepare("delete from sweep_mark where name like 'retention:%'"),
  ]);
}

/** All rows of a table, ordered by their text. */
export async function rowsOf(table: string): Promise<Record<string, unknown>[]> {
  const rows = await new Database(env.DB, noCost()).rows<Record<string, unknown>>(sql.raw(`select * from ${table}`));
  return rows.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}
