import { env } from "cloudflare:test";
import { beforeEach, describe, expect, test } from "vitest";
import { CENSUS, type Counted, printCounted } from "#resources/admin/census";
import { DAILY_SIZES, DatabaseSize, MAX_DATABASE_BYTES, readDatabase } from "#resources/admin/database";
import { DAY, type Micros } from "#lib/clock";
import { aFlowRun, api } from "../support/world";
import { countAll, ON_THE_HOUR } from "../services/census-world";
import { NOW, toolsAt } from "../services/retention-world";

const NOTHING = { rows: 0, objects: 0, bytes: 0 };

beforeEach(() => env.DB.prepare("delete from sweep_mark").run());

const write = (name: string, mark: unknown) =>
  env.DB.prepare("insert into sweep_mark (name, mark) values (?, ?)")
    .bind(name, typeof mark === "string" ? mark : JSON.stringify(mark))
    .run();
const read = () => api<DatabaseSize>("GET", "/admin/database");

const of = (rows: number, bytes: number) => ({ rows, bytes });
const COUNTED: Counted = {
  begun: 1_800_000_000_000_000,
  ended: 1_800_000_600_000_000,
  size: 2_000_000,
  sums: {
    flow_runs: of(3, 400_000),
    task_runs: of(4, 200_000),
    events: of(5, 1_200_000),
    logs: of(6, 100_000),
    other: of(7, 50_000),
  },
};

describe("GET /admin/database", () => {
  test("says the size, and what is not known yet is null", async () => {
    const { status, body } = await read();
    expect(status).toBe(200);
    expect(body.size_bytes).toBeGreaterThan(10_000);
    expect(body).toEqual({
      size_bytes: body.size_bytes,
      limit_bytes: MAX_DATABASE_BYTES,
      share: body.size_bytes / MAX_DATABASE_BYTES,
      growth_bytes_per_day: null,
      days_left: null,
      d1: null,
      r2: { size_bytes: 0, events: NOTHING, logs: NOTHING, runs: NOTHING },
    });
  });

  test("has the newest count that has ended", async () => {
    await write(CENSUS, { begun: NOW, cursor: { table: "flow_run", after: null }, sums: COUNTED.sums, last: COUNTED });
    const { body } = await read();
    expect(DatabaseSize.parse(body)).toEqual(body);
    expect(body.d1).toEqual(printCounted(COUNTED));
    expect(body.d1).toMatchObject({ counted_since: "2027-01-15T08:00:00Z", counted_at: "2027-01-15T08:10:00Z" });
  });

  test("has the rows that the clock counted, and their bytes are the size of the database", async () => {
    await aFlowRun();
    await countAll(toolsAt(ON_THE_HOUR));
    const { d1 } = (await read()).body;
    if (!d1) throw new Error("nothing was counted");
    const kinds = [d1.flow_runs, d1.task_runs, d1.events, d1.logs, d1.other];
    expect(d1.flow_runs.rows).toBeGreaterThanOrEqual(2);
    expect(kinds.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(d1.size_bytes);
  });

  test.for(["nonsense", "[]", '{"last":{"sums":{}}}', '[{"at":"now"}]', '"'])(
    "does not fail if the marks are %s",
    async (mark) => {
      await write(CENSUS, mark);
      await write(DAILY_SIZES, mark);
      const { status, body } = await read();
      expect([status, body.d1, body.growth_bytes_per_day]).toEqual([200, null, null]);
    },
  );
});

describe("the size of a database that had another size days ago", () => {
  const known = async (daysAgo: number, change: number, limitOf: (size: number) => number) => {
    const size = await sizeNow();
    await write(DAILY_SIZES, [{ at: NOW - daysAgo * DAY, bytes: size - change }] satisfies {
      at: Micros;
      bytes: number;
    }[]);
    return readDatabase(toolsAt(NOW).db, NOW, limitOf(size));
  };
  const sizeNow = async () => (await env.DB.prepare("select 1").all()).meta.size_after;

  test("has the growth of a day, and the days until four fifths of the limit", async () => {
    const { size } = await known(5, 5_000, (bytes) => (bytes + 40_000) / 0.8);
    expect(size).toMatchObject({ growth_bytes_per_day: 1_000, days_left: 40 });
  });

  test("has no days left if it has four fifths of the limit, and no number of days if it does not grow", async () => {
    expect((await known(5, 5_000, (bytes) => bytes)).size).toMatchObject({ days_left: 0 });
    await env.DB.prepare("delete from sweep_mark").run();
    expect((await known(5, -5_000, (bytes) => bytes * 2)).size).toMatchObject({
      growth_bytes_per_day: -1_000,
      days_left: null,
    });
  });

  test("is read in one round trip, with at most two rows", async () => {
    await write(CENSUS, { begun: NOW, cursor: null, sums: COUNTED.sums, last: COUNTED });
    await write(DAILY_SIZES, []);
    const { db } = toolsAt(NOW);
    await readDatabase(db, NOW);
    expect([db.cost.d1_round_trips, db.cost.d1_rows_read]).toEqual([1, 2]);
  });
});

describe("a printed count", () => {
  const total = (counted: Counted) => {
    const { flow_runs, task_runs, events, logs, other } = printCounted(counted);
    return [flow_runs, task_runs, events, logs, other].reduce((sum, { bytes }) => sum + bytes, 0);
  };

  test("is scaled, so that the bytes of all kinds are the size of the database", () => {
    const { flow_runs, other, size_bytes } = printCounted(COUNTED);
    expect(flow_runs).toEqual({ rows: 3, bytes: Math.floor((400_000 * 2_000_000) / 1_950_000) });
    expect([other.rows, size_bytes, total(COUNTED)]).toEqual([7, 2_000_000, 2_000_000]);
  });

  test("of a nearly empty database does not give its empty pages to the few rows", () => {
    const few = { ...COUNTED, size: 20_000_000 };
    expect(printCounted(few).flow_runs.bytes).toBe(500_000);
    expect(total(few)).toBe(20_000_000);
  });

  test("of a database that is smaller than the estimate has no more bytes than the database", () => {
    const small = { ...COUNTED, size: 1_000_000 };
    expect(printCounted(small).other.bytes).toBeGreaterThan(0);
    expect(total(small)).toBe(1_000_000);
  });

  test("of nothing is all the rest", () => {
    const none = of(0, 0);
    const sums = { flow_runs: none, task_runs: none, events: none, logs: none, other: none };
    expect(printCounted({ ...COUNTED, sums }).other.bytes).toBe(2_000_000);
  });
});
