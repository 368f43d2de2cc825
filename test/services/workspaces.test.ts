/**
 * Each service acts in every workspace with due rows, and in the workspace of the row. A run of the first workspace has
 * nothing due. A run with the same id in a second workspace has something due.
 */
import { env, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, test } from "vitest";
import { Database } from "#db/database";
import type { ReceivedEvent } from "#events/event";
import { buildSegments, writeSegments } from "#events/segments";
import { systemIds } from "#lib/clock";
import { noCost } from "#lib/cost";
import { objectName } from "#objects/client";
import { cancelLeftChildren, cancelStuckRuns } from "#services/cancellation-cleanup";
import { markSilentDeployments, wakePools } from "#services/foreman";
import { failExpiredPauses, markLateRuns, skipMissedRuns } from "#services/overdue-runs";
import { crashZombies, scheduleAnew } from "#services/silent-runs";
import { sweepOutbox } from "#services/walk-states";
import { removeOldCaches, removeOrphanedLogs } from "#services/retention-leftovers";
import { topUpSchedules } from "#services/scheduler";
import type { SweepTools } from "#tools";
import { printTime } from "#wire/dates";
import { anEvent } from "../events/world";
import { aFlow, aFlowRun, api, propose, unique, WORKSPACE } from "../support/world";
import { empty, NOW, rowsOf, toolsAt, untilDone } from "./retention-world";
import { later, MINUTE } from "./time";

const OTHER = "00000000-0000-4000-8000-00000000beef";
const HOUR = 60 * MINUTE;
const ids = systemIds();
const now = () => Date.now() * 1000;
const at = (ahead: number) => printTime(now() + ahead);

type Values = Record<string, string | number | null>;

/** Copies rows of the first workspace into the second one, with other values in some columns. */
async function copy(table: string, where: Values, values: Values = {}): Promise<void> {
  const { results } = await env.DB.prepare(`select name from pragma_table_info('${table}')`).all<{ name: string }>();
  const changed: Values = { workspace_id: OTHER, ...values };
  const columns = results.map(({ name }) => `"${name}"`);
  const chosen = results.map(({ name }) => (name in changed ? "?" : `"${name}"`));
  const given = results.flatMap(({ name }) => (name in changed ? [changed[name]] : []));
  const conditions = Object.keys(where).map((name) => `"${name}" = ?`);
  await env.DB.prepare(
    `insert into "${table}" (${columns.join(", ")}) select ${chosen.join(", ")} from "${table}"
     where workspace_id = ? and ${conditions.join(" and ")}`,
  )
    .bind(...given, WORKSPACE, ...Object.values(where))
    .run();
}

interface Twin {
  run?: Values;
  state?: Values;
  stateAge?: number;
}

/** Copies a run with its state. The copied state gets a new id, which is returned. */
async function twinOf(id: string, { run = {}, state = {}, stateAge = 0 }: Twin = {}): Promise<string> {
  const before = await env.DB.prepare(
    "select flow_id, deployment_id, state_id from flow_run where workspace_id = ? and id = ?",
  )
    .bind(WORKSPACE, id)
    .first<{ flow_id: string; deployment_id: string | null; state_id: string }>();
  if (!before) throw new Error(`no run ${id}`);
  const stateId = ids.ordered(now() - stateAge);
  await copy("flow", { id: before.flow_id });
  if (before.deployment_id) await copy("deployment", { id: before.deployment_id });
  await copy("flow_run_state", { id: before.state_id }, { id: stateId, ...state });
  await copy("flow_run", { id }, { state_id: stateId, state_ids: JSON.stringify([stateId]), ...run });
  return stateId;
}

/** The names of the states of a run and of its copy. */
async function names(id: string): Promise<string[]> {
  const nameIn = (workspace: string) =>
    env.DB.prepare("select state_name from flow_run where workspace_id = ? and id = ?")
      .bind(workspace, id)
      .first<string>("state_name");
  return [String(await nameIn(WORKSPACE)), String(await nameIn(OTHER))];
}

async function aDeployment(fields: Record<string, unknown> = {}): Promise<string> {
  const body = { name: unique("d"), flow_id: await aFlow(), ...fields };
  return (await api<{ id: string }>("POST", "/deployments/", body)).body.id;
}

/** A run of a deployment. */
const aRunOf = async (deployment: string, state: Record<string, unknown>) =>
  (await api<{ id: string }>("POST", `/deployments/${deployment}/create_flow_run`, { state })).body.id;

test("a run is late in its own workspace", async () => {
  const { id } = await aFlowRun({ state: { type: "SCHEDULED", state_details: { scheduled_time: at(24 * HOUR) } } });
  await twinOf(id, { run: { next_scheduled_start_time: now() - MINUTE } });
  await later(0, markLateRuns);
  expect(await names(id)).toEqual(["Scheduled", "Late"]);
});

