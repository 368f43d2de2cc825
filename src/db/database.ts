/** Runs all statements in D1, counts their cost, and retries reads that failed for a passing reason. */
import { drizzle, type DrizzleD1Database } from "drizzle-orm/d1";
import { type SQL, SQL as SqlClass } from "drizzle-orm";
import { print, type Printed } from "#db/print";
import { idOfBytes } from "#db/short/ids";
import { type Cost, spend } from "#lib/cost";
import { parseJson, STORED_JSON_DEPTH } from "#lib/json";
import { log } from "#lib/log";

/** A statement that can be printed: a drizzle builder or an `sql` template. */
export type Statement = SQL | { toSQL(): { sql: string; params: unknown[] } };

/** A drizzle builder with the type of its rows. The keys of a row are the names of its columns. */
type Typed<Row> = { readonly _: { readonly result: Row[] }; toSQL(): { sql: string; params: unknown[] } };

/** The result of a writing statement. */
export interface Written {
  rows: Record<string, unknown>[];
  /** Rows changed, as SQLite counts them. */
  changes: number;
}

const READ_TRIES = 3;
/** Cloudflare's list of passing failures: docs/d1/observability/debug-d1. */
const PASSING = /Network connection lost|storage caused object to be reset|reset because its code was updated/;

/** Whether an error of D1 means that the same statement may work the next time. */
export function isPassing(error: unknown): boolean {
  return error instanceof Error && PASSING.test(error.message);
}

/** A connection to one D1 database that counts the cost of one request. */
export class Database {
  /** drizzle's builders. `all`, `first` or `batch` runs the built statements. A builder itself is never awaited. */
  readonly build: DrizzleD1Database;
  readonly cost: Cost;
  /** The size of the database in bytes at the last statement; null before the first. */
  size: number | null = null;
  /** Whether writes are refused. */
  readonly isForReads: boolean = false;
  /** For other views of the same database (`db/views.ts`). */
  readonly connection: D1Database;

  constructor(d1: D1Database, cost: Cost) {
    this.connection = d1;
    this.cost = cost;
    this.build = drizzle(d1);
  }

  /** The rows of a built select. */
  async all<Row>(statement: Typed<Row>): Promise<Row[]> {
    return (await this.read(statement)) as Row[];
  }

  /** The first row of a built select. */
  async first<Row>(statement: Typed<Row>): Promise<Row | undefined> {
    return (await this.all(statement))[0];
  }

  /** The rows of an `sql` template. The caller gives the type of the rows. */
  async rows<Row>(statement: SQL): Promise<Row[]> {
    return (await this.read(statement)) as Row[];
  }

  /** Runs one writing statement. See `batch`. */
  async run(statement: Statement): Promise<Written> {
    const [written] = await this.batch([statement]);
    return written ?? { rows: [], changes: 0 };
  }

  /** Runs one writing statement that returns rows, and returns the first row. The statement is not retried. */
  async returned<Row>(statement: Typed<Row>): Promise<Row | undefined> {
    const { rows } = await this.run(statement);
    return rows[0] as Row | undefined;
  }

  /** Runs statements in one transaction and one round trip. They are not retried, because only the caller knows whether a retry is safe. */
  async batch(statements: readonly Statement[]): Promise<Written[]> {
    if (statements.length === 0) return [];
    const results = await this.connection.batch<Record<string, unknown>>(
      statements.map((statement) => this.prepare(statement)),
    );
    this.count(results);
    return results.map(({ results: rows, meta }) => ({ rows: withIds(rows), changes: meta.changes }));
  }

  /** Runs statements in one transaction, and retries them when `all` would. A retry must change nothing. */
  async repeatable(statements: readonly Statement[]): Promise<Written[]> {
    return this.repeat(() => this.batch(statements));
  }

  /** Runs several selects in one round trip, and retries them when `all` would. */
  async readAll(statements: readonly Statement[]): Promise<Record<string, unknown>[][]> {
    return this.repeat(async () => (await this.batch(statements)).map((result) => result.rows));
  }

  /** The rows of an `sql` template as D1 has them: a BLOB is a list of its bytes. */
  async stored(statement: Statement): Promise<Record<string, unknown>[]> {
    return this.repeat(async () => {
      const result = await this.prepare(statement).all();
      this.count([result]);
      return result.results;
    });
  }

  protected async read(statement: Statement): Promise<unknown[]> {
    return withIds(await this.stored(statement));
  }

  private async repeat<T>(attempt: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await attempt();
      } catch (error) {
        if (tries >= READ_TRIES || !isPassing(error)) throw error;
      }
    }
  }

  /** The text and the values of a statement. */
  protected print(statement: Statement): Printed {
    return statement instanceof SqlClass ? print(statement) : statement.toSQL();
  }

  private prepare(statement: Statement): D1PreparedStatement {
    const { sql, params } = this.print(statement);
    return this.connection.prepare(sql).bind(...params);
  }

  private count(results: readonly D1Result[]): void {
    this.size = results.at(-1)?.meta.size_after ?? this.size;
    spend(this.cost, {
      d1_round_trips: 1,
      d1_queries: results.length,
      d1_rows_read: results.reduce((sum, result) => sum + (result.meta.rows_read ?? 0), 0),
      d1_rows_written: results.reduce((sum, result) => sum + (result.meta.rows_written ?? 0), 0),
    });
  }
}

/** Replaces the short ids in rows by their texts. Other values are no arrays: packed columns are read as digits. */
function withIds(rows: Record<string, unknown>[]): Record<string, unknown>[] {
  for (const row of rows)
    for (const name in row) if (typeof row[name] === "object" && row[name] !== null) row[name] = idOfBytes(row[name]);
  return rows;
}

/**
 * Reads a JSON column exactly. Only our code writes the columns, so the shape of the value is trusted. A text that cannot be read (a row
 * may be older than the bounds) is logged, and an empty value of the same kind is returned, so that the text does not fail other rows.
 */
export function readJson<T>(text: string): T {
  // Most columns of most rows have these values.
  if (text === "{}" || text === "[]") return emptyLike(text) as T;
  try {
    return parseJson(text, STORED_JSON_DEPTH) as T;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log({}, "error", "a JSON column cannot be read", { reason });
    return emptyLike(text) as T;
  }
}

function emptyLike(text: string): unknown {
  const [first] = text.trimStart();
  if (first === "{") return {};
  return first === "[" ? [] : null;
}

/** Reads a JSON column that may be null. */
export function readOptionalJson<T>(text: string | null): T | null {
  return text === null ? null : readJson<T>(text);
}

/** How many times the batch is tried. */
const WRITE_TRIES = 3;

/**
 * Writes the batch. After a repeat, `present` has the rows of the select: the results of a repeat do not show what an
 * earlier try wrote. If the first try succeeded, `present` is undefined.
 */
export async function writeWithRetry(
  db: Database,
  batch: readonly SQL[],
  select: SQL,
): Promise<{ written: Written[]; present?: Written["rows"] }> {
  for (let tries = 1; ; tries++) {
    try {
      if (tries === 1) return { written: await db.batch(batch) };
      const written = await db.batch([...batch, select]);
      return { written, present: written.at(-1)?.rows ?? [] };
    } catch (error) {
      if (tries >= WRITE_TRIES || !isPassing(error)) throw error;
    }
  }
}
