import { env } from "cloudflare:test";
import { sql } from "drizzle-orm";
import { expect, test } from "vitest";
import { Database } from "#db/database";
import { AccompaniedDatabase, ChangedDatabase } from "#db/views";
import { noCost } from "#lib/cost";

const plain = () => new Database(env.DB, noCost());

test("a select that accompanies the reads costs no round trip, until it is taken away", async () => {
  const db = new AccompaniedDatabase(plain(), sql`select ${"b"} as b`);
  expect(await db.rows(sql`select ${"a"} as a`)).toEqual([{ a: "a" }]);
  expect(await db.readAll([sql`select 1 as one`, sql`select 2 as two`])).toEqual([[{ one: 1 }], [{ two: 2 }]]);
  expect(db.take()).toEqual([{ b: "b" }]);
  await db.rows(sql`select 3`);
  await db.readAll([sql`select 4`]);
  expect(db.cost).toMatchObject({ d1_round_trips: 4, d1_queries: 7 });
});

test("without a read, the accompanying select has no rows", () => {
  expect(new AccompaniedDatabase(plain(), sql`select 1`).take()).toEqual([]);
});

test("a database that changes selects reads through the change, and refuses to write", async () => {
  const db = new ChangedDatabase(plain(), ({ sql: text, params }) => ({
    sql: `with flow as (select ? as name) ${text}`,
    params: ["hidden", ...params],
  }));
  expect(await db.rows(sql`select name, ${1} as one from flow`)).toEqual([{ name: "hidden", one: 1 }]);
  expect(await db.readAll([sql`select count(*) as n from flow`])).toEqual([[{ n: 1 }]]);
  await expect(db.run(sql`delete from flow`)).rejects.toThrow("only for reads");
  await expect(db.batch([sql`select 1`, sql`update flow set name = 'x'`])).rejects.toThrow("only for reads");
});
