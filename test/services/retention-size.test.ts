import { env } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { DAILY_SIZES, readDatabase } from "#resources/admin/database";
import { type Env, parseSettings } from "#env";
import { daysWarning, sizeWarning, watchSize } from "#services/database";
import { DEFAULT_SERVICES } from "../support/app";
import { api } from "../support/world";
import { DAY, HOUR, NOW, toolsAt } from "./retention-world";

afterEach(() => vi.restoreAllMocks());

describe("the database's size", () => {
  test("is in an answer of an admin route, and grows with each write", async () => {
    const { body } = await api<{ size_bytes: number }>("GET", "/admin/database");
    await env.DB.prepare("insert into sweep_mark (name, mark) values ('large', hex(zeroblob(500000)))").run();
    const later = await api<{ size_bytes: number }>("GET", "/admin/database");
    expect(later.body.size_bytes - body.size_bytes).toBeGreaterThan(900_000);
  });

  test.for([
    [0, null],
    [799_999, null],
    [800_000, /800000 of 1000000 bytes \(80 %\)/],
    [999_999, /\(99 %\)/],
    [1_000_000, /\(100 %\)/],
  ] as const)("of %d out of a million bytes is warned by %s", ([size_bytes, warning]) => {
    const said = sizeWarning({ size_bytes, limit_bytes: 1_000_000, share: size_bytes / 1_000_000 });
    if (warning === null) expect(said).toBeNull();
    else expect(said).toMatch(warning);
  });

  test("causes a warning once an hour while the database is nearly full", async () => {
    const { size_bytes } = (await readDatabase(toolsAt(NOW).db, NOW)).size;
    const warnings = vi.spyOn(console, "warn").mockReturnValue(undefined);
    const begin = Math.floor(NOW / HOUR) * HOUR;
    const minutes = Array.from({ length: 120 }, (_, minute) => begin + minute * (HOUR / 60));
    for (const minute of minutes) await watchSize(toolsAt(minute), size_bytes);
    expect(warnings).toHaveBeenCalledTimes(2);
    for (const minute of minutes) await watchSize(toolsAt(minute), size_bytes * 2);
    expect(warnings).toHaveBeenCalledTimes(2);
  });
});

