/** A row of a table WITHOUT ROWID that is longer than a quarter of a page takes a page of its own: four times the space. */
import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { aSegment, deliver } from "../events/recording";
import { taskRunReports } from "../events/world";
import { Pool } from "../objects/work-pool/pool";
import { aDeployment, api, propose } from "../support/world";

/** How many bytes of a row a page of 4,096 bytes keeps: (4096 - 12) * 64 / 255 - 23. */
const MAX_LOCAL = 1_002;

type Value = string | number | null | number[];

/** The number of bytes of SQLite's variable-length integer. */
const varint = (value: number): number => (value < 128 ? 1 : value < 16_384 ? 2 : 3);

function bodyOf(value: Value): { type: number; bytes: number } {
  if (value === null) return { type: 0, bytes: 0 };
  if (Array.isArray(value)) return { type: 13 + 2 * value.length, bytes: value.length };
  if (typeof value === "string") {
    const { length } = new TextEncoder().encode(value);
    return { type: 13 + 2 * length, bytes: length };
  }
  if (value === 0 || value === 1) return { type: 8, bytes: 0 };
  const bits = Math.floor(Math.log2(Math.abs(value))) + 2;
  return { type: 6, bytes: [8, 16, 24, 32, 48].find((most) => bits <= most) ?? 64 };
}

/** The length of a row in SQLite's record format. */
function recordBytes(row: Record<string, Value>): number {
  const parts = Object.values(row).map(bodyOf);
  const header = parts.reduce((sum, { type }) => sum + varint(type), 1);
  return (
    header + parts.reduce((sum, { type, bytes }) => sum + (type === 6 ? bytes / 8 : bytes), 0) + (header > 126 ? 1 : 0)
  );
}

async function sizeOf(table: string, where: string, ...values: string[]): Promise<number> {
  const { results } = await env.DB.prepare(`select * from ${table} where ${where}`)
    .bind(...values)
    .all<Record<string, Value>>();
  expect(results.length).toBeGreaterThan(0);
  return Math.max(...results.map(recordBytes));
}

const ENDED = ["PENDING", "RUNNING", "COMPLETED"];
const LIFE = ENDED.map((type, index) => ({ type, at: 1_790_000_000_000_000 + index }));

/** The reports of a task run as the stock client sends them. */
function stockReports(flowRunId: string, change: (payload: Payload) => void = () => {}) {
  return taskRunReports(LIFE, { flowRunId }).map((report) => {
    const payload = structuredClone(report.payload) as unknown as Payload;
    Object.assign(payload.task_run, {
      name: "transform_customers-3f2",
      task_key: "transform_customers-69d654c7",
      empirical_policy: { max_retries: 0, retry_delay_seconds: 0.0, retries: 0, retry_delay: 0 },
      task_inputs: { customers: [{ input_type: "task_run", id: crypto.randomUUID() }] },
    });
    if (payload.validated_state["type"] === "COMPLETED")
      payload.validated_state["state_details"] = { untrackable_result: true };
    change(payload);
    return { ...report, payload: payload as unknown as typeof report.payload };
  });
}

interface Payload {
  task_run: Record<string, unknown>;
  validated_state: Record<string, unknown>;
}

test("seven rows of stock task runs fit on a page", async () => {
  const flowRunId = crypto.randomUUID();
  await deliver(await aSegment(stockReports(flowRunId)));
  expect(await sizeOf("task_run", "flow_run_id = unhex(?, '-')", flowRunId)).toBeLessThanOrEqual(575);
});

test("a task run with a result and an error of half a kilobyte still needs no page of its own", async () => {
  const flowRunId = crypto.randomUUID();
  const failed = stockReports(flowRunId, ({ validated_state }) => {
    if (validated_state["type"] === "COMPLETED") validated_state["message"] = "x".repeat(450);
  });
  await deliver(await aSegment(failed));
  expect(await sizeOf("task_run", "flow_run_id = unhex(?, '-')", flowRunId)).toBeLessThanOrEqual(MAX_LOCAL);
  // The measure notices a row that is too long.
  const large = stockReports(flowRunId, ({ task_run }) => Object.assign(task_run, { tags: ["t".repeat(900)] }));
  await deliver(await aSegment(large));
  expect(await sizeOf("task_run", "flow_run_id = unhex(?, '-')", flowRunId)).toBeGreaterThan(MAX_LOCAL);
});

test("the rows of a stock flow run of a schedule need no page of their own", async () => {
  const pool = await Pool.made();
  const deployment = await aDeployment({
    work_pool_name: pool.name,
    tags: ["nightly"],
    parameters: { day: "2026-01-01", limit: 1000 },
    schedules: [{ schedule: { interval: 3600, anchor_date: "2020-01-01T00:00:00Z", timezone: "Europe/Berlin" } }],
  });
  await api("POST", `/deployments/${deployment.id}/schedule`, {});
  const [run] = (
    await api<{ id: string }[]>("POST", "/flow_runs/filter", {
      deployments: { id: { any_: [deployment.id] } },
      limit: 1,
    })
  ).body;
  const id = run?.id ?? "";
  await api("PATCH", `/flow_runs/${id}/labels`, {
    "prefect.worker.name": "ProcessWorker 3b1f0c52-7a1c-4c62-9e4e-2f3f5f6a7b8c",
    "prefect.worker.type": "process",
    "prefect.work-pool.name": pool.name,
    "prefect.work-pool.id": crypto.randomUUID(),
  });
  await api("PATCH", `/flow_runs/${id}`, {
    infrastructure_pid: "build-host-7:4711",
    flow_version: "b59b733a0d93a48605a160f089061102",
  });
  for (const state of STOCK_STATES) await propose(id, { ...state, state_details: allDetails() }, true);
  expect(await sizeOf("flow_run", "id = ?", id)).toBeLessThanOrEqual(MAX_LOCAL);
  expect(await sizeOf("flow_run_state", "flow_run_id = ?", id)).toBeLessThanOrEqual(250);
});

const STOCK_STATES = [
  { type: "PENDING" },
  { type: "PENDING", name: "Submitting" },
  { type: "RUNNING" },
  { type: "COMPLETED", message: null, data: null },
];

/** The details as a client sends them: every field. */
const allDetails = () => ({
  scheduled_time: "2026-11-28T08:00:00Z",
  transition_id: crypto.randomUUID(),
  deferred: null,
  untrackable_result: false,
  pause_reschedule: false,
  cache_key: null,
  cache_expiration: null,
  pause_timeout: null,
  pause_key: null,
  run_input_keyset: null,
  refresh_cache: null,
  retriable: null,
  traceparent: null,
});
