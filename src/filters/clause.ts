/** The parts of filters: criteria, each with its zod shape and its SQL, and the groups that combine criteria. */
import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import * as z from "zod";
import type { Micros } from "#lib/clock";
import { Time } from "#wire/dates";
import { Uuid } from "#wire/ids";
import { Bool } from "#wire/scalars";
import { listOf, ShortText } from "#wire/sizes";
import { isLikeAny } from "./like";
import { byteLength } from "#lib/bytes";
import { asList, each, list } from "#db/sql";

/** One field of a filter. */
export interface Criterion<F extends z.ZodType = z.ZodType> {
  /** The zod schema of the field. The schema also gives the value of an absent field. */
  field: F;
  /** The SQL conditions for the field's value: none if the value does not filter, `ALWAYS` if every row matches. */
  clauses(value: z.output<F>, workspaceId: string): SQL[];
}

/** A filter object: its schema, and the conditions of the fields that are given. */
interface Group<S extends z.ZodType = z.ZodType> extends Criterion<z.ZodOptional<z.ZodNullable<S>>> {
  schema: S;
  parts(value: z.output<S>, workspaceId: string): SQL[];
}

type Fields = Record<string, Criterion>;
type Shape<F extends Fields> = { [K in keyof F]: F[K]["field"] };
type Schema<S extends z.core.$ZodLooseShape> = z.ZodObject<S, z.core.$strict>;

/** The clause that is true for every row. A filter without criteria has this clause. */
export const ALWAYS = sql`1`;

export const Operator = z.enum(["and_", "or_"]).meta({ id: "Operator" });
type Operator = z.output<typeof Operator>;
const OPERATOR = { operator: Operator.default("and_") };

/** Makes a filter. A row has to match all given fields. */
export function group<F extends Fields>(id: string, fields: F): Group<Schema<Shape<F>>> {
  return groupOf(id, fields, shapeOf(fields));
}

/** Makes a filter with an `operator`, which says whether a row has to match all given fields, or at least one. */
export function combinable<F extends Fields>(id: string, fields: F): Group<Schema<typeof OPERATOR & Shape<F>>> {
  return groupOf(id, fields, { ...OPERATOR, ...shapeOf(fields) });
}

function shapeOf<F extends Fields>(fields: F): Shape<F> {
  // `Object.entries` loses the mapped type. Each value is the field of its own criterion.
  return Object.fromEntries(Object.entries(fields).map(([name, { field }]) => [name, field])) as Shape<F>;
}

function groupOf<S extends z.core.$ZodLooseShape>(id: string, fields: Fields, shape: S): Group<Schema<S>> {
  const schema = z.strictObject(shape).meta({ id }) as Schema<S>;
  const parts = (value: Record<string, unknown>, workspaceId: string) =>
    Object.entries(fields).flatMap(([name, one]) => one.clauses(value[name], workspaceId));
  const operatorOf = (value: { operator?: Operator }) => value.operator ?? "and_";
  return {
    schema,
    parts,
    ...criterion(schema, (value, workspaceId) => combine(operatorOf(value), parts(value, workspaceId))),
  };
}

/** Combines clauses. The result is `ALWAYS` without clauses, and for an "or" with an `ALWAYS`. */
export function combine(operator: Operator, clauses: SQL[]): SQL {
  const telling = clauses.filter((clause) => clause !== ALWAYS);
  const [first] = telling;
  if (first === undefined || (operator === "or_" && telling.length < clauses.length)) return ALWAYS;
  return balanced(operator === "and_" ? sql`and` : sql`or`, first, telling.slice(1));
}

/** Combines the clauses as a balanced tree. D1 refuses an expression with more than 100 levels, and a chain has a level per clause. */
function balanced(operator: SQL, first: SQL, others: SQL[]): SQL {
  const [middle, ...rest] = others.splice(Math.floor(others.length / 2));
  if (middle === undefined) return first;
  return sql`(${balanced(operator, first, others)} ${operator} ${balanced(operator, middle, rest)})`;
}

/** Prefect: `FlowRunFilterState` and `TaskRunFilterState` ignore a part that is not exactly one comparison. */
export function lone<S extends z.ZodType>(inner: Group<S>): Criterion<Group<S>["field"]> {
  return criterion(inner.schema, (value, workspaceId) => {
    const clauses = inner.parts(value, workspaceId);
    return clauses.length === 1 ? clauses : [];
  });
}

/** Makes a criterion. A field that is absent or null counts as not given. */
export function criterion<S extends z.ZodType>(
  schema: S,
  clauses: (value: z.output<S>, workspaceId: string) => SQL | SQL[],
): Criterion<z.ZodOptional<z.ZodNullable<S>>> {
  return {
    field: schema.nullish(),
    clauses: (value, workspaceId) =>
      value === null || value === undefined ? [] : [clauses(value, workspaceId)].flat(),
  };
}

