/** Variables in D1, of one workspace. */
import { codec } from "#db/codec";
import { type NamedKey, namedStore } from "#db/named-store";
import { variable } from "#db/tables/variable";

/** A row of the table `variable`. */
export type VariableRow = typeof variable.$inferSelect;

/** Shows, makes and changes rows of variables. */
export const variables = codec(variable, { omit: ["workspace_id"] });

/** The variables of one workspace. */
export class VariableStore extends namedStore(variable) {
  /** Writes a new variable. Gives false if the variable's name is taken. */
  async insert(row: VariableRow): Promise<boolean> {
    const written = await this.db.repeatable([
      this.db.build.insert(variable).values(row).onConflictDoNothing(),
      this.db.build.select({ id: variable.id }).from(variable).where(this.by(row)),
    ]);
    return written[1]?.rows.length === 1;
  }

  /** Removes a variable. Gives the removed row, or undefined if there is none. */
  remove(key: NamedKey): Promise<VariableRow | undefined> {
    return this.db.returned(this.db.build.delete(variable).where(this.by(key)).returning());
  }
}
