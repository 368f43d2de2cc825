import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import { type Env, parseSettings } from "#env";
import { CRONS, runCron } from "#services/crons";
import { makeTools } from "#tools";
import doc from "../../docs/services.md?raw";
import { DEFAULT_SERVICES } from "../support/app";
import { WORKSPACE } from "../support/world";

const settingsWith = (vars: Partial<Env>) => parseSettings({ ...env, ...vars });

test("the services have the original's defaults", () => {
  expect(settingsWith({}).services).toEqual(DEFAULT_SERVICES);
  expect(DEFAULT_SERVICES).toEqual({
    scheduler: {
      enabled: true,
      min_runs: 3,
      max_runs: 100,
      min_scheduled_seconds: 3600,
      max_scheduled_seconds: 100 * 86_400,
    },
    late_runs: { enabled: true, after_seconds: 15 },
    pause_expirations: { enabled: true },
    cancellation_cleanup: { enabled: true, cancelling_timeout_seconds: 300 },
    foreman: { enabled: true },
    zombies: { enabled: true, missed_heartbeats: 4, fallback_heartbeat_interval_seconds: 180 },
    lazarus: { enabled: true, pending_seconds: 600, infrastructure_pending_seconds: 3600, most_times: 10 },
    db_vacuum: {
      enabled: true,
      types: ["events"],
      loop_seconds: 3600,
      orphan_cleanup_loop_seconds: 86_400,
      retention_period: 90 * 86_400,
      batch_size: 200,
      event_retention_period: 7 * 86_400,
      event_retention_overrides: { "prefect.flow-run.heartbeat": 7 * 86_400 },
    },
  });
});

test.for([
  ["false", false],
  ["0", false],
  ["off", false],
  [false, false],
  ["True", true],
  ["1", true],
  [true, true],
  ["", true],
] as const)("a switch that is set to %j is %s", ([given, enabled]) => {
  const { services } = settingsWith({ PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED: given });
  expect(services.late_runs.enabled).toBe(enabled);
});

test.for([
  ["2.5", 2.5],
  [0, 0],
  ["", 15],
] as const)("a figure that is set to %j is %d", ([given, figure]) => {
  const { services } = settingsWith({ PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS: given });
  expect(services.late_runs.after_seconds).toBe(figure);
});

test.for([
  ["PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED", "perhaps"],
  ["PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS", "soon"],
  ["PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS", "-1"],
  ["PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS", "0"],
] as const)("%s cannot be %j, and the message names it", ([name, given]) => {
  expect(() => settingsWith({ [name]: given })).toThrow(name);
});

test("a service that is switched off does not run, and the other services run although one fails", async () => {
  const context = createExecutionContext();
  const tools = makeTools(env, WORKSPACE, (work) => context.waitUntil(work));
  const services = { ...DEFAULT_SERVICES, late_runs: { enabled: false, after_seconds: 15 } };
  const done: string[] = [];
  const job = (name: string) => ({
    name,
    run: async () => {
      done.push(name);
      if (name === "broken") throw new Error("as it was meant to");
    },
  });
  const complaints = vi.spyOn(console, "error").mockReturnValue(undefined);
  await runCron([{ ...job("off"), service: "late_runs" }, job("broken"), { ...job("on"), service: "scheduler" }], {
    ...tools,
    settings: { ...tools.settings, services },
  });
  await waitOnExecutionContext(context);
  expect(done).toEqual(["broken", "on"]);
  expect(complaints.mock.calls.map(([line]) => JSON.parse(String(line)) as unknown)).toMatchObject([
    { message: "a job failed", job: "broken", workspace_id: WORKSPACE, error: { message: "as it was meant to" } },
  ]);
});

test("the documentation lists every job", () => {
  const jobs = Object.values(CRONS).flatMap((some) => some.map(({ name }) => name));
  expect(jobs.filter((name) => !doc.includes(`\n| ${name} `))).toEqual([]);
});

test("every service of the settings has its job", () => {
  const named = Object.values(CRONS).flatMap((jobs) => jobs.flatMap(({ service }) => service ?? []));
  expect(new Set(named)).toEqual(new Set(Object.keys(DEFAULT_SERVICES)));
});