test("a pause expires in its own workspace", async () => {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  await propose(id, { type: "PAUSED", state_details: { pause_timeout: at(HOUR) } });
  await twinOf(id, { state: { state_details: JSON.stringify({ pause_timeout: now() - MINUTE }) } });
  await later(0, failExpiredPauses);
  expect(await names(id)).toEqual(["Paused", "Failed"]);
});

test("a cancellation times out in its own workspace", async () => {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  await propose(id, { type: "CANCELLING" }, true);
  await twinOf(id, { run: { state_timestamp: now() - HOUR } });
  await later(0, cancelStuckRuns);
  expect(await names(id)).toEqual(["Cancelling", "Cancelled"]);
});

test("children are cancelled in the workspace of their run", async () => {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  const task = await api<{ id: string }>("POST", "/task_runs/", {
    flow_run_id: id,
    task_key: "t",
    dynamic_key: "0",
    state: { type: "RUNNING" },
  });
  const CANCELLED = { type: "CANCELLED", name: "Cancelled" };
  await twinOf(id, {
    run: { state_type: CANCELLED.type, state_name: CANCELLED.name },
    state: CANCELLED,
    stateAge: 2 * MINUTE,
  });
  await copy("task_run", { id: task.body.id });
  await later(0, cancelLeftChildren);
  const { results } = await env.DB.prepare(
    "select workspace_id, state_type from task_run where id = unhex(?, '-') order by state_type",
  )
    .bind(task.body.id)
    .all();
  expect(results).toEqual([
    { workspace_id: OTHER, state_type: "CANCELLED" },
    { workspace_id: WORKSPACE, state_type: "RUNNING" },
  ]);
});

/** Runs a turn each minute for eleven minutes, so that the marks say that the server was up. */
async function listenWith(job: (tools: SweepTools) => Promise<void>): Promise<void> {
  for (let ahead = 0; ahead <= 11 * MINUTE; ahead += MINUTE) await later(ahead, job);
}

test("a stuck run is rescheduled in its own workspace", async () => {
  const id = await aRunOf(await aDeployment(), { type: "PENDING" });
  await api("PATCH", `/flow_runs/${id}`, { infrastructure_pid: "somebody answers for it" });
  await twinOf(id, { run: { infrastructure_pid: null } });
  await listenWith(scheduleAnew);
  expect(await names(id)).toEqual(["Pending", "Scheduled"]);
});

test("a zombie crashes in its own workspace", async () => {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  await twinOf(id);
  const written = now();
  const { occurred: _, ...event } = anEvent({ event: "prefect.flow-run.heartbeat", about: `prefect.flow-run.${id}` });
  const received: ReceivedEvent = { occurred: printTime(written), ...event, received: printTime(written) };
  const gathered = [{ event: received, occurred: written, json: JSON.stringify(received) }];
  const database = new Database(env.DB, noCost());
  await writeSegments(database, OTHER, buildSegments(gathered, written, ids), () => false);
  for (let ahead = 0; ahead <= 14 * MINUTE; ahead += 2 * MINUTE) await later(ahead, crashZombies);
  expect(await names(id)).toEqual(["Running", "Crashed"]);
});

test("a run is skipped by the schedule of its own workspace", async () => {
  const schedule = { interval: 1800, anchor_date: "2020-01-01T00:00:00Z" };
  const deployment = await aDeployment({ schedules: [{ schedule, slug: "s" }] });
  const { results } = await env.DB.prepare(
    "select id from flow_run where deployment_id = ? order by expected_start_time",
  )
    .bind(deployment)
    .all<{ id: string }>();
  const id = results[0]?.id ?? "";
  const missed_runs = JSON.stringify({ policy: "skip", window_seconds: 60 });
  await copy("deployment_schedule", { deployment_id: deployment }, { missed_runs });
  await twinOf(id);
  await later(HOUR, skipMissedRuns);
  expect(await names(id)).toEqual(["Scheduled", "Skipped"]);
});

test("a schedule is topped up in its own workspace", async () => {
  const schedule = { interval: 1800, anchor_date: "2020-01-01T00:00:00Z" };
  const deployment = await aDeployment({ schedules: [{ schedule, slug: "s" }] });
  const { body } = await api<{ flow_id: string }>("GET", `/deployments/${deployment}`);
  const runs = async (workspace: string) =>
    Number(
      await env.DB.prepare("select count(*) as n from flow_run where workspace_id = ? and deployment_id = ?")
        .bind(workspace, deployment)
        .first("n"),
    );
  const before = await runs(WORKSPACE);
  await copy("flow", { id: body.flow_id });
  await copy("deployment", { id: deployment });
  await copy("deployment_schedule", { deployment_id: deployment }, { top_up_at: 1, scheduled_until: null });
  await later(0, topUpSchedules);
  expect([await runs(WORKSPACE), await runs(OTHER)]).toEqual([before, before]);
});

