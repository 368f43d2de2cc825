import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import {
  aDeployment,
  aFlowRun,
  api,
  aRunOf,
  type FlowRun,
  propose,
  readFlowRun,
  type SetState,
  unique,
} from "../support/world";

const CLIENT = { "user-agent": "prefect/3.8.8 (API 0.8.4)" };
const OLD_CLIENT = { "user-agent": "prefect/3.4.10 (API 0.8.4)" };

interface Answer extends Omit<SetState, "state"> {
  state: (SetState["state"] & { state_details: { deployment_concurrency_lease_id: string | null } }) | null;
}

/** Proposes a state as a client of this version does. */
async function proposeAs(
  headers: Record<string, string>,
  id: string,
  state: Record<string, unknown>,
  force = false,
): Promise<Answer> {
  return (await api<Answer>("POST", `/flow_runs/${id}/set_state`, { state, force }, headers)).body;
}

const PENDING = { type: "PENDING" };
const RUNNING = { type: "RUNNING" };
const COMPLETED = { type: "COMPLETED" };

/** A deployment with its own limit. */
const aLimited = (slots: number, options?: Record<string, unknown>) =>
  aDeployment<{ id: string; global_concurrency_limit: { id: string } }>({
    concurrency_limit: slots,
    ...(options && { concurrency_options: options }),
  });

const runsOf = (id: string, count: number): Promise<FlowRun[]> =>
  Promise.all(Array.from({ length: count }, () => aRunOf({ id })));

async function slotsInUse(deploymentId: string): Promise<number> {
  const { body } = await api<{ global_concurrency_limit: { active_slots: number } }>(
    "GET",
    `/deployments/${deploymentId}`,
  );
  return body.global_concurrency_limit.active_slots;
}

