/** A D1 that answers at once and fails on request: the SQLite of a Durable Object behind D1's interface. */
import { env } from "cloudflare:test";

/** The fault of a call: none, or a failure before or after the call was carried out. */
export type Fault = "none" | "before" | "after";

class SimulatedStatement implements D1PreparedStatement {
  readonly owner: SimulatedD1;
  readonly sql: string;
  readonly values: readonly unknown[];

  constructor(owner: SimulatedD1, sql: string, values: readonly unknown[]) {
    this.owner = owner;
    this.sql = sql;
    this.values = values;
  }

  bind(...values: unknown[]): SimulatedStatement {
    return new SimulatedStatement(this.owner, this.sql, values);
  }

  async all<T>(): Promise<D1Result<T>> {
    const [result] = await this.owner.batch<T>([this]);
    if (!result) throw new Error("a statement gave no result");
    return result;
  }

  run<T>(): Promise<D1Result<T>> {
    return this.all<T>();
  }

  first(): never {
    throw new Error("not simulated");
  }

  raw(): never {
    throw new Error("not simulated");
  }
}

/** The tables of the migrations in the storage of an object. `nextFault` is called for each call. */
export class SimulatedD1 implements D1Database {
  private readonly storage: DurableObjectStorage;
  private readonly nextFault: () => Fault;
  faults = 0;
  calls = 0;

  constructor(storage: DurableObjectStorage, nextFault: () => Fault) {
    this.storage = storage;
    this.nextFault = nextFault;
    for (const { queries } of env.TEST_MIGRATIONS) for (const query of queries) storage.sql.exec(query);
  }

  prepare(sql: string): SimulatedStatement {
    return new SimulatedStatement(this, sql, []);
  }

  async batch<T>(statements: D1PreparedStatement[]): Promise<D1Result<T>[]> {
    this.calls++;
    const fault = this.nextFault();
    // The answer comes later, so that calls of other work can come between.
    await Promise.resolve();
    if (fault === "before") this.fail();
    const results = this.storage.transactionSync(() => statements.map((statement) => this.execute<T>(statement)));
    await Promise.resolve();
    if (fault === "after") this.fail();
    return results;
  }

  /** The rows of a query that is not counted and does not fail. */
  rows<T extends Record<string, SqlStorageValue>>(query: string): T[] {
    return this.storage.sql.exec<T>(query).toArray();
  }

  withSession(): never {
    throw new Error("not simulated");
  }

  exec(): never {
    throw new Error("not simulated");
  }

  dump(): never {
    throw new Error("not simulated");
  }

  private execute<T>(statement: D1PreparedStatement): D1Result<T> {
    if (!(statement instanceof SimulatedStatement)) throw new Error("a statement of another database");
    const cursor = this.storage.sql.exec(statement.sql, ...statement.values);
    const results = cursor.toArray() as T[]; // the caller of D1 says what its rows are
    const [{ changes } = { changes: 0 }] = this.rows<{ changes: number }>("select changes() as changes");
    return {
      success: true,
      results,
      meta: {
        duration: 0,
        size_after: 0,
        rows_read: cursor.rowsRead,
        rows_written: cursor.rowsWritten,
        last_row_id: 0,
        changed_db: changes > 0,
        changes,
      },
    };
  }

  private fail(): never {
    this.faults++;
    throw new Error("D1_ERROR: Network connection lost.");
  }
}
