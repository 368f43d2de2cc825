/**
 * The short forms of ids in rows of task runs: a UUID as a BLOB of 16 bytes. D1 has no such type, so these columns are text with BLOBs
 * among the texts, which SQLite keeps as they are. Older rows have the ids as text. In the order of SQLite, BLOBs come after all texts.
 */
import { Buffer } from "node:buffer";
import { type SQL, sql } from "drizzle-orm";
import { digitsOf, isCanonical } from "#db/short/uuid";
import { canonicalUuid } from "#wire/ids";

/** The workspace of requests that name no other. Nearly all rows have this workspace, so its short form is a single byte. */
export const FIRST_WORKSPACE = "00000000-0000-4000-8000-000000000001";
const FIRST_DIGITS = "01";

/** The number of bytes of a UUID. */
const UUID_BYTES = 16;

/** The text of an id that D1 has returned as an array of bytes. Other values are returned unchanged. */
export function idOfBytes(value: unknown): unknown {
  const bytes = Array.isArray(value) ? Buffer.from(value as number[]) : undefined;
  if (bytes?.length === UUID_BYTES) return canonicalUuid(bytes.toString("hex"));
  return bytes?.toString("hex") === FIRST_DIGITS ? FIRST_WORKSPACE : value;
}

/** The digits of the short form of a workspace's id. */
export function workspaceDigits(workspaceId: string): string {
  if (workspaceId === FIRST_WORKSPACE) return FIRST_DIGITS;
  return isCanonical(workspaceId) ? digitsOf(workspaceId) : Buffer.from(workspaceId).toString("hex");
}

/** The short form of a workspace's id. */
export const shortWorkspace = (workspaceId: string): SQL => sql`unhex(${workspaceDigits(workspaceId)})`;

/** The short form of an expression in SQL that is a workspace's id. */
export const shortWorkspaceOf = (expression: string): string =>
  `iif(${expression} = '${FIRST_WORKSPACE}', x'${FIRST_DIGITS}', coalesce(unhex(${expression}, '-'), cast(${expression} as blob)))`;

/** The short form of a canonical UUID, to search for it. */
export const shortId = (id: string | SQL): SQL => sql`unhex(${id}, '-')`;

/** The stored form of an expression in SQL: the short form of a canonical UUID, or the text itself if it is none. */
export const storedId = (expression: string): string =>
  `iif(${expression} glob '????????-????-????-????-????????????' and ${expression} = lower(${expression})
    and octet_length(unhex(${expression}, '-')) = ${UUID_BYTES}, unhex(${expression}, '-'), ${expression})`;

/** The text of an id that is stored in either form, as an expression in SQL. */
export function uuidText(column: string): string {
  const hex = `hex(${column})`;
  const parts = [`${hex}, 1, 8`, `${hex}, 9, 4`, `${hex}, 13, 4`, `${hex}, 17, 4`, `${hex}, 21`];
  // `format` and not `||`, because an expression may have a hundred levels.
  const text = `format('%s-%s-%s-%s-%s', ${parts.map((part) => `substr(${part})`).join(", ")})`;
  return `iif(typeof(${column}) = 'blob', lower(${text}), ${column})`;
}

/** The digits of an id that is stored in either form, as an expression in SQL. They have the order of the texts. */
export const uuidDigits = (column: string): string =>
  `iif(typeof(${column}) = 'blob', lower(hex(${column})), replace(${column}, '-', ''))`;

/** The condition that a column, in either form, has this id. */
export function isId(column: string, id: string | null): SQL {
  const name = sql.raw(column);
  return id === null ? sql`${name} is null` : sql`(${name} = ${id} or ${name} = ${shortId(id)})`;
}
