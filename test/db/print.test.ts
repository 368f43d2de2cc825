/** A statement is printed exactly as drizzle prints the statement. */
import fc from "fast-check";
import { and, asc, eq, inArray, isNull, like, or, type SQL, sql } from "drizzle-orm";
import { SQLiteSyncDialect } from "drizzle-orm/sqlite-core";
import { expect, test } from "vitest";
import { insertRows, each, laterThan, list } from "#db/sql";
import { print } from "#db/print";
import { deployment } from "#db/tables/deployment";
import { flow_run } from "#db/tables/flow-run";

const dialect = new SQLiteSyncDialect();
function expectAlike(statement: SQL): void {
  const { sql: text, params } = dialect.sqlToQuery(statement);
  expect(print(statement)).toMatchObject({ sql: text, params });
}

const value = fc.oneof(fc.string(), fc.integer(), fc.double({ noNaN: true }), fc.constant(null), fc.boolean());
const leaf = fc.oneof(
  value.map((one) => sql`a = ${one}`),
  fc.string().map((name) => sql`${sql.identifier(name)} is null`),
  fc.constantFrom(sql`${flow_run}`, sql`${flow_run.id}`, sql`${deployment.updated}`, sql.raw("now 'x' ?"), sql``),
  value.map((one) => eq(flow_run.name, String(one))),
  fc.array(fc.string(), { maxLength: 3 }).map((ids) => sql`id in ${list(ids)}`),
  fc.array(fc.string(), { minLength: 1, maxLength: 3 }).map((ids) => inArray(flow_run.id, ids)),
);
const tree: fc.Arbitrary<SQL> = fc.letrec<{ node: SQL }>((tie) => ({
  node: fc.oneof(
    { depthSize: "medium" },
    leaf,
    fc.array(tie("node"), { maxLength: 4 }).map((parts) => sql.join(parts, sql`, `)),
    fc.array(tie("node"), { minLength: 1, maxLength: 3 }).map((parts) => and(...parts) ?? sql`1`),
    fc.tuple(tie("node"), value).map(([part, one]) => sql`(${part}) or b < ${one} ${undefined}`),
    fc.tuple(tie("node"), tie("node")).map(([one, other]) => sql`exists (select 1 where ${one} and not ${other})`),
  ),
})).node;

test("any statement", () => {
  fc.assert(fc.property(tree, expectAlike), { numRuns: 500 });
});

test.each([
  sql`select ${[1, "a", null]} as list`,
  sql`${or(like(flow_run.name, "a%"), isNull(flow_run.end_time))} order by ${asc(flow_run.id)}`,
  sql`select ${sql`1`.as("one")}`,
  sql`update ${deployment} set updated = ${laterThan(deployment.updated, 5)} from ${each([{ a: 1 }])}`,
  insertRows(deployment, [], { tail: sql`on conflict do nothing` }),
])("statement %#", expectAlike);
