/** The filter of logs decides as SQL does: the oracle asks D1 about each record, with the criteria of other filters. */
import { env } from "cloudflare:test";
import { type SQL, sql } from "drizzle-orm";
import { SQLiteSyncDialect } from "drizzle-orm/sqlite-core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { each, list } from "#db/sql";
import type { LogRecord } from "#db/tables/log";
import { ALWAYS, combine, containing } from "#filters/clause";
import { LogFilter, logMatcher } from "#filters/logs";
import { parseTextQuery } from "#lib/text-query";

const FIELD = {
  level: sql`(r.value ->> '$.record.level')`,
  timestamp: sql`(r.value ->> '$.record.timestamp')`,
  flow_run_id: sql`iif(r.value ->> '$.record.no_flow_run' is null, r.value ->> '$.run', null)`,
  task_run_id: sql`(r.value ->> '$.record.task_run_id')`,
  text: sql`(r.value ->> '$.record.message' || ' ' || (r.value ->> '$.record.name'))`,
};

/** The condition of the filter in SQL. Each group of criteria is one condition, and each kind of terms is one. */
function oracle({ operator, level, timestamp, flow_run_id, task_run_id, text }: LogFilter): SQL {
  const conditions: SQL[] = [];
  const all = (...some: (SQL | false)[]) =>
    conditions.push(
      combine(
        "and_",
        some.filter((one) => one !== false),
      ),
    );
  const given = <T>(value: T | null | undefined, clause: (value: T) => SQL) =>
    value !== null && value !== undefined && clause(value);
  if (level)
    all(
      given(level.ge_, (least) => sql`${FIELD.level} >= ${least}`),
      given(level.le_, (most) => sql`${FIELD.level} <= ${most}`),
    );
  if (timestamp)
    all(
      given(timestamp.after_, (first) => sql`${FIELD.timestamp} >= ${first}`),
      given(timestamp.before_, (last) => sql`${FIELD.timestamp} <= ${last}`),
    );
  if (flow_run_id) all(given(flow_run_id.any_, (ids) => sql`${FIELD.flow_run_id} in ${list(ids)}`));
  if (task_run_id)
    all(
      given(task_run_id.any_, (ids) => sql`${FIELD.task_run_id} in ${list(ids)}`),
      given(task_run_id.is_null_, (isNull) => sql`(${FIELD.task_run_id} is null) = ${isNull ? 1 : 0}`),
    );
  if (text) {
    const { include, exclude, required } = parseTextQuery(text.query);
    const has = (term: string) => containing(FIELD.text, term.replaceAll(/[\\%_]/g, "\\$&"));
    // A record without a text matches no terms. SQL alone would say so only where the terms are one `glob` of the text.
    const search = (condition: SQL) => conditions.push(sql`(${FIELD.text} is not null and ${condition})`);
    if (include.length > 0) search(combine("or_", include.map(has)));
    if (exclude.length > 0) search(sql`not ${combine("or_", exclude.map(has))}`);
    if (required.length > 0) search(combine("and_", required.map(has)));
  }
  return combine(operator, conditions);
}

async function matching(filter: LogFilter, records: readonly unknown[]): Promise<number[]> {
  const condition = oracle(filter);
  const { sql: text, params } = new SQLiteSyncDialect().sqlToQuery(
    sql`select r.key as place from ${each(records)} r where ${condition === ALWAYS ? sql`true` : condition} order by 1`,
  );
  const { results } = await env.DB.prepare(text)
    .bind(...params)
    .all<{ place: number }>();
  return results.map(({ place }) => place);
}

const RUNS = Array.from({ length: 3 }, () => crypto.randomUUID());
const TASKS = Array.from({ length: 3 }, () => crypto.randomUUID());
const PIECES = [
  ...Array.from("aAbBkKsSéÉßſσςΣİıK😀]^-\\%_*?[.$({|+!"),
  "Connection",
  "TIMEOUT",
  "timeout",
  "ÉLAN",
  "élan",
  "straße",
  "x".repeat(60),
  "X".repeat(60),
];
const words = fc
  .array(fc.constantFrom(...PIECES, " "), { minLength: 1, maxLength: 8 })
  .map((pieces) => pieces.join(""));
const record = fc.record(
  {
    name: words,
    message: words,
    level: fc.integer({ min: 0, max: 5 }),
    timestamp: fc.integer({ min: -3, max: 3 }),
    task_run_id: fc.constantFrom(...TASKS),
    no_flow_run: fc.constant(1 as const),
  },
  { requiredKeys: [] },
);
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const term = fc
  .tuple(fc.constantFrom("", "", "+", "-", "!"), fc.constantFrom('"', ""), words)
  .map(([sign, quote, text]) => sign + quote + text.slice(0, 30) + quote);
const filter = fc.record({
  operator: fc.constantFrom("and_" as const, "or_" as const),
  level: optional(fc.record({ ge_: optional(fc.nat(5)), le_: optional(fc.nat(5)) })),
  timestamp: optional(
    fc.record({
      after_: optional(fc.integer({ min: -3, max: 3 })),
      before_: optional(fc.integer({ min: -3, max: 3 })),
    }),
  ),
  flow_run_id: optional(fc.record({ any_: optional(fc.subarray(RUNS)) })),
  task_run_id: optional(fc.record({ any_: optional(fc.subarray(TASKS)), is_null_: optional(fc.boolean()) })),
  text: optional(fc.record({ query: fc.array(term, { maxLength: 4 }).map((terms) => terms.join(" ").slice(0, 200)) })),
});

test("any filter finds the records that its SQL finds", async () => {
  const property = fc.asyncProperty(
    filter,
    fc.array(fc.record({ run: fc.constantFrom(...RUNS), record }), { maxLength: 20 }),
    async (wanted, records) => {
      const matches = logMatcher(wanted);
      const found = records.flatMap(({ run, record }, place) =>
        matches(record as Partial<LogRecord>, run) ? [place] : [],
      );
      expect(found).toEqual(await matching(wanted, records));
    },
  );
  await fc.assert(property, { numRuns: 1_000 });
});

test.for<[string, string, boolean]>([
  ["timeout", "TIMEOUT", true],
  ["élan", "ÉLAN", true],
  ["i", "İ", false],
  ["k", "\u212A", false],
  ["\u212A", "k", true],
  ["ss", "ß", false],
  ["]^-\\", "a]^-\\b", true],
  [".", "x", false],
])("the term %j in %j is found: %s", ([query, message, isFound]) => {
  const matches = logMatcher(LogFilter.parse({ text: { query } }));
  expect(matches({ name: "n", message }, "run")).toBe(isFound);
});
