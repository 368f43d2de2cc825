import fc from "fast-check";
import { beforeAll, test } from "vitest";
import type { z } from "zod";
import type { flowRunFilter } from "#filters/criteria";
import { parseTime } from "#wire/dates";
import { STATE_TYPES } from "#wire/state";
import { at, find, FLOW_RUNS, idOf, makeWorld, TASK_RUNS } from "./world";

beforeAll(makeWorld);

type Input = z.input<typeof flowRunFilter.schema>;
type Row = (typeof FLOW_RUNS)[number] & Record<string, unknown>;

/** `undefined` is the result for a criterion that is not in the filter. */
type Verdict = boolean | undefined;

const present = <T>(value: T | null | undefined): value is T => value !== null && value !== undefined;

function join(operator: "and_" | "or_" | undefined, verdicts: Verdict[]): boolean {
  const given = verdicts.filter(present);
  if (given.length === 0) return true;
  return operator === "or_" ? given.some(Boolean) : given.every(Boolean);
}

const given = <V>(value: V | null | undefined, verdict: (value: V) => Verdict): Verdict =>
  present(value) ? verdict(value) : undefined;
const among = (list: readonly unknown[] | null | undefined, value: unknown) =>
  given(list, (values) => present(value) && values.includes(value));
const notAmong = (list: readonly unknown[] | null | undefined, value: unknown) =>
  given(list, (values) => (values.length > 0 ? present(value) && !values.includes(value) : undefined));
/** On the wire flags may be texts or numbers. The flags of this test are booleans. */
const missing = (wanted: string | number | boolean | null | undefined, value: unknown) =>
  given(wanted, (isNull) => (isNull === true) !== present(value));

interface Span {
  before_?: string | number | null;
  after_?: string | number | null;
}
const within = (span: Span, time: number | null): Verdict[] => [
  given(span.before_, (text) => present(time) && time <= Number(parseTime(text))),
  given(span.after_, (text) => present(time) && time >= Number(parseTime(text))),
];

const taggedWith = (row: Row, tag: string) => row.tags.includes(`"${tag}"`);
const parentsOf = (row: Row) =>
  TASK_RUNS.filter(({ id }) => id === row["parent_task_run_id"]).map(({ flow_run_id }) => flow_run_id);

/** A part of `state` is a criterion only if one of its lists is a criterion. */
function part(any: Verdict, not: Verdict): Verdict {
  const verdicts = [any, not].filter(present);
  return verdicts.length === 1 ? verdicts[0] : undefined;
}

function matches(filter: Input, row: Row): boolean {
  const started = row.start_time ?? row.expected_start_time;
  return join(filter.operator, [
    given(filter.id, (id) => join("and_", [among(id.any_, row.id), notAmong(id.not_any_, row.id)])),
    given(filter.name, (name) =>
      join("and_", [
        among(name.any_, row.name),
        given(name.like_, (text) => (text === "" ? undefined : row.name.toLowerCase().includes(text.toLowerCase()))),
      ]),
    ),
    given(filter.tags, (tags) =>
      join(tags.operator, [
        given(tags.all_, (all) => (all.length > 0 ? all.every((tag) => taggedWith(row, tag)) : undefined)),
        given(tags.any_, (any) => any.some((tag) => taggedWith(row, tag))),
        given(tags.is_null_, (wanted) => wanted === (row.tags === "[]")),
      ]),
    ),
    given(filter.deployment_id, (id) =>
      join(id.operator, [among(id.any_, row["deployment_id"]), missing(id.is_null_, row["deployment_id"])]),
    ),
    given(filter.state, ({ operator, type, name }) =>
      join(operator, [
        given(type, (one) => part(among(one.any_, row.state_type), notAmong(one.not_any_, row.state_type))),
        given(name, (one) => part(among(one.any_, row.state_name), notAmong(one.not_any_, row.state_name))),
      ]),
    ),
    given(filter.start_time, (span) =>
      join("and_", [...within(span, started), missing(span.is_null_, row.start_time)]),
    ),
    given(filter.end_time, (span) =>
      join("and_", [...within(span, row.end_time), missing(span.is_null_, row.end_time)]),
    ),
    given(filter.parent_flow_run_id, (parent) =>
      join(parent.operator, [
        given(parent.any_, (ids) => parentsOf(row).some((id) => present(id) && ids.includes(id))),
      ]),
    ),
  ]);
}

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null, freq: 2 });
const some = <T>(...values: T[]) => maybe(fc.subarray(values));
const operator = fc.constantFrom("and_" as const, "or_" as const);
const ids = some(...["r1", "r2", "r3", "r4", "r9"].map(idOf));
const tags = some("red", "blue", "green", "none");
const names = some("Late", "Running", "Completed", "none");
const time = maybe(fc.integer({ min: 50, max: 650 }).map(at));
const span = fc.record({ before_: time, after_: time, is_null_: maybe(fc.boolean()) }, { requiredKeys: [] });

const filters: fc.Arbitrary<Input> = fc.record(
  {
    operator,
    id: maybe(fc.record({ any_: ids, not_any_: ids })),
    name: maybe(
      fc.record({
        any_: some("sad-marvin", "underscore", "none"),
        like_: maybe(fc.constantFrom("", "A", "er", "ä", "swift", "none")),
      }),
    ),
    tags: maybe(fc.record({ operator, all_: tags, any_: tags, is_null_: maybe(fc.boolean()) })),
    deployment_id: maybe(fc.record({ operator, any_: some(idOf("d1"), idOf("d2")), is_null_: maybe(fc.boolean()) })),
    state: maybe(
      fc.record({
        operator,
        type: maybe(fc.record({ any_: some(...STATE_TYPES), not_any_: some(...STATE_TYPES) })),
        name: maybe(fc.record({ any_: names, not_any_: names })),
      }),
    ),
    start_time: maybe(span),
    end_time: maybe(span),
    parent_flow_run_id: maybe(fc.record({ operator, any_: ids })),
  },
  { requiredKeys: [] },
);

test("the database and a reference implementation of the filter find the same runs", async ({ expect }) => {
  const property = fc.asyncProperty(filters, async (filter) => {
    const expected = FLOW_RUNS.flatMap((row, index) => (matches(filter, row) ? [`r${index + 1}`] : []));
    expect(await find("flow_runs", { flow_runs: filter })).toBe(expected.join(" "));
  });
  await fc.assert(property, { numRuns: 500 });
});
