/** Databases that read in another way. They are for the reads of one request, and use its connection and its cost. */
import type { SQL } from "drizzle-orm";
import { Database, type Statement } from "#db/database";
import type { Printed } from "#db/print";

type Rows = Record<string, unknown>[];

/** A database whose reads run one more select in the same transaction and round trip, until it is taken away. */
export class AccompaniedDatabase extends Database {
  /** The rows of the select at the last read; none if nothing was read. */
  found: Rows = [];
  private readonly select: SQL;
  private isTaken = false;

  constructor(db: Database, select: SQL) {
    super(db.connection, db.cost);
    this.select = select;
  }

  /** Takes the select away, and gives its rows. */
  take(): Rows {
    this.isTaken = true;
    return this.found;
  }

  override async readAll(statements: readonly Statement[]): Promise<Rows[]> {
    if (this.isTaken) return super.readAll(statements);
    const results = await super.readAll([...statements, this.select]);
    this.found = results.at(-1) ?? [];
    return results.slice(0, -1);
  }

  protected override async read(statement: Statement): Promise<unknown[]> {
    if (this.isTaken) return super.read(statement);
    const [rows = []] = await this.readAll([statement]);
    return rows;
  }
}

/** A database that changes the text of each select. It refuses all other statements. */
export class ChangedDatabase extends Database {
  override readonly isForReads = true;
  private readonly change: (select: Printed) => Printed;

  constructor(db: Database, change: (select: Printed) => Printed) {
    super(db.connection, db.cost);
    this.change = change;
  }

  protected override print(statement: Statement): Printed {
    const printed = super.print(statement);
    if (!/^\s*(select|with)\b/i.test(printed.sql)) throw new Error("this view of the database is only for reads");
    return this.change(printed);
  }
}
