import { env, runInDurableObject, SELF } from "cloudflare:test";
import { sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { DEFAULT_WORKSPACE } from "#env";
import { acquireLease, concurrencyLimits } from "#objects/concurrency-limits/client";
import type { ConcurrencyLimits } from "#objects/concurrency-limits/object";
import { objectName } from "#objects/client";
import { selectUnderWay } from "#resources/flow-runs/why/rows";
import { Why, type WhyReason } from "#resources/flow-runs/why/schema";
import { costOf, TELL_COST } from "../support/cost";
import { planOf } from "../support/plans";
import { goes, Pool, tools } from "../objects/work-pool/pool";
import { aDeployment as aPlainDeployment, aFlowRun, api, aRunOf, propose, unique } from "../support/world";

type Code = WhyReason["code"];

/** The answer for a run. The answer has exactly the fields of its schema. */
async function why(id: string): Promise<Why> {
  const { status, body } = await api<Why>("GET", `/flow_runs/${id}/why`);
  expect(status).toBe(200);
  expect(Why.parse(body)).toEqual(body);
  for (const { message } of body.reasons) expect(message).toMatch(/^[A-Z0-9].*\.$/);
  return body;
}

const codes = ({ reasons }: Why): Code[] => reasons.map(({ code }) => code);

/** The reason with this code, which the answer must have. */
function found<C extends Code>(answer: Why, code: C): Extract<WhyReason, { code: C }> {
  const reason = answer.reasons.find((each): each is Extract<WhyReason, { code: C }> => each.code === code);
  if (!reason) throw new Error(`${code} is not among ${codes(answer).join(", ")}`);
  return reason;
}

interface Deployment {
  id: string;
  name: string;
  flow_id: string;
  global_concurrency_limit: { id: string } | null;
}

const aDeployment = aPlainDeployment<Deployment>;

const later = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
const scheduledIn = (seconds: number, name?: string) => ({
  type: "SCHEDULED",
  ...(name && { name }),
  state_details: { scheduled_time: later(seconds) },
});

const heartbeat = (pool: Pool, name: string) =>
  api("POST", `/work_pools/${pool.name}/workers/heartbeat`, { name, heartbeat_interval_seconds: 30 });

/** A pool with a worker that polls all its queues. */
async function aServedPool(fields: Record<string, unknown> = {}): Promise<Pool> {
  const pool = await Pool.made(fields);
  await heartbeat(pool, "ada");
  await pool.poll();
  return pool;
}

const setColumn = (table: string, column: string, value: unknown, id: string) =>
  env.DB.prepare(`update ${table} set ${column} = ? where id = ?`).bind(value, id).run();

const holding = (limitId: string | undefined, runId: string, seconds = 300) =>
  acquireLease(tools(), {
    lease_id: crypto.randomUUID(),
    limit_ids: [limitId ?? ""],
    slots: 1,
    seconds,
    holder: { type: "flow_run", id: runId },
  });

describe("a run of a work pool has not started because", () => {
  test("its time has not come", async () => {
    const pool = await aServedPool();
    const { id } = await pool.run(scheduledIn(3600));
    const answer = await why(id);
    expect(codes(answer)).toEqual(["waiting_for_time"]);
    const { facts, since } = found(answer, "waiting_for_time");
    expect(answer).toMatchObject({
      flow_run_id: id,
      started: false,
      state: { type: "SCHEDULED", name: "Scheduled", timestamp: since },
      next: { who: "worker", at: facts.scheduled_time },
    });
    expect(Date.parse(facts.scheduled_time)).toBeGreaterThan(Date.now() + 3_500_000);
  });

  test("its pool is paused", async () => {
    const pool = await aServedPool();
    const { id } = await pool.run();
    await api("PATCH", `/work_pools/${pool.name}`, { is_paused: true });
    const answer = await why(id);
    expect(codes(answer)).toEqual(["work_pool_paused"]);
    expect(found(answer, "work_pool_paused").facts).toEqual({ work_pool_id: pool.id, work_pool_name: pool.name });
    await api("PATCH", `/work_pools/${pool.name}`, { is_paused: false });
    expect(codes(await why(id))).toEqual(["ready"]);
  });

  test("its queue is paused", async () => {
    const pool = await aServedPool();
    const { id } = await pool.run();
    await api("PATCH", `/work_queues/${pool.defaultQueueId}`, { is_paused: true });
    const answer = await why(id);
    expect(codes(answer)).toEqual(["work_queue_paused"]);
    expect(found(answer, "work_queue_paused").facts).toMatchObject({
      work_queue_id: pool.defaultQueueId,
      work_queue_name: "default",
      work_pool_name: pool.name,
    });
  });

  test("no worker ever polled its pool", async () => {
    const pool = await Pool.made();
    const { id } = await pool.run();
    const answer = await why(id);
    expect(codes(answer)).toEqual(["no_worker_online"]);
    expect(found(answer, "no_worker_online")).toMatchObject({ since: null, facts: { last_workers: [] } });
    expect(answer.next).toMatchObject({ who: "somebody", message: expect.stringContaining(pool.name) });
  });

  test("its last worker is not online; the answer has the time", async () => {
    const pool = await aServedPool();
    const { id } = await pool.run();
    await pool.wait(600);
    const answer = await why(id);
    expect(codes(answer)).toEqual(["no_worker_online"]);
    const { facts, since, message } = found(answer, "no_worker_online");
    expect(facts.last_workers).toMatchObject([{ name: "ada", last_heartbeat: since }]);
    expect(message).toContain('"ada"');
  });

  test("the only online worker is of another pool and of another type", async () => {
    const other = await aServedPool({ type: "docker" });
    await other.alarm();
    await other.inObject((object) => object.onTimer("change"));
    const pool = await Pool.made({ type: "process" });
    const { id } = await pool.run();
    const { facts, message } = found(await why(id), "no_worker_online");
    expect(facts.work_pool_type).toBe("process");
    expect(facts.pools_online).toContainEqual({ name: other.name, type: "docker" });
    expect(facts.pools_online).not.toContainEqual(expect.objectContaining({ name: pool.name }));
    expect(message).toContain(`"${other.name}" (docker)`);
  });

  test("the online worker polls other queues", async () => {
    const pool = await Pool.made();
    await api("POST", `/work_pools/${pool.name}/queues`, { name: "forgotten" });
    await heartbeat(pool, "ada");
    await api("POST", `/work_pools/${pool.name}/get_scheduled_flow_runs`, { work_queue_names: ["default"] });
    const { id } = await pool.run({ type: "SCHEDULED" }, "forgotten");
    const answer = await why(id);
    expect(codes(answer)).toEqual(["work_queue_not_polled"]);
    expect(found(answer, "work_queue_not_polled")).toMatchObject({
      since: null,
      facts: { work_queue_name: "forgotten", last_polled: null, workers: [{ name: "ada" }] },
    });
  });

  test("its pool is of a type that has no workers", async () => {
    const pool = await Pool.made({ type: "ecs:push" });
    const { id } = await pool.run();
    const answer = await why(id);
    expect(codes(answer)).toEqual(["work_pool_without_workers"]);
    expect(answer.next.who).toBe("nobody");
  });

  test("no agent polls the pool of agents", async () => {
    const pool = await Pool.made({ type: "prefect-agent" });
    const { id } = await pool.run();
    expect(codes(await why(id))).toEqual(["work_queue_not_polled"]);
    await pool.pollQueue();
    expect(codes(await why(id))).toEqual(["ready"]);
  });

  test("all slots of the pool are in use; the answer has the runs with slots", async () => {
    const pool = await aServedPool({ concurrency_limit: 1 });
    const [holder, waiting] = [await pool.run(), await pool.run()];
    await goes(holder.id, "PENDING");
    await goes(holder.id, "RUNNING");
    const answer = await why(waiting.id);
    expect(codes(answer)).toEqual(["work_pool_full"]);
    const { facts, message } = found(answer, "work_pool_full");
    expect(facts).toMatchObject({ work_pool_name: pool.name, limit: 1, in_use: 1 });
    expect(facts.holders).toEqual([
      {
        type: "flow_run",
        id: holder.id,
        name: holder.name,
        state_name: "Running",
        since: expect.any(String),
        until: null,
      },
    ]);
    expect(message).toContain(`"${holder.name}"`);
    await goes(holder.id, "COMPLETED");
    expect(codes(await why(waiting.id))).toEqual(["ready"]);
  });

  test("all slots of the queue are in use; the answer has the runs with slots", async () => {
    const pool = await aServedPool();
    await api("PATCH", `/work_queues/${pool.defaultQueueId}`, { concurrency_limit: 1 });
    const [holder, waiting] = [await pool.run(), await pool.run()];
    await goes(holder.id, "PENDING");
    const answer = await why(waiting.id);
    expect(codes(answer)).toEqual(["work_queue_full"]);
    expect(found(answer, "work_queue_full").facts).toMatchObject({
      work_queue_name: "default",
      limit: 1,
      in_use: 1,
      holders: [{ id: holder.id, name: holder.name, state_name: "Pending" }],
    });
  });

  test("its queue's limit is 0", async () => {
    const pool = await aServedPool();
    await api("PATCH", `/work_queues/${pool.defaultQueueId}`, { concurrency_limit: 0 });
    const answer = await why((await pool.run()).id);
    expect(found(answer, "work_queue_full").facts).toMatchObject({ limit: 0, in_use: 0, holders: [] });
    expect(answer.next.message).toBe("Raise the limit.");
  });

  test("other runs are before it in the queue; the answer has their number", async () => {
    const pool = await Pool.made();
    await api("POST", `/work_pools/${pool.name}/queues`, { name: "urgent", priority: 1 });
    await api("POST", `/work_pools/${pool.name}/queues`, { name: "idle", priority: 9 });
    await heartbeat(pool, "ada");
    await pool.poll();
    await pool.run(scheduledIn(-50), "urgent");
    await pool.run(scheduledIn(-40), "urgent");
    await pool.run(scheduledIn(600), "urgent");
    await pool.run(scheduledIn(-90), "idle");
    await pool.run(scheduledIn(-30));
    const { id } = await pool.run(scheduledIn(-20));
    await pool.run(scheduledIn(-10));
    const answer = await why(id);
    expect(codes(answer)).toEqual(["behind_others"]);
    expect(found(answer, "behind_others").facts).toMatchObject({
      work_queue_name: "default",
      in_queue: 1,
      in_other_queues: 2,
    });
  });

  test("(no reason) it is ready, and the next poll gets it", async () => {
    const pool = await aServedPool();
    const { id } = await pool.run();
    const answer = await why(id);
    expect(codes(answer)).toEqual(["ready"]);
    expect(found(answer, "ready").facts.last_polled).toEqual(expect.any(String));
    expect(await pool.poll()).toEqual([id]);
  });

  test("its pool was deleted", async () => {
    const pool = await aServedPool();
    const { id } = await pool.run();
    await api("DELETE", `/work_pools/${pool.name}`);
    expect(codes(await why(id))).toEqual(["no_work_queue"]);
  });

  test("there are several reasons, and the first one decides", async () => {
    const pool = await Pool.made({ concurrency_limit: 1 });
    const [holder, waiting] = [await pool.run(), await pool.run()];
    await goes(holder.id, "PENDING");
    await api("PATCH", `/work_queues/${pool.defaultQueueId}`, { is_paused: true });
    await api("PATCH", `/work_pools/${pool.name}`, { is_paused: true });
    const expected: Code[] = ["work_pool_paused", "work_queue_paused", "no_worker_online", "work_pool_full"];
    expect(codes(await why(waiting.id))).toEqual(expected);
  });
});

describe("a run of a deployment has not started because", () => {
  test("the limit of its deployment is full; the answer has the leases and their ends", async () => {
    const pool = await aServedPool();
    const deployment = await aDeployment({ work_pool_name: pool.name, concurrency_limit: 1 });
    const [holder, waiting] = [await aRunOf(deployment), await aRunOf(deployment)];
    await goes(holder.id, "PENDING");
    const answer = await why(waiting.id);
    expect(codes(answer)).toEqual(["deployment_limit_full"]);
    const { facts, since } = found(answer, "deployment_limit_full");
    expect(facts).toMatchObject({
      deployment_name: deployment.name,
      limit_id: deployment.global_concurrency_limit?.id,
      limit: 1,
      in_use: 1,
      collision_strategy: "ENQUEUE",
      holders: [{ type: "flow_run", id: holder.id, name: holder.name, state_name: "Pending", since }],
    });
    const [held] = facts.holders;
    expect(Date.parse(held?.until ?? "")).toBeGreaterThan(Date.now());
  });

  test("a run of another deployment has the slots of a shared limit", async () => {
    const shared = await api<{ id: string }>("POST", "/v2/concurrency_limits/", { name: unique("shared"), limit: 1 });
    const global_concurrency_limit_id = shared.body.id;
    const pool = await aServedPool();
    const [one, two] = [
      await aDeployment({ work_pool_name: pool.name, global_concurrency_limit_id }),
      await aDeployment({ global_concurrency_limit_id }),
    ];
    const holder = await aRunOf(two);
    await goes(holder.id, "PENDING");
    const { facts } = found(await why((await aRunOf(one)).id), "deployment_limit_full");
    expect(facts.holders).toMatchObject([{ id: holder.id, name: holder.name }]);
  });

  test("a lease that names a shared limit has the slots", async () => {
    const name = unique("shared");
    const shared = await api<{ id: string }>("POST", "/v2/concurrency_limits/", { name, limit: 3 });
    const pool = await aServedPool();
    const fields = { work_pool_name: pool.name, global_concurrency_limit_id: shared.body.id };
    const waiting = await aRunOf(await aDeployment(fields));
    const retried = await aFlowRun({ state: scheduledIn(60, "AwaitingRetry") });
    await holding(shared.body.id, retried.id);
    await api("POST", "/v2/concurrency_limits/increment", { names: [name], slots: 2, mode: "concurrency" });
    const { facts, since } = found(await why(waiting.id), "deployment_limit_full");
    expect(facts).toMatchObject({ limit: 3, in_use: 3 });
    expect(facts.holders).toMatchObject([{ id: retried.id, name: retried.name, state_name: "AwaitingRetry" }]);
    // The times of the other two slots are unknown.
    expect(since).toBe(null);
  });

  test("it was refused a slot and is proposed again later", async () => {
    const pool = await aServedPool();
    const deployment = await aDeployment({ work_pool_name: pool.name, concurrency_limit: 1 });
    const [holder, waiting] = [await aRunOf(deployment), await aRunOf(deployment)];
    await goes(holder.id, "PENDING");
    expect(await propose(waiting.id, { type: "PENDING" })).toMatchObject({ status: "REJECT" });
    const answer = await why(waiting.id);
    expect(codes(answer)).toEqual(["awaiting_concurrency_slot", "deployment_limit_full"]);
    expect(answer.next.at).toBe(found(answer, "awaiting_concurrency_slot").facts.scheduled_time);
    await goes(holder.id, "RUNNING");
    await goes(holder.id, "COMPLETED");
    expect(codes(await why(waiting.id))).toEqual(["awaiting_concurrency_slot"]);
  });

  test("(no reason) it has the lease of the full limit itself", async () => {
    const pool = await aServedPool();
    const deployment = await aDeployment({ work_pool_name: pool.name, concurrency_limit: 1 });
    const { id } = await aRunOf(deployment);
    await holding(deployment.global_concurrency_limit?.id, id);
    expect(codes(await why(id))).toEqual(["ready"]);
  });

  test("the limit cancels runs that find no slot", async () => {
    const pool = await aServedPool();
    const deployment = await aDeployment({
      work_pool_name: pool.name,
      concurrency_limit: 1,
      concurrency_options: { collision_strategy: "CANCEL_NEW" },
    });
    await holding(deployment.global_concurrency_limit?.id, crypto.randomUUID());
    const answer = await why((await aRunOf(deployment)).id);
    const { facts } = found(answer, "deployment_limit_full");
    expect(facts).toMatchObject({ collision_strategy: "CANCEL_NEW", holders: [{ name: null, state_name: null }] });
    expect(answer.next.message).toContain("cancel");
  });

  test("(no reason) an expired lease holds no slot", async () => {
    const pool = await aServedPool();
    const deployment = await aDeployment({ work_pool_name: pool.name, concurrency_limit: 1 });
    const { id } = await aRunOf(deployment);
    await holding(deployment.global_concurrency_limit?.id, crypto.randomUUID(), 60);
    expect(codes(await why(id))).toEqual(["deployment_limit_full"]);
    const stub = env.CONCURRENCY_LIMITS.get(env.CONCURRENCY_LIMITS.idFromName(objectName(DEFAULT_WORKSPACE)));
    await runInDurableObject(stub, async (object) => {
      const limits = object as unknown as ConcurrencyLimits;
      const { clock } = limits;
      limits.clock = () => clock() + 61_000_000;
      await limits.onTimer("expire");
      limits.clock = clock;
    });
    expect(codes(await why(id))).toEqual(["ready"]);
  });

  test("no process serves the deployment", async () => {
    const deployment = await aDeployment();
    const { id } = await aRunOf(deployment);
    const answer = await why(id);
    expect(codes(answer)).toEqual(["deployment_not_polled"]);
    expect(found(answer, "deployment_not_polled").facts).toEqual({
      deployment_id: deployment.id,
      deployment_name: deployment.name,
      last_polled: null,
    });
    await api("POST", "/deployments/get_scheduled_flow_runs", { deployment_ids: [deployment.id] });
    await expect.poll(async () => codes(await why(id))).toEqual(["ready"]);
    const last = (Date.now() - 3_600_000) * 1000;
    await setColumn("deployment", "last_polled", last, deployment.id);
    expect(found(await why(id), "deployment_not_polled").since).toEqual(expect.any(String));
  });

  test("the deployment was deleted", async () => {
    const pool = await aServedPool();
    const deployment = await aDeployment({ work_pool_name: pool.name });
    const { id } = await aRunOf(deployment, { state: scheduledIn(0, "AwaitingConcurrencySlot") });
    await api("DELETE", `/deployments/${deployment.id}`);
    const answer = await why(id);
    expect(codes(answer)).toEqual(["deployment_deleted"]);
    expect(found(answer, "deployment_deleted").facts).toEqual({ deployment_id: deployment.id });
    expect(answer.next.who).toBe("worker");
  });

  test("it was created before its deployment was added to a pool", async () => {
    const deployment = await aDeployment();
    const { id } = await aRunOf(deployment);
    const pool = await aServedPool();
    await api("PATCH", `/deployments/${deployment.id}`, { work_pool_name: pool.name });
    expect(codes(await why(id))).toEqual(["no_work_queue"]);
  });

  test("its schedule skips runs that were not started in time", async () => {
    const schedule = { interval: 3600, anchor_date: "2020-01-01T00:00:00Z", timezone: "UTC" };
    const deployment = await aDeployment({ schedules: [{ schedule, active: true }] });
    const { body: schedules } = await api<{ id: string }[]>("GET", `/deployments/${deployment.id}/schedules`);
    const scheduleId = schedules[0]?.id ?? "";
    const policy = { policy: "skip", window_seconds: 60 };
    await api("PUT", `/deployments/${deployment.id}/schedules/${scheduleId}/missed_runs`, policy);
    await api("POST", `/deployments/${deployment.id}/schedule`, {});
    const { results } = await env.DB.prepare("select id from flow_run where deployment_id = ? limit 1")
      .bind(deployment.id)
      .all<{ id: string }>();
    const id = results[0]?.id ?? "";
    const due = (Date.now() - 300_000) * 1000;
    await setColumn("flow_run", "expected_start_time", due, id);
    await setColumn("flow_run", "next_scheduled_start_time", due, id);
    const answer = await why(id);
    expect(codes(answer)).toEqual(["will_be_skipped", "deployment_not_polled"]);
    expect(found(answer, "will_be_skipped").facts).toMatchObject(policy);
  });
});

describe("a reason that does not delay the run is in the answer too:", () => {
  test("a paused deployment", async () => {
    const pool = await aServedPool();
    const deployment = await aDeployment({ work_pool_name: pool.name });
    const { id } = await aRunOf(deployment);
    await api("POST", `/deployments/${deployment.id}/pause_deployment`);
    const answer = await why(id);
    expect(codes(answer)).toEqual(["ready", "deployment_paused"]);
    // A poll gets the run, so the reason does not delay it.
    expect(await pool.poll()).toEqual([id]);
  });

  test("an inactive schedule", async () => {
    const pool = await aServedPool();
    const schedule = { interval: 3600, anchor_date: "2020-01-01T00:00:00Z", timezone: "UTC" };
    const deployment = await aDeployment({
      work_pool_name: pool.name,
      schedules: [{ schedule, active: true, slug: "hourly" }],
    });
    await api("POST", `/deployments/${deployment.id}/schedule`, {});
    const { results } = await env.DB.prepare(
      "select id, created_by ->> 0 as schedule_id from flow_run where deployment_id = ? limit 1",
    )
      .bind(deployment.id)
      .all<{ id: string; schedule_id: string }>();
    const { id, schedule_id } = results[0] ?? { id: "", schedule_id: "" };
    expect(codes(await why(id))).toEqual(["waiting_for_time"]);
    // A worker was about to take this run when its schedule was paused.
    await setColumn("deployment_schedule", "active", 0, schedule_id);
    const answer = await why(id);
    expect(codes(answer)).toEqual(["waiting_for_time", "schedule_inactive"]);
    expect(found(answer, "schedule_inactive").facts).toMatchObject({ schedule_id, slug: "hourly" });
  });

  test("workers of another type than the pool's", async () => {
    const pool = await Pool.made({ type: "process" });
    const socket = await connect(pool, { name: "otto", type: "docker" });
    await pool.poll();
    const { id } = await pool.run();
    const answer = await why(id);
    expect(codes(answer)).toEqual(["ready", "worker_type_differs"]);
    const { facts, message } = found(answer, "worker_type_differs");
    expect(facts).toMatchObject({ work_pool_type: "process", workers: [{ name: "otto", type: "docker" }] });
    expect(message).toContain("docker");
    const second = await connect(pool, { name: "petra", type: "process" });
    expect(codes(await why(id))).toEqual(["ready"]);
    for (const each of [socket, second]) each.close(1000);
  });
});

/** The socket of a worker on the pool's channel, after `worker.ready.v1`. */
async function connect(pool: Pool, { name, type }: { name: string; type: string }): Promise<WebSocket> {
  const response = await SELF.fetch(`http://sluice/api/work_pools/${pool.name}/workers/connect`, {
    headers: { upgrade: "websocket", "sec-websocket-protocol": "prefect" },
  });
  const socket = response.webSocket;
  if (!socket) throw new Error(`no channel: ${response.status}`);
  const ready = new Promise<void>((resolve, reject) => {
    socket.addEventListener("message", ({ data }) => {
      if (String(data).includes("worker.ready.v1")) resolve();
    });
    socket.addEventListener("close", ({ reason }) => reject(new Error(reason)));
  });
  socket.accept();
  socket.send(JSON.stringify({ type: "auth", token: null }));
  const payload = {
    consumer_id: crypto.randomUUID(),
    worker_name: name,
    worker_type: type,
    heartbeat_interval_seconds: 30,
    supported_channel_versions: ["work_pool_worker_channel.v1"],
    requested_capabilities: ["worker_heartbeat.v1", "work_pool_snapshot.v1"],
  };
  socket.send(
    JSON.stringify({ type: "worker.hello.v1", id: crypto.randomUUID(), sent_at: new Date().toISOString(), payload }),
  );
  await ready;
  return socket;
}

describe("a run without a deployment", () => {
  test("is started only by the process that created it", async () => {
    const { id } = await aFlowRun({ state: { type: "SCHEDULED" } });
    const answer = await why(id);
    expect(codes(answer)).toEqual(["own_process"]);
    expect(answer.next.who).toBe("process");
    await goes(id, "PENDING");
    const pending = await why(id);
    expect(codes(pending)).toEqual(["pending"]);
    expect(pending.next).toMatchObject({ who: "process", at: null });
    expect(found(pending, "pending").message).toContain("the process that is to run it");
  });
});

describe("a run that was taken", () => {
  test("is pending while its infrastructure is created, and may have lost its worker", async () => {
    const pool = await aServedPool();
    const { id } = await pool.run();
    await goes(id, "PENDING");
    const made = await why(id);
    expect(codes(made)).toEqual(["pending"]);
    expect(found(made, "pending")).toMatchObject({
      facts: { infrastructure_pid: null },
      since: made.state?.timestamp,
      message: expect.stringContaining("being made"),
    });
    const givenUpAt = Date.parse(made.state?.timestamp ?? "") + 600_000;
    expect(made).toMatchObject({ started: false, next: { who: "worker" } });
    expect(Date.parse(made.next.at ?? "")).toBe(givenUpAt);
    expect(Date.parse(found(made, "pending").facts.given_up_at ?? "")).toBe(givenUpAt);
    await api("PATCH", `/flow_runs/${id}`, { infrastructure_pid: "4711" });
    expect(found(await why(id), "pending")).toMatchObject({
      facts: { infrastructure_pid: "4711" },
      message: expect.stringContaining("4711"),
    });
    await pool.wait(600);
    expect(codes(await why(id))).toEqual(["pending", "no_worker_online"]);
  });

  test("is not rescheduled if its deployment forbids it", async () => {
    const deployment = await aDeployment();
    const { id } = await aRunOf(deployment);
    await goes(id, "PENDING");
    expect((await why(id)).next.message).toContain("scheduled anew");
    await api("PATCH", `/deployments/${deployment.id}/reliability`, { lazarus: false });
    const answer = await why(id);
    expect(found(answer, "pending")).toMatchObject({
      facts: { given_up_at: null },
      message: expect.stringContaining("process that serves its deployment"),
    });
    expect(answer.next).toMatchObject({ who: "process", at: null });
  });

  test("is pending before its scheduled time", async () => {
    const pool = await aServedPool();
    const { id } = await pool.run(scheduledIn(8));
    await goes(id, "PENDING");
    const answer = await why(id);
    expect(found(answer, "pending").message).toContain("ahead of its time");
    expect(answer.next.at).toBe(found(answer, "pending").facts.scheduled_time);
  });

  test("is running, cancelling, or ended", async () => {
    const pool = await aServedPool();
    const { id } = await pool.run();
    await goes(id, "PENDING");
    await goes(id, "RUNNING");
    const running = await why(id);
    expect(running.started).toBe(true);
    expect(codes(running)).toEqual(["running"]);
    await goes(id, "CANCELLING");
    expect(codes(await why(id))).toEqual(["cancelling"]);
    await goes(id, "CANCELLED");
    const over = await why(id);
    expect(over).toMatchObject({ started: true, next: { who: "nobody" } });
    expect(found(over, "ended").facts).toMatchObject({ state_type: "CANCELLED", state_name: "Cancelled" });
  });

  test("ended before it started", async () => {
    const { id } = await aFlowRun({ state: { type: "SCHEDULED" } });
    await goes(id, "CANCELLED", true);
    const answer = await why(id);
    expect(answer.started).toBe(false);
    expect(found(answer, "ended")).toMatchObject({
      message: expect.stringContaining("before it began"),
      facts: { start_time: null },
    });
  });

  test.for([
    ["paused", "Paused", false],
    ["suspended", "Suspended", true],
  ] as const)("is %s, with the end of its pause", async ([code, name, pause_reschedule]) => {
    const run = await aRunOf(await aDeployment());
    await goes(run.id, "PENDING");
    await goes(run.id, "RUNNING");
    const pause_timeout = later(300);
    const keyset = { schema: "a", response: "b", description: "c" };
    const answer = await propose(run.id, {
      type: "PAUSED",
      name,
      state_details: { pause_timeout, pause_reschedule, run_input_keyset: keyset },
    });
    expect(answer.status).toBe("ACCEPT");
    const found_ = await why(run.id);
    expect(codes(found_)).toEqual([code]);
    expect(found_).toMatchObject({ started: true, next: { who: "somebody" } });
    expect(Date.parse(found_.next.at ?? "")).toBe(Date.parse(pause_timeout));
    expect(found_.reasons[0]?.facts).toMatchObject({ waits_for_input: true });
  });

  test("waits for its retry in the process in which it failed", async () => {
    const { id } = await aFlowRun({ empirical_policy: { retries: 2, retry_delay: 600 } });
    await goes(id, "RUNNING");
    expect(await propose(id, { type: "FAILED" })).toMatchObject({ status: "REJECT" });
    const answer = await why(id);
    expect(codes(answer)).toEqual(["awaiting_retry"]);
    expect(answer).toMatchObject({ started: true, next: { who: "process" } });
    expect(found(answer, "awaiting_retry").facts).toMatchObject({ run_count: 1, in_process: true });
  });

  test("waits for a retry that a worker will start", async () => {
    const pool = await aServedPool();
    const { id } = await pool.run(scheduledIn(600, "AwaitingRetry"));
    const answer = await why(id);
    expect(codes(answer)).toEqual(["awaiting_retry"]);
    expect(answer.next.who).toBe("worker");
  });

  test("is running, but its task runs wait for the limit of a tag; the answer has the holders of the limit", async () => {
    const tag = unique("db");
    await api("POST", "/concurrency_limits/", { tag, concurrency_limit: 1 });
    const [one, two] = [await aFlowRun(), await aFlowRun()];
    const task = async (flow_run_id: string, dynamic_key: string) => {
      await goes(flow_run_id, "RUNNING");
      const body = {
        flow_run_id,
        task_key: "t",
        dynamic_key,
        name: `t-${dynamic_key}`,
        tags: [tag],
        state: { type: "PENDING" },
      };
      return (await api<{ id: string; name: string }>("POST", "/task_runs/", body)).body;
    };
    const [holder, waiting] = [await task(one.id, "0"), await task(two.id, "1")];
    expect(codes(await why(two.id))).toEqual(["running"]);
    const taken = await concurrencyLimits(tools()).acquire({
      names: [`tag:${tag}`],
      ids: [],
      slots: 1,
      mode: "concurrency",
      lease: { id: crypto.randomUUID(), seconds: null, holder: { type: "task_run", id: holder.id } },
    });
    expect(taken.kind).toBe("acquired");
    const answer = await why(two.id);
    expect(codes(answer)).toEqual(["running", "tag_limit_full"]);
    expect(found(answer, "tag_limit_full").facts).toMatchObject({
      tag,
      limit: 1,
      in_use: 1,
      waiting_task_runs: [waiting.id],
      holders: [{ type: "task_run", id: holder.id, name: holder.name, until: null }],
    });
    // The task run with the slot does not wait for the limit.
    expect(codes(await why(one.id))).toEqual(["running"]);
  });
});

describe("the answer", () => {
  test("is 404 for an unknown run", async () => {
    const { status, body } = await api("GET", `/flow_runs/${crypto.randomUUID()}/why`);
    expect({ status, body }).toEqual({ status: 404, body: { detail: "Flow run not found" } });
  });

  test("costs one round trip to D1 and one call of each object", async () => {
    const pool = await aServedPool({ concurrency_limit: 1 });
    const deployment = await aDeployment({ work_pool_name: pool.name, concurrency_limit: 1 });
    const [holder, waiting] = [await aRunOf(deployment), await aRunOf(deployment)];
    await goes(holder.id, "PENDING");
    const { body, headers } = await api<Why>("GET", `/flow_runs/${waiting.id}/why`, undefined, TELL_COST);
    expect(codes(body)).toEqual(["work_pool_full", "deployment_limit_full"]);
    expect(headers.get("x-sluice-cost")).toMatch(/round_trips=1;.*rows_written=0;objects=2/);
  });

  test("finds the holders of slots by the index of live runs", async () => {
    const run = sql`r.workspace_id = ${DEFAULT_WORKSPACE} and r.id = ${crypto.randomUUID()}`;
    const plan = await planOf(selectUnderWay(run, DEFAULT_WORKSPACE));
    expect(plan).toContain("SEARCH u USING INDEX flow_run_live (next_scheduled_start_time=? AND workspace_id=?)");
    expect(plan).not.toContain("SCAN u");
    expect(plan.indexOf("SEARCH r")).toBeLessThan(plan.indexOf("SEARCH u"));
  });

  test("reads no more rows if many runs wait", async () => {
    const pool = await aServedPool({ concurrency_limit: 1 });
    await goes((await pool.run()).id, "PENDING");
    const { id } = await pool.run();
    const rows = async () => {
      const { headers } = await api("GET", `/flow_runs/${id}/why`, undefined, TELL_COST);
      return costOf(headers, "rows_read");
    };
    const before = await rows();
    await pool.runs(30);
    // Runs of earlier tests may end meanwhile. Then there are fewer rows.
    expect(await rows()).toBeLessThanOrEqual(before);
  });
});
