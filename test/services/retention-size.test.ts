import { env } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { MAX_DATABASE_BYTES, readDatabaseSize } from "#resources/admin/store";
import { type Env, parseSettings } from "#env";
import { sizeWarning, watchSize } from "#services/database";
import { DEFAULT_SERVICES } from "../support/app";
import { api } from "../support/world";
import { HOUR, NOW, toolsAt } from "./retention-world";

afterEach(() => vi.restoreAllMocks());

describe("the database's size", () => {
  test("is in an answer of an admin route, and grows with each write", async () => {
    const { status, body } = await api<{ size_bytes: number }>("GET", "/admin/database");
    expect(status).toBe(200);
    expect(body.size_bytes).toBeGreaterThan(10_000);
    expect(body).toEqual({
      size_bytes: body.size_bytes,
      limit_bytes: MAX_DATABASE_BYTES,
      share: body.size_bytes / MAX_DATABASE_BYTES,
    });
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
    const { size_bytes } = await readDatabaseSize(toolsAt(NOW).db);
    const warnings = vi.spyOn(console, "warn").mockReturnValue(undefined);
    const begin = Math.floor(NOW / HOUR) * HOUR;
    const minutes = Array.from({ length: 120 }, (_, minute) => begin + minute * (HOUR / 60));
    for (const minute of minutes) await watchSize(toolsAt(minute), size_bytes);
    expect(warnings).toHaveBeenCalledTimes(2);
    for (const minute of minutes) await watchSize(toolsAt(minute), size_bytes * 2);
    expect(warnings).toHaveBeenCalledTimes(2);
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