test("a served deployment without polls becomes NOT_READY in its own workspace", async () => {
  const deployment = await aDeployment();
  await env.DB.prepare("update deployment set status = 'READY', last_polled = ? where id = ?")
    .bind(now(), deployment)
    .run();
  await copy("deployment", { id: deployment }, { last_polled: now() - HOUR });
  await later(0, markSilentDeployments);
  const { results } = await env.DB.prepare("select workspace_id, status from deployment where id = ? order by status")
    .bind(deployment)
    .all();
  expect(results).toEqual([
    { workspace_id: OTHER, status: "NOT_READY" },
    { workspace_id: WORKSPACE, status: "READY" },
  ]);
});

test("a pool's object is called in its own workspace", async () => {
  const name = unique("pool");
  const { body } = await api<{ id: string }>("POST", "/work_pools/", { name, type: "process" });
  await copy("work_pool", { id: body.id }, { status: "READY" });
  await copy("work_queue", { work_pool_id: body.id });
  await later(HOUR - (now() % HOUR), wakePools);
  const alarmIn = (workspace: string) =>
    runInDurableObject(env.WORK_POOL.get(env.WORK_POOL.idFromName(objectName(workspace, name))), (_, state) =>
      state.storage.getAlarm(),
    );
  expect(await alarmIn(OTHER)).not.toBeNull();
});

test("the event of a state is sent in the workspace of the state, also if the stream of another workspace is unreachable", async () => {
  const { id } = await aFlowRun({ state: { type: "PENDING" } });
  await env.DB.prepare("delete from sweep_mark where name like 'outbox%'").run();
  const stateId = await twinOf(id, { stateAge: 2 * MINUTE });
  const { id: away } = await aFlowRun({ state: { type: "PENDING" } });
  const awayState = ids.ordered(now() - 3 * MINUTE);
  const before = await env.DB.prepare("select state_id, flow_id from flow_run where id = ?").bind(away).first<Values>();
  const elsewhere = { workspace_id: unique("away") };
  await copy("flow_run_state", { id: before?.["state_id"] ?? "" }, { id: awayState, ...elsewhere });
  await copy("flow_run", { id: away }, { state_id: awayState, state_ids: JSON.stringify([awayState]), ...elsewhere });
  const stream = env.EVENT_STREAM;
  const isAway = (workspace: string) => workspace === objectName(elsewhere.workspace_id);
  const EVENT_STREAM = {
    idFromName: (workspace: string) => (isAway(workspace) ? null : stream.idFromName(workspace)),
    get: (object: DurableObjectId | null) =>
      object ? stream.get(object) : { fetch: () => Promise.reject(new Error("the object is not there")) },
  };
  const sent = later(0, (tools) => sweepOutbox({ ...tools, env: { ...env, EVENT_STREAM: EVENT_STREAM as never } }));
  await expect(sent).rejects.toMatchObject({ status: 503 });
  const { results } = await env.DB.prepare(
    "select s.workspace_id from event_segment s, json_each(s.run_event_ids) e where e.value = ?",
  )
    .bind(stateId)
    .all();
  expect(results).toEqual([{ workspace_id: OTHER }]);
  await env.DB.prepare("delete from flow_run where workspace_id = ?").bind(elsewhere.workspace_id).run();
});

describe("retention", () => {
  beforeEach(() => empty("log_segment", "task_run_state_cache"));
  const workspacesIn = async (table: string) => (await rowsOf(table)).map((row) => row["workspace_id"]);

  test("removes the orphaned logs of a run from the workspace in which the run does not exist", async () => {
    const { id } = await aFlowRun({ state: { type: "RUNNING" } });
    for (const workspace of [WORKSPACE, OTHER])
      await env.DB.prepare(`insert into log_segment values (?, ?, 1, 'd', 1, 20, 20, 1, '[{"level":20}]')`)
        .bind(workspace, id)
        .run();
    await untilDone(() => removeOrphanedLogs(toolsAt(NOW, { PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: "orphans" })));
    expect(await workspacesIn("log_segment")).toEqual([WORKSPACE]);
  });

  test("removes an expired result from the workspace in which it has expired", async () => {
    for (const [workspace, expiration] of [
      [WORKSPACE, NOW + 1],
      [OTHER, NOW - 1],
    ] as const)
      await env.DB.prepare("insert into task_run_state_cache values (?, 'key', 'state', ?, ?, '{}')")
        .bind(workspace, NOW, expiration)
        .run();
    await untilDone(() => removeOldCaches(toolsAt(NOW)));
    expect(await workspacesIn("task_run_state_cache")).toEqual([WORKSPACE]);
  });
});