/** How many patterns a filter may have. The query checks each pattern for each row. */
const MAX_PATTERNS = 1_000;
/** How many values a filter may have. One value of D1 (2 MB) has room for 50,000 ids with quotes and commas. */
const MAX_VALUES = 50_000;
const MAX_VALUES_BYTES = 1_950_000;

/** The list of values that a filter names. The query binds the list as one JSON value. */
export const Values = <S extends z.ZodType>(value: S) =>
  listOf(value, MAX_VALUES).refine(
    (values) => byteLength(JSON.stringify(values)) <= MAX_VALUES_BYTES,
    `The values of a filter may have ${MAX_VALUES_BYTES} bytes as JSON`,
  );

/** `any_`: the column has one of the values. An empty list matches no row. */
export function anyOf<S extends z.ZodType>(value: S, column: SQLWrapper) {
  return criterion(Values(value), (values) => sql`${column} in ${list(values)}`);
}

/** `any_` of ids, for columns with an index. */
export function anyId(column: SQLWrapper) {
  return criterion(Values(Uuid), (ids) => {
    const [id, ...others] = ids;
    // A single id is compared with `=`. Then an index can also give the order of the rows.
    return seek(
      column,
      id !== undefined && others.length === 0 ? sql`${column} = ${id}` : sql`${column} in ${list(ids)}`,
    );
  });
}

/**
 * A condition that few rows match, on a column with a partial index. SQLite uses a partial index only if the query says
 * that the column is not null.
 */
export function seek(column: SQLWrapper, condition: SQL): SQL {
  return sql`(likelihood(${condition}, 0.0001) and ${column} is not null)`;
}

/**
 * The condition that the row is in the workspace. Most rows are. Without this hint SQLite would prefer an index on the
 * workspace to better indexes.
 */
export function inWorkspace(column: SQLWrapper, workspaceId: string): SQL {
  return sql`likelihood(${column} = ${workspaceId}, 0.9)`;
}

/** `not_any_`: the column has none of the values, and is not null. An empty list counts as not given. */
export function noneOf<S extends z.ZodType>(value: S, column: SQLWrapper) {
  return criterion(Values(value), (values) => (values.length > 0 ? sql`${column} not in ${list(values)}` : []));
}

/** `is_null_`: whether the column is null. */
export function isNull(column: SQLWrapper) {
  return criterion(Bool, (wanted) => (wanted ? sql`${column} is null` : sql`${column} is not null`));
}

/** `eq_` of a flag. */
export function flagIs(column: SQLWrapper) {
  return criterion(Bool, (wanted) => sql`${column} = ${wanted ? 1 : 0}`);
}

/** `before_` and `after_`: at or before a time, and at or after a time. */
export function span(column: SQLWrapper) {
  return {
    before_: criterion(Time, (time: Micros) => sql`${column} <= ${time}`),
    after_: criterion(Time, (time: Micros) => sql`${column} >= ${time}`),
  };
}

/** `like_`: the column contains the pattern. An empty pattern counts as not given. */
export function contains(column: SQLWrapper) {
  return criterion(ShortText, (text) => (text === "" ? [] : containing(column, text)));
}

/** The column contains the pattern. */
export function containing(column: SQLWrapper, text: string): SQL {
  return isLikeAny(column, [`%${text}%`]);
}

/** `startswith_`: the column begins with one of the texts. Prefect: an empty list matches all rows (`WorkQueueFilterName`). */
export function startsWith(column: SQLWrapper) {
  return criterion(listOf(ShortText, MAX_PATTERNS), (texts) => {
    const patterns = texts.map((text) => `${text}%`);
    return patterns.length === 0 ? [] : isLikeAny(column, patterns);
  });
}

/** `all_` of tags: the JSON array has all of them. An empty list counts as not given. */
export function hasAllTags(column: SQLWrapper) {
  return criterion(Values(z.string()), (tags) => {
    if (tags.length === 0) return [];
    return sql`not exists (select 1 from ${each(tags)} as wanted where wanted.value not in (select value from json_each(${asList(column)})))`;
  });
}

/** `any_` of tags: the JSON array has at least one of the values. */
export function hasAnyTag(column: SQLWrapper) {
  return criterion(
    Values(z.string()),
    (tags) => sql`exists (select 1 from json_each(${asList(column)}) as tag where tag.value in ${list(tags)})`,
  );
}

/** `is_null_` of tags: the row has no tags. */
export function hasNoTags(column: SQLWrapper) {
  return criterion(Bool, (wanted) => (wanted ? sql`${column} = '[]'` : sql`${column} <> '[]'`));
}
