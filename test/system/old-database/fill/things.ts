/** Fills a server with pools, queues, limits, variables, flows and deployments. */
import { z } from "zod";
import type { Api } from "../../support/api.ts";
import { EXACT, nested, UNICODE } from "./made.ts";

const WithId = z.object({ id: z.string() });

/** The flows' names and their tags. */
const FLOWS: [string, string[]][] = [
  ["old-etl", ["nightly", "team:data"]],
  ["old-report", ["nightly"]],
  ["old-subflow", []],
  ["old-ünïcode 🌍", ["grün"]],
  ["old-reported", []],
  ["old-logs", ["verbose"]],
  ["old-waiting", []],
  ["old-empty", ["never-runs", "team:data"]],
];

const SCHEMA = {
  type: "object",
  title: "Parameters",
  properties: { day: { type: "string", title: "day" }, limit: { type: "number", default: EXACT.one } },
  required: ["day"],
};

/** The ids of the filled flows and deployments by name. */
export interface Things {
  flows: Map<string, string>;
  deployments: Map<string, string>;
}

/** Creates everything that is no run, log or event. */
export async function fillThings(api: Api): Promise<Things> {
  await fillPools(api);
  await fillLimitsAndVariables(api);
  const flows = new Map<string, string>();
  for (const [name, tags] of FLOWS) {
    const labels = { origin: "fixture", "a.b": 1, precise: EXACT.cents, on: true };
    flows.set(name, await create(api, "/flows/", { name, tags, labels }));
  }
  const deployments = new Map<string, string>();
  for (const { flow, ...body } of DEPLOYMENTS) {
    const id = await create(api, "/deployments/", { ...body, flow_id: flows.get(flow) });
    deployments.set(body.name, id);
  }
  await api.ask(`/deployments/${deployments.get("paused")}/pause_deployment`, {});
  // A second version of its content.
  const changed = { name: "manual", parameters: { nested: UNICODE }, tags: ["prod"], version: "2" };
  await create(api, "/deployments/", { ...changed, flow_id: flows.get("old-report") });
  return { flows, deployments };
}

async function fillPools(api: Api): Promise<void> {
  const template = {
    job_configuration: { command: "{{ command }}", env: "{{ env }}", labels: nested(3) },
    variables: { type: "object", properties: { command: { type: "string" }, env: { type: "object", default: {} } } },
  };
  await api.ask("/work_pools/", { name: "old-process", type: "process", description: UNICODE });
  await api.ask("/work_pools/", {
    name: "old-docker",
    type: "docker",
    base_job_template: template,
    concurrency_limit: 5,
  });
  await api.ask("/work_pools/", { name: "old-paused", type: "process", is_paused: true });
  await api.ask("/work_pools/old-process/queues", { name: "high", priority: 1, concurrency_limit: 2 });
  await api.ask("/work_pools/old-process/queues", { name: "low", priority: 9, is_paused: true, description: UNICODE });
  await api.ask("/work_pools/old-docker/queues", { name: "high", priority: 3 });
  for (const name of ["worker-1", "wörker-2"]) {
    await api.ask("/work_pools/old-process/workers/heartbeat", { name, heartbeat_interval_seconds: 30 });
  }
}

async function fillLimitsAndVariables(api: Api): Promise<void> {
  await api.ask("/concurrency_limits/", { tag: "old-db", concurrency_limit: 3 });
  await api.ask("/concurrency_limits/", { tag: "old-gpu", concurrency_limit: 1 });
  await api.ask("/v2/concurrency_limits/", { name: "old-slots", limit: 7 });
  await api.ask("/v2/concurrency_limits/", { name: "old-rate", limit: 100, slot_decay_per_second: 2.5 });
  await api.ask("/v2/concurrency_limits/", { name: "old-idle", limit: 1, active: false });
  const values = [1, "text", null, true, EXACT, UNICODE, [EXACT.big, "1.0", []], nested(20)];
  for (const [index, value] of values.entries()) {
    await api.ask("/variables/", { name: `old_value_${index}`, value, tags: index % 2 ? ["odd", "old"] : ["old"] });
  }
}

const SHARED = { work_pool_name: "old-process", entrypoint: "flows.py:etl", path: "/srv/flows" };

const DEPLOYMENTS = [
  {
    ...SHARED,
    flow: "old-etl",
    name: "nightly",
    version: "7",
    description: UNICODE,
    tags: ["prod", "nightly"],
    labels: { stage: "prod", share: EXACT.cents },
    parameters: { day: "2026-11-20", limit: EXACT.one, precise: EXACT },
    parameter_openapi_schema: SCHEMA,
    pull_steps: [{ "prefect.deployments.steps.set_working_directory": { directory: "/srv/flows" } }],
    job_variables: { env: { NAME: UNICODE, NUMBER: EXACT.big } },
    schedules: [
      { active: true, slug: "cron", schedule: { cron: "30 2 * * 1-5", timezone: "Europe/Berlin" } },
      {
        active: true,
        max_scheduled_runs: 5,
        parameters: { day: "sunday", limit: EXACT.cents },
        schedule: { rrule: "DTSTART:20261101T060000Z\nFREQ=WEEKLY;BYDAY=SU", timezone: "UTC" },
      },
    ],
  },
  {
    ...SHARED,
    flow: "old-etl",
    name: "hourly",
    tags: ["prod"],
    work_queue_name: "high",
    concurrency_limit: 2,
    concurrency_options: { collision_strategy: "CANCEL_NEW", grace_period_seconds: 90 },
    schedules: [
      { active: true, schedule: { interval: 3600, anchor_date: "2026-11-01T00:15:00Z", timezone: "Asia/Tokyo" } },
      { active: false, schedule: { interval: 86_400, anchor_date: "2026-11-01T00:00:00Z", timezone: "UTC" } },
    ],
  },
  { flow: "old-report", name: "manual", parameters: { nested: nested(10) }, enforce_parameter_schema: false },
  { ...SHARED, flow: "old-report", name: "docker", work_pool_name: "old-docker", work_queue_name: "high" },
  { ...SHARED, flow: "old-report", name: "paused", tags: ["prod"], work_queue_name: "low" },
  { flow: "old-ünïcode 🌍", name: "prüfung-✓", description: "ß".repeat(500), tags: ["grün"] },
];

/** Creates a thing, and gives its id. */
export async function create(api: Api, path: string, body: unknown): Promise<string> {
  return WithId.parse(await api.ask(path, body)).id;
}
