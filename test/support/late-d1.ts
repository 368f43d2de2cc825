/** A D1 that answers a batch of writes with "connection lost" and runs the batch later. */
import { env } from "cloudflare:test";

const LOST = "D1_ERROR: Network connection lost.";

export interface LateD1Options {
  /** How many batches of writes fail, one after the other. */
  failures?: number;
  /**
   * The late batch runs before this call after the failure: 0 is the next call. If there are fewer calls, `settle` runs
   * the batch.
   */
  landsBefore: number;
  /** Whether a failed batch runs at all. */
  lands?: boolean;
  /** Whether all calls after the first failure fail too. */
  staysDown?: boolean;
}

export class LateD1 {
  private readonly texts = new WeakMap<D1PreparedStatement, string>();
  private readonly options: Required<LateD1Options>;
  private readonly waiting: { calls: number; land: () => Promise<unknown> }[] = [];
  private failures = 0;

  constructor(options: LateD1Options) {
    this.options = { failures: 1, lands: true, staysDown: false, ...options };
  }

  /** This D1, in the form that `Database` takes. */
  get binding(): D1Database {
    return this as unknown as D1Database;
  }

  prepare(sql: string) {
    return {
      bind: (...values: unknown[]) => {
        const statement = env.DB.prepare(sql).bind(...values);
        this.texts.set(statement, sql);
        const all = statement.all.bind(statement);
        return Object.assign(statement, { all: () => this.around(all) });
      },
    };
  }

  batch(statements: D1PreparedStatement[]): Promise<unknown> {
    const writes = statements.some((one) => /^\s*(insert|update|delete)/i.test(this.texts.get(one) ?? ""));
    return this.around(() => env.DB.batch(statements), writes);
  }

  /** Runs all waiting batches. */
  async settle(): Promise<void> {
    for (const { land } of this.waiting.splice(0)) await land();
  }

  private async around(call: () => Promise<unknown>, writes = false): Promise<unknown> {
    const due = this.waiting.filter((one) => one.calls++ >= this.options.landsBefore);
    for (const one of due) {
      this.waiting.splice(this.waiting.indexOf(one), 1);
      await one.land();
    }
    if (writes && this.failures < this.options.failures) {
      this.failures++;
      // A late batch may fail, because its rows may have changed. No caller waits for this error.
      if (this.options.lands) this.waiting.push({ calls: 0, land: () => call().catch(() => undefined) });
      throw new Error(LOST);
    }
    if (this.failures > 0 && this.options.staysDown) throw new Error(LOST);
    return call();
  }
}