describe("the limit of a deployment", () => {
  test("lets as many runs become PENDING as it has slots, and one more run when one has ended", async () => {
    const { id } = await aLimited(1);
    const [first, second] = await runsOf(id, 2);
    if (!first || !second) throw new Error("two runs were made");
    const taken = await proposeAs(CLIENT, first.id, PENDING);
    expect(taken).toMatchObject({ status: "ACCEPT", state: { type: "PENDING" } });
    expect(taken.state?.state_details.deployment_concurrency_lease_id).not.toBeNull();
    const refused = await proposeAs(CLIENT, second.id, PENDING);
    expect(refused).toMatchObject({
      status: "REJECT",
      state: { type: "SCHEDULED", name: "AwaitingConcurrencySlot" },
      details: { reason: "Deployment concurrency limit reached." },
    });
    expect(refused.state?.state_details.deployment_concurrency_lease_id).toBeNull();
    for (const state of [RUNNING, COMPLETED]) expect((await proposeAs(CLIENT, first.id, state)).status).toBe("ACCEPT");
    expect(await slotsInUse(id)).toBe(0);
    expect((await proposeAs(CLIENT, second.id, PENDING)).status).toBe("ACCEPT");
    expect(await slotsInUse(id)).toBe(1);
  });

  test("holds for concurrent proposals of runs", async () => {
    const { id } = await aLimited(3);
    const runs = await runsOf(id, 12);
    const answers = await Promise.all(runs.map((run) => proposeAs(CLIENT, run.id, PENDING)));
    expect(answers.filter(({ status }) => status === "ACCEPT")).toHaveLength(3);
    expect(answers.filter(({ state }) => state?.name === "AwaitingConcurrencySlot")).toHaveLength(9);
    expect(await slotsInUse(id)).toBe(3);
  });

  test("gives one slot to a run that several workers propose", async () => {
    const { id } = await aLimited(5);
    const [run] = await runsOf(id, 1);
    const answers = await Promise.all(Array.from({ length: 8 }, () => proposeAs(CLIENT, run?.id ?? "", PENDING)));
    expect(answers.filter(({ status }) => status === "ACCEPT")).toHaveLength(1);
    expect(await slotsInUse(id)).toBe(1);
  });

  test("cancels a run that finds no slot, if the deployment says so", async () => {
    const { id } = await aLimited(1, { collision_strategy: "CANCEL_NEW" });
    const [first, second] = await runsOf(id, 2);
    await proposeAs(CLIENT, first?.id ?? "", PENDING);
    expect(await proposeAs(CLIENT, second?.id ?? "", PENDING)).toMatchObject({
      status: "REJECT",
      state: { type: "CANCELLED" },
    });
  });

  test("keeps the slot of a failed run that is retried in its process", async () => {
    const { id } = await aLimited(1);
    const [run] = await runsOf(id, 1);
    const runId = run?.id ?? "";
    await api("PATCH", `/flow_runs/${runId}`, { empirical_policy: { retries: 1, retry_delay: 0 } });
    for (const state of [PENDING, RUNNING]) await proposeAs(CLIENT, runId, state);
    expect(await proposeAs(CLIENT, runId, { type: "FAILED" })).toMatchObject({ state: { name: "AwaitingRetry" } });
    expect(await slotsInUse(id)).toBe(1);
    for (const state of [RUNNING, COMPLETED]) expect((await proposeAs(CLIENT, runId, state)).status).toBe("ACCEPT");
    expect(await slotsInUse(id)).toBe(0);
  });

  test("cancels a run if another run took its slot while its infrastructure was created", async () => {
    const { id } = await aLimited(1);
    const [first, second] = await runsOf(id, 2);
    const { state } = await proposeAs(CLIENT, first?.id ?? "", PENDING);
    // As if the lease had expired.
    const lease = state?.state_details.deployment_concurrency_lease_id;
    await api("POST", "/v2/concurrency_limits/decrement-with-lease", { lease_id: lease });
    await proposeAs(CLIENT, second?.id ?? "", PENDING);
    expect(await proposeAs(CLIENT, first?.id ?? "", RUNNING)).toMatchObject({
      status: "REJECT",
      state: { type: "CANCELLED" },
    });
    expect((await proposeAs(CLIENT, second?.id ?? "", RUNNING)).status).toBe("ACCEPT");
    expect(await slotsInUse(id)).toBe(1);
  });

  test("lets a run become RUNNING after its lease expired if a slot is free", async () => {
    const { id } = await aLimited(1);
    const [run] = await runsOf(id, 1);
    const { state } = await proposeAs(CLIENT, run?.id ?? "", PENDING);
    const lease = state?.state_details.deployment_concurrency_lease_id;
    await api("POST", "/v2/concurrency_limits/decrement-with-lease", { lease_id: lease });
    expect((await proposeAs(CLIENT, run?.id ?? "", RUNNING)).status).toBe("ACCEPT");
    expect(await slotsInUse(id)).toBe(1);
    await proposeAs(CLIENT, run?.id ?? "", COMPLETED);
    expect(await slotsInUse(id)).toBe(0);
  });

  test("gets its slot back when a run ends, also if the client renews no leases", async () => {
    const { id } = await aLimited(1);
    const [run] = await runsOf(id, 1);
    for (const state of [PENDING, RUNNING])
      expect((await proposeAs(OLD_CLIENT, run?.id ?? "", state)).status).toBe("ACCEPT");
    expect(await slotsInUse(id)).toBe(1);
    await proposeAs(OLD_CLIENT, run?.id ?? "", COMPLETED);
    expect(await slotsInUse(id)).toBe(0);
  });

  test("gets its slot back from a deleted run, and from a run that is forced into another state", async () => {
    const { id } = await aLimited(2);
    const [first, second] = await runsOf(id, 2);
    for (const run of [first, second]) await proposeAs(CLIENT, run?.id ?? "", PENDING);
    expect(await slotsInUse(id)).toBe(2);
    await api("DELETE", `/flow_runs/${first?.id}`);
    await proposeAs(CLIENT, second?.id ?? "", { type: "SCHEDULED" }, true);
    expect(await slotsInUse(id)).toBe(0);
  });

  test("applies as soon as it is set", async () => {
    const { id } = await aDeployment();
    const [first, second] = await runsOf(id, 2);
    await api("PATCH", `/deployments/${id}`, { concurrency_limit: 1 });
    const answers = [
      await proposeAs(CLIENT, first?.id ?? "", PENDING),
      await proposeAs(CLIENT, second?.id ?? "", PENDING),
    ];
    expect(answers.map(({ state }) => state?.name)).toEqual(["Pending", "AwaitingConcurrencySlot"]);
  });
});

