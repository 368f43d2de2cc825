import { sqliteTable } from "drizzle-orm/sqlite-core";
import { expect, test } from "vitest";
import { codec } from "#db/codec";
import { duration, flag, integer, json, list, micros, object, text, uuid } from "#db/columns";
import { longColumns } from "#db/long-values";

const thing = sqliteTable("thing", {
  id: uuid().notNull(),
  made: micros().notNull(),
  seen: micros(),
  is_on: flag().notNull(),
  took: duration().notNull(),
  note: text({ long: true }),
  tags: list<string>().notNull(),
  options: object(),
  value: json({ long: true }).notNull(),
  rank: integer().notNull(),
  secret: text(),
});
const things = codec(thing, { omit: ["secret"], preset: { took: 0, rank: 7 } });

const row = {
  id: "a",
  made: 0,
  seen: null,
  is_on: 1,
  took: 1_500_000,
  note: null,
  tags: '["x"]',
  options: null,
  value: "null",
  rank: 1,
  secret: "s",
};

test("a row is printed by the kinds of its columns, without the columns that are left out", () => {
  expect(things.print(row)).toEqual({
    id: "a",
    made: "1970-01-01T00:00:00Z",
    seen: null,
    is_on: true,
    took: 1.5,
    note: null,
    tags: ["x"],
    options: null,
    value: null,
    rank: 1,
  });
});

test("a value that cannot be read is printed as the empty value of its kind", () => {
  const poisoned = { ...row, made: Number.NaN, tags: "[1,", options: '{"a"' };
  expect(things.print(poisoned)).toMatchObject({ made: "0001-01-01T00:00:00Z", tags: [], options: {}, id: "a" });
});

test("a new row has the given values, then its presets, and null or empty values for the rest", () => {
  expect(things.blank({ id: "a", made: 5, value: { b: 1 }, is_on: null, rank: undefined, seen: 6 })).toEqual({
    id: "a",
    made: 5,
    seen: 6,
    is_on: 0,
    took: 0,
    note: null,
    tags: "[]",
    options: null,
    value: '{"b":1}',
    rank: 7,
    secret: null,
  });
});

test("a body changes the columns that the body names, in their stored form", () => {
  expect(things.changes({ is_on: true, tags: ["y"], options: {}, seen: 9, note: "n" })).toEqual({
    is_on: 1,
    tags: '["y"]',
    options: "{}",
    seen: 9,
    note: "n",
  });
});

test("null clears a nullable column and does not change any other column", () => {
  expect(things.changes({ options: null, note: null, tags: null, is_on: null, rank: undefined })).toEqual({
    options: null,
    note: null,
  });
  expect(things.changes({ value: null })).toEqual({ value: "null" });
});

test("fields that the table names as `no columns` are ignored", () => {
  expect(things.changes({ note: "n", rank: 2, others: 1 }, ["others", "rank"])).toEqual({ note: "n" });
});

test("a field that is not a column, and is not named as `no column`, does not compile", () => {
  // @ts-expect-error no column has this name
  expect(things.changes({ nonsense: 1 })).toEqual({});
  // @ts-expect-error a flag is not a number on the wire
  expect(things.changes({ is_on: 1 })).toEqual({ is_on: 1 });
  // @ts-expect-error a new row needs an id
  expect(things.blank({ made: 1, value: 1 })).toMatchObject({ made: 1 });
});

test("a table names the columns in which users may store long values", () => {
  expect(longColumns(thing)).toEqual(["note", "value"]);
});
