/** The creator of a flow run (`created_by`) in a short form: `[id, type, display_value]`. */
import { type SQL, sql, type SQLWrapper } from "drizzle-orm";
import { readJson } from "#db/database";
import { itemsOf, type ShortForm } from "#db/short/form";

/** Who or what created a flow run. */
export interface CreatedBy {
  id: string | null;
  type: string | null;
  display_value: string | null;
}

const NAMES = ["id", "type", "display_value"] as const;

export const createdByForm = {
  read(text: string): CreatedBy {
    const items = itemsOf(text);
    if (!items) return readJson<CreatedBy>(text);
    return Object.fromEntries(NAMES.map((name, index) => [name, items[index] ?? null])) as unknown as CreatedBy;
  },
  write(value: unknown): string {
    const by = value as Readonly<Record<string, unknown>>;
    const isWhole = Object.keys(by).join() === NAMES.join() && Object.values(by).every((one) => one !== undefined);
    return JSON.stringify(isWhole ? Object.values(by) : by);
  },
} satisfies ShortForm;

/** A field of a column `created_by`; null if the column cannot be read. */
export function createdByField(column: SQLWrapper, field: (typeof NAMES)[number]): SQL {
  const by = sql`iif(json_valid(${column}), ${column}, '{}')`;
  const paths = sql.raw(`'$.${field}'`);
  return sql`coalesce(${by} ->> ${paths}, ${by} ->> ${sql.raw(`'$[${NAMES.indexOf(field)}]'`)})`;
}