describe("the days that a database has room", () => {
  test.for([
    [null, null],
    [1_000, null],
    [31, null],
    [30, /grows by 5 bytes a day: within 30 days \(30\) it has 80 % of its limit/],
    [8, /within 30 days \(8\)/],
    [7, /within 7 days \(7\)/],
    [0, /within 7 days \(0\)/],
  ] as const)("if they are %j, are warned of by %s", ([days_left, warning]) => {
    const said = daysWarning({ share: 0.5, growth_bytes_per_day: 5, days_left });
    if (warning === null) expect(said).toBeNull();
    else expect(said).toMatch(warning);
  });

  test("are not warned of when the database is nearly full: then its size is warned of", () => {
    expect(daysWarning({ share: 0.8, growth_bytes_per_day: 5, days_left: 0 })).toBeNull();
  });

  const BEGIN = Math.floor(NOW / DAY) * DAY;
  const hours = (count: number) => Array.from({ length: count }, (_, hour) => BEGIN + hour * HOUR);
  const readMark = () =>
    env.DB.prepare("select mark from sweep_mark where name = ?").bind(DAILY_SIZES).first<string>("mark");
  const remember = async (daysAgo: number, bytes: number) => {
    const mark = JSON.stringify([{ at: BEGIN - daysAgo * DAY, bytes }]);
    await env.DB.prepare("insert or replace into sweep_mark (name, mark) values (?, ?)").bind(DAILY_SIZES, mark).run();
  };
  const sizeNow = async () => (await readDatabase(toolsAt(NOW).db, NOW)).size.size_bytes;

  test.for([
    [25, /within 30 days \(25\)/],
    [6, /within 7 days \(6\)/],
    [40, null],
  ] as const)("if they are %d, cause one warning a day: %s", async ([days, warning]) => {
    const size = await sizeNow();
    // The size does not change during the test. So the growth is 6,000 bytes in six days, and a little less a day later.
    await remember(6, size - 6_000);
    const limit = Math.floor((size + days * 1_000 - 500) / 0.8);
    const warnings = vi.spyOn(console, "warn").mockReturnValue(undefined);
    for (const hour of hours(24)) await watchSize(toolsAt(hour + 1), limit);
    expect(warnings).toHaveBeenCalledTimes(warning === null ? 0 : 1);
    if (warning !== null) expect(warnings.mock.calls[0]?.[0]).toMatch(warning);
    await watchSize(toolsAt(BEGIN + DAY), limit);
    expect(warnings).toHaveBeenCalledTimes(warning === null ? 0 : 2);
  });

  test("cause one warning if two turns run at the same time", async () => {
    const size = await sizeNow();
    await remember(5, size - 5_000);
    const warnings = vi.spyOn(console, "warn").mockReturnValue(undefined);
    const limit = Math.floor((size + 5_000) / 0.8);
    await Promise.all([1, 2, 3].map((now) => watchSize(toolsAt(BEGIN + now), limit)));
    expect(warnings).toHaveBeenCalledTimes(1);
  });

  test("are known from one size a day, of eight days at most", async () => {
    await env.DB.prepare("delete from sweep_mark").run();
    for (const hour of hours(24 * 12)) await watchSize(toolsAt(hour));
    const size = await sizeNow();
    const remembered = Array.from({ length: 8 }, (_, index) => ({ at: BEGIN + (4 + index) * DAY, bytes: size }));
    expect(JSON.parse((await readMark()) ?? "")).toEqual(remembered);
  });

  test("cost nothing outside of the first turn of an hour, and one written row a day", async () => {
    await env.DB.prepare("delete from sweep_mark").run();
    const cost = async (now: number) => {
      const tools = toolsAt(now);
      await watchSize(tools);
      return [tools.db.cost.d1_queries, tools.db.cost.d1_rows_read, tools.db.cost.d1_rows_written];
    };
    expect(await cost(BEGIN)).toEqual([2, 0, 1]);
    expect(await cost(BEGIN + HOUR)).toEqual([1, 1, 0]);
    expect(await cost(BEGIN + HOUR + HOUR / 2)).toEqual([0, 0, 0]);
  });

  test.for(["nonsense", '{"a":1}'])("are known again a day after the remembered sizes became %s", async (mark) => {
    await env.DB.prepare("insert or replace into sweep_mark (name, mark) values (?, ?)").bind(DAILY_SIZES, mark).run();
    await watchSize(toolsAt(BEGIN));
    expect(JSON.parse((await readMark()) ?? "")).toEqual([{ at: BEGIN, bytes: expect.any(Number) as number }]);
  });
});

describe("the settings of retention", () => {
  const read = (vars: Partial<Env>) => parseSettings({ ...env, ...vars }).services.db_vacuum;

  test.for([
    [undefined, ["events"]],
    ["", ["events"]],
    ["true", ["events", "flow_runs", "orphans"]],
    [true, ["events", "flow_runs", "orphans"]],
    ["1", ["events", "flow_runs", "orphans"]],
    [1, ["events", "flow_runs", "orphans"]],
    ["False", ["events"]],
    [false, ["events"]],
    ["0", ["events"]],
    ["flow_runs", ["flow_runs", "orphans"]],
    [" orphans , events", ["events", "orphans"]],
    ["orphans", ["orphans"]],
    [",", []],
  ] as const)("%j removes %j", ([given, types]) => {
    expect(read(given === undefined ? {} : { PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: given })).toEqual({
      ...DEFAULT_SERVICES.db_vacuum,
      enabled: types.length > 0,
      types,
    });
  });

  test.for([
    ["PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED", "events,logs"],
    ["PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD", "3600"],
    ["PREFECT_SERVER_SERVICES_DB_VACUUM_BATCH_SIZE", "0"],
    ["PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS", "0"],
    ["PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES", "heartbeat"],
    ["PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES", '{"a":0}'],
    ["PREFECT_SERVER_EVENTS_RETENTION_PERIOD", "-1"],
  ] as const)("%s cannot be %j, and the message names it", ([name, given]) => {
    expect(() => read({ [name]: given })).toThrow(name);
  });

  test("are in the form of the original", async () => {
    const { body } = await api<{ server: { services: Record<string, unknown>; events: Record<string, unknown> } }>(
      "GET",
      "/admin/settings",
    );
    expect(body.server.services["db_vacuum"]).toEqual({
      enabled: ["events"],
      loop_seconds: 3600,
      orphan_cleanup_loop_seconds: 86_400,
      retention_period: "P90D",
      batch_size: 200,
      event_retention_overrides: { "prefect.flow-run.heartbeat": "P7D" },
    });
    expect(body.server.events["retention_period"]).toBe("P7D");
  });
});