describe("a proposal that is sent again because its answer was lost", () => {
  test("gets the same answer if another state was written instead of the proposed state", async () => {
    const run = await aFlowRun({ empirical_policy: { retries: 1, retry_delay: 60 } });
    await propose(run.id, RUNNING);
    const failed = { type: "FAILED", state_details: { transition_id: crypto.randomUUID() } };
    const first = await propose(run.id, failed);
    const again = await propose(run.id, failed);
    expect([first.state?.name, again.state?.id]).toEqual(["AwaitingRetry", first.state?.id]);
    expect((await readFlowRun(run.id)).state_name).toBe("AwaitingRetry");
  });

  test("gets the same state, whichever of two requests arrives first", async () => {
    const run = await aFlowRun();
    const running = { type: "RUNNING", state_details: { transition_id: crypto.randomUUID() } };
    const answers = await Promise.all([propose(run.id, running), propose(run.id, running)]);
    expect(answers.map(({ status }) => status).toSorted()).toEqual(["ACCEPT", "REJECT"]);
    expect(new Set(answers.map(({ state }) => state?.id)).size).toBe(1);
    expect((await readFlowRun(run.id)).run_count).toBe(1);
  });
});

describe("exactly once", () => {
  test("the second of two processes of one run is refused", async () => {
    const { id } = await aDeployment();
    await api("PATCH", `/deployments/${id}/reliability`, { exactly_once: true });
    const [run] = await runsOf(id, 1);
    await propose(run?.id ?? "", PENDING);
    const answers = await Promise.all([propose(run?.id ?? "", RUNNING), propose(run?.id ?? "", RUNNING)]);
    expect(answers.map(({ status }) => status).toSorted()).toEqual(["ABORT", "ACCEPT"]);
    expect((await readFlowRun(run?.id ?? "")).run_count).toBe(1);
  });

  test("a deployment without it lets a run become RUNNING twice, as in the original", async () => {
    const [run] = await runsOf((await aDeployment()).id, 1);
    await propose(run?.id ?? "", PENDING);
    const answers = [await propose(run?.id ?? "", RUNNING), await propose(run?.id ?? "", RUNNING)];
    expect(answers.map(({ status }) => status)).toEqual(["ACCEPT", "ACCEPT"]);
  });

  test("the switches of a deployment are read, changed one by one, and validated", async () => {
    const path = `/deployments/${(await aDeployment()).id}/reliability`;
    const defaults = { exactly_once: false, zombie_detection: true, lazarus: true };
    expect((await api("GET", path)).body).toEqual(defaults);
    expect((await api("PATCH", path, { lazarus: false })).body).toEqual({ ...defaults, lazarus: false });
    expect((await api("PATCH", path, { exactly_once: true })).body).toMatchObject({
      exactly_once: true,
      lazarus: false,
    });
    expect((await api("PATCH", path, { exactly_onse: true })).status).toBe(422);
    expect((await api("PATCH", path, { lazarus: 7 })).status).toBe(422);
    expect((await api("GET", path)).body).toMatchObject({ exactly_once: true, lazarus: false });
    expect((await api("GET", `/deployments/${crypto.randomUUID()}/reliability`)).status).toBe(404);
  });
});

