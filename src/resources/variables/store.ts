/** Variables in D1, of one workspace. */
import { and, eq, type SQL, sql } from "drizzle-orm";
import { codec } from "#db/codec";
import { rowsInFull, shortenedColumns } from "#db/long-values";
import { variable } from "#db/tables/variable";
import { WorkspaceStore } from "#db/workspace-store";
import type { Portions } from "#lib/portions";

/** A row of the table `variable`. */
export type VariableRow = typeof variable.$inferSelect;

/** How a caller names a variable: by its id or its name. */
export type VariableKey = { id: string } | { name: string };

/** Shows, makes and changes rows of variables. */
export const variables = codec(variable, { omit: ["workspace_id"] });

const IN_LIST = shortenedColumns(variable);

/** The variables of one workspace. */
export class VariableStore extends WorkspaceStore {
  /** One variable, or undefined. */
  read(key: VariableKey): Promise<VariableRow | undefined> {
    return this.db.first(this.db.build.select().from(variable).where(this.by(key)));
  }

  /** A page of variables. `where` and `order` come from the filters. */
  async list(where: SQL, order: SQL, limit: number, offset: number): Promise<Portions<VariableRow>> {
    const rows = await this.db.rows<VariableRow>(
      sql`select ${IN_LIST} from ${variable} where ${where} order by ${order} limit ${limit} offset ${offset}`,
    );
    return rowsInFull(this.db, variable, this.workspaceId, rows);
  }

  /** How many variables there are. */
  count(where: SQL): Promise<number> {
    return this.countRows(variable, where);
  }

  /** Writes a new variable. Gives false where its name is taken. */
  async insert(row: VariableRow): Promise<boolean> {
    const written = await this.db.repeatable([
      this.db.build.insert(variable).values(row).onConflictDoNothing(),
      this.db.build.select({ id: variable.id }).from(variable).where(this.by(row)),
    ]);
    return written[1]?.rows.length === 1;
  }

  /** Changes a variable. Gives the changed row, or undefined where there is none. */
  update(key: VariableKey, changes: Partial<VariableRow>): Promise<VariableRow | undefined> {
    return this.db.returned(this.db.build.update(variable).set(changes).where(this.by(key)).returning());
  }

  /** Removes a variable. Gives the removed row, or undefined where there is none. */
  remove(key: VariableKey): Promise<VariableRow | undefined> {
    return this.db.returned(this.db.build.delete(variable).where(this.by(key)).returning());
  }

  private by(key: VariableKey): SQL | undefined {
    return and(
      eq(variable.workspace_id, this.workspaceId),
      "id" in key ? eq(variable.id, key.id) : eq(variable.name, key.name),
    );
  }
}
