/** A D1 that answers a batch of writes with "connection lost", and carries the batch out later. */
import { env } from "cloudflare:test";

const LOST = "D1_ERROR: Network connection lost.";

export interface LateD1Options {
  /** How many batches of writes fail, one after the other. */
  failures?: number;
  /** The call after the failure before which the batch is carried out: 0 is the next call. Beyond the last call, `settle` carries it out. */
  landsBefore: number;
  /** Whether a failed batch is carried out at all. */
  lands?: boolean;
  /** Whether all calls after the first failure fail as well. */
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

  /** This D1, as a `Database` takes it. */
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

  /** Carries out all waiting batches. */
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
      // A late batch may fail, for its rows may have changed. The error has no receiver.
      if (this.options.lands) this.waiting.push({ calls: 0, land: () => call().catch(() => undefined) });
      throw new Error(LOST);
    }
    if (this.failures > 0 && this.options.staysDown) throw new Error(LOST);
    return call();
  }
}