describe("the limits on a task run's tags", () => {
  const aTaskRun = async (tags: string[]) => {
    const flowRun = await aFlowRun();
    await propose(flowRun.id, RUNNING);
    const { body } = await api<{ id: string }>("POST", "/task_runs/", {
      flow_run_id: flowRun.id,
      task_key: "task",
      dynamic_key: "0",
      tags,
    });
    return body.id;
  };
  const proposeTask = async (id: string, type: string, force = false) =>
    (
      await api<SetState & { details: { delay_seconds?: number } }>("POST", `/task_runs/${id}/set_state`, {
        state: { type },
        force,
      })
    ).body;
  const limit = async (slots: number) => {
    const tag = unique("tag");
    await api("POST", "/concurrency_limits/", { tag, concurrency_limit: slots });
    return tag;
  };
  const holders = async (tag: string) =>
    (await api<{ active_slots: string[] }>("GET", `/concurrency_limits/tag/${tag}`)).body.active_slots;

  test("let a task run become RUNNING only if all its tags have a free slot", async () => {
    const [wide, narrow] = [await limit(2), await limit(1)];
    const [both, other] = [await aTaskRun([wide, narrow]), await aTaskRun([wide, narrow])];
    expect((await proposeTask(both, "RUNNING")).status).toBe("ACCEPT");
    const refused = await proposeTask(other, "RUNNING");
    expect(refused).toMatchObject({
      status: "WAIT",
      details: { reason: `Concurrency limit reached for tags: ${narrow}` },
    });
    expect(await holders(wide)).toEqual([both]);
    await proposeTask(both, "COMPLETED");
    expect([await holders(wide), await holders(narrow)]).toEqual([[], []]);
    expect((await proposeTask(other, "RUNNING")).status).toBe("ACCEPT");
  });

  test("get their slots back from a deleted task run", async () => {
    const tag = await limit(1);
    const [first, second] = [await aTaskRun([tag]), await aTaskRun([tag])];
    await proposeTask(first, "RUNNING");
    expect((await api("DELETE", `/task_runs/${first}`)).status).toBe(204);
    expect(await holders(tag)).toEqual([]);
    expect((await proposeTask(second, "RUNNING")).status).toBe("ACCEPT");
  });

  test("abort a task run that can never run", async () => {
    const tag = await limit(0);
    const answer = await proposeTask(await aTaskRun([tag]), "RUNNING");
    expect(answer).toMatchObject({
      status: "ABORT",
      details: {
        reason: `The concurrency limit on tag "${tag}" is 0 and will deadlock if the task tries to run again.`,
      },
    });
  });

  test("get their slots back from the parent's task run of a subflow when the subflow ends", async () => {
    const tag = await limit(1);
    const taskRunId = await aTaskRun([tag]);
    const subflow = await aFlowRun({ parent_task_run_id: taskRunId, state: { type: "RUNNING" } });
    expect((await proposeTask(taskRunId, "RUNNING")).status).toBe("ACCEPT");
    expect(await holders(tag)).toEqual([taskRunId]);
    await propose(subflow.id, COMPLETED);
    expect(await holders(tag)).toEqual([]);
  });

  test("are ignored by a forced state, which still releases slots", async () => {
    const tag = await limit(1);
    const [first, second] = [await aTaskRun([tag]), await aTaskRun([tag])];
    expect((await proposeTask(first, "RUNNING")).status).toBe("ACCEPT");
    expect((await proposeTask(second, "RUNNING", true)).status).toBe("ACCEPT");
    expect(await holders(tag)).toEqual([first]);
    await proposeTask(first, "FAILED", true);
    expect(await holders(tag)).toEqual([]);
  });
});

test("a run without a free slot in its work pool is aborted, and nothing is written", async () => {
  const pool = unique("pool");
  await api("POST", "/work_pools/", { name: pool, type: "process", concurrency_limit: 1 });
  const [first, second] = await runsOf((await aDeployment({ work_pool_name: pool })).id, 2);
  expect((await propose(first?.id ?? "", PENDING)).status).toBe("ACCEPT");
  const before = await readFlowRun(second?.id ?? "");
  expect(await propose(second?.id ?? "", PENDING)).toMatchObject({ status: "ABORT", state: { id: before.state_id } });
  expect(await readFlowRun(second?.id ?? "")).toEqual({ ...before, estimated_start_time_delta: expect.any(Number) });
  const { results } = await env.DB.prepare("select id from flow_run_state where flow_run_id = ?")
    .bind(second?.id)
    .all();
  expect(results).toHaveLength(1);
  for (const state of [RUNNING, COMPLETED]) await propose(first?.id ?? "", state);
  expect((await propose(second?.id ?? "", PENDING)).status).toBe("ACCEPT");
});
