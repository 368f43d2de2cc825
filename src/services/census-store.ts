/** The statement of the census. It reads the next rows of a table, of all workspaces, and estimates how many bytes they use. */
import { type SQL, sql } from "drizzle-orm";
import { getTableConfig, type IndexColumn, type SQLiteColumn, type SQLiteTable } from "drizzle-orm/sqlite-core";
import { columnsOf, StoredColumn } from "#db/columns";

/** The values of a row's key, in the order of the key. */
export type Key = readonly (string | number)[];

/** The columns of a table's key. */
export function keyOf(table: SQLiteTable): SQLiteColumn[] {
  const { primaryKeys, columns } = getTableConfig(table);
  return primaryKeys[0]?.columns ?? columns.filter(({ primary }) => primary);
}

/**
 * Counts the next `most` rows after a key, and sums the bytes that they use in the file. The result is one row:
 * `counted`, `bytes`, and the key of the last row in the columns of the key. Each row is read once, and no long value
 * is read: `octet_length` needs only the head of a row. With `isSkipped` the bytes are 0, and no column is looked at.
 */
export function selectCensus(table: SQLiteTable, after: Key | null, most: number, isSkipped: boolean): SQL {
  const key = keyOf(table);
  const names = list(key.map(({ name }) => sql`${sql.identifier(name)}`));
  const values = list(key.map((column) => sql`${keyValue(column)} as ${sql.identifier(column.name)}`));
  const place = after?.map((value, index) => storedKey(key[index], value));
  const rest = place ? sql`where (${names}) > (${list(place)})` : sql``;
  const [row, indexed] = isSkipped ? [sql`0`, sql`0`] : [entryOf(columnsOf(table)), indexesOf(table)];
  // The columns beside the only `max` are those of the row with the maximum. (A window function would read each row three times.)
  return sql`select count(*) as counted, sum(${isSkipped ? sql`0` : BYTES}) as bytes, max(rank) as rank, ${names} from (
      select ${values}, ${rankOf(key)} as rank, ${row} as row, ${indexed} as indexed
      from ${table} ${rest} order by ${list(key.map((column) => sql`${column}`))} limit ${most}) page`;
}

/** Before the digits of a short id in a key, as SQLite has short ids after all texts. */
const SHORT = "~";

/** A column of a key: the digits stand for a short id. */
export const keyValue = (column: SQLiteColumn): SQL =>
  hasShortIds(column) ? sql`iif(typeof(${column}) = 'blob', ${SHORT} || hex(${column}), ${column})` : sql`${column}`;

/** A value of a key in the form that its column has. */
export const storedKey = (column: SQLiteColumn | undefined, value: string | number): SQL =>
  column && hasShortIds(column) && String(value).startsWith(SHORT)
    ? sql`unhex(${String(value).slice(SHORT.length)})`
    : sql`${value}`;

const hasShortIds = (column: SQLiteColumn): boolean => column instanceof StoredColumn && column.idForm !== undefined;

const list = (parts: readonly SQL[]) => sql.join([...parts], sql.raw(", "));
const sum = (parts: readonly SQL[]) => sql.join([...parts], sql.raw(" + "));

/** Added to an integer of a key, so that it is not negative. */
const ABOVE_ZERO = "4611686018427387904";

/** A text for each row that has the order of the keys. Keys with a NUL may have another order: then a few rows are counted twice. */
function rankOf(key: readonly SQLiteColumn[]): SQL {
  const texts = key.map((column) =>
    isText(column) ? keyValue(column) : sql`printf('%020d', ${column} + ${sql.raw(ABOVE_ZERO)})`,
  );
  return sql.join(texts, sql.raw(" || char(0) || "));
}

// How SQLite stores a row: https://www.sqlite.org/fileformat2.html. All tables are WITHOUT ROWID, so a row is an entry of a B-tree of
// indexes. Of an entry with more than 1,002 bytes, 489 bytes stay in the tree, and the rest fills pages of its own. If the last of these
// pages would have at most 513 bytes, these bytes stay in the tree instead.
const MAX_IN_TREE = 1_002;
const MIN_IN_TREE = 489;
const PAGE = 4_096;
/** The number of the next such page. */
const NEXT_PAGE = 4;
/** The length of an entry, and its place in its page. */
const ENTRY = 4;
/** How much larger a page is than its entries, measured on databases of real servers (docs/services.md). */
const FILL = 1.2;
/** The entries of a longer row in indexes are nothing beside it, and to look at their columns might read all of the row. */
const MAX_INDEXED = 8_000;

const REST = `(row - ${MIN_IN_TREE}) % ${PAGE - NEXT_PAGE}`;
const FITS = `${REST} <= ${MAX_IN_TREE - MIN_IN_TREE}`;
const IN_TREE = `iif(row <= ${MAX_IN_TREE}, row, ${MIN_IN_TREE + NEXT_PAGE} + iif(${FITS}, ${REST}, 0))`;
const OWN_PAGES = `iif(row <= ${MAX_IN_TREE}, 0, (row - ${MIN_IN_TREE}) / ${PAGE - NEXT_PAGE} + iif(${FITS}, 0, 1))`;

/** The bytes in the file of a row with so many bytes (`row`), and with so many bytes in indexes (`indexed`). */
const BYTES = sql.raw(`(${IN_TREE} + ${ENTRY} + indexed) * ${FILL} + ${OWN_PAGES} * ${PAGE}`);

/** The bytes of a row in all indexes. An index also has the columns of the key. */
function indexesOf(table: SQLiteTable): SQL {
  const key = keyOf(table);
  const entries = getTableConfig(table).indexes.map(({ config: { columns, where } }) => {
    const names = new Set(columns.map((column) => ("name" in column ? column.name : null)));
    const entry = sum([entryOf([...columns, ...key.filter(({ name }) => !names.has(name))]), sql.raw(`${ENTRY}`)]);
    return where ? sql`iif(${where}, ${entry}, 0)` : entry;
  });
  if (entries.length === 0) return sql`0`;
  return sql`iif(${entryOf(columnsOf(table))} > ${sql.raw(`${MAX_INDEXED}`)}, 0, ${sum(entries)})`;
}

/** The bytes of a row or of an entry in an index: its head has a byte for each column and one for itself. Then come the values. */
function entryOf(columns: readonly IndexColumn[]): SQL {
  return sum([sql.raw(`${columns.length + 1}`), ...columns.map(valueOf)]);
}

function valueOf(column: IndexColumn): SQL {
  // The expressions of indexes are times.
  if (!("name" in column)) return sql.raw("8");
  if (isText(column)) return column.notNull ? sql`octet_length(${column})` : sql`coalesce(octet_length(${column}), 0)`;
  return sql.raw(column.columnType === "integer" || column.columnType === "flag" ? "1" : "8");
}

const isText = (column: SQLiteColumn) => column.getSQLType() === "text";
