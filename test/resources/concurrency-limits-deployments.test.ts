import { describe, expect, test } from "vitest";
import { totalCost } from "#lib/cost";
import { acquireLease, readInUse } from "#objects/concurrency-limits/client";
import { tools } from "../support/tools";
import { aDeployment as aPlainDeployment, aFlow, api, unique } from "../support/world";

interface Shown {
  id: string;
  name: string;
  flow_id: string;
  global_concurrency_limit: { id: string; name: string; limit: number; active_slots: number } | null;
}

const aDeployment = aPlainDeployment<Shown>;

async function aLimit(limit: number): Promise<string> {
  const made = await api<{ id: string }>("POST", "/v2/concurrency_limits/", { name: unique("shared"), limit });
  return made.body.id;
}

const read = async (id: string) => (await api<Shown>("GET", `/deployments/${id}`)).body;
const limitOf = async (id: string) => (await read(id)).global_concurrency_limit;
const patch = (id: string, body: Record<string, unknown>) => api("PATCH", `/deployments/${id}`, body);

/** Takes a slot, as a run does before it starts. */
async function take(limitId: string | undefined): Promise<string> {
  const answer = await acquireLease(tools(), {
    lease_id: crypto.randomUUID(),
    limit_ids: [limitId ?? ""],
    slots: 1,
    seconds: 60,
    holder: { type: "flow_run", id: crypto.randomUUID() },
  });
  return answer.kind;
}

async function objectCalls(work: () => Promise<unknown>): Promise<number> {
  const before = totalCost.object_calls;
  await work();
  return totalCost.object_calls - before;
}

describe("the slots of a deployment's limit", () => {
  test("are in each answer with the deployment", async () => {
    const first = await aDeployment({ concurrency_limit: 3 });
    await take(first.global_concurrency_limit?.id);
    await take(first.global_concurrency_limit?.id);
    const expected = { limit: 3, active_slots: 2 };
    expect(await limitOf(first.id)).toMatchObject(expected);
    const again = await api<Shown>("POST", "/deployments/", { name: first.name, flow_id: first.flow_id });
    expect(again.body.global_concurrency_limit).toMatchObject(expected);
    const filter = { deployments: { id: { any_: [first.id] } } };
    const listed = await api<Shown[]>("POST", "/deployments/filter", filter);
    expect(listed.body.map((each) => each.global_concurrency_limit)).toMatchObject([expected]);
    const page = await api<{ results: Shown[] }>("POST", "/deployments/paginate", filter);
    expect(page.body.results.map((each) => each.global_concurrency_limit)).toMatchObject([expected]);
  });

  test("cost one call for each page, and none for a page without limits", async () => {
    const flow_id = await aFlow();
    const shared = await aLimit(4);
    for (const fields of [{ concurrency_limit: 1 }, { concurrency_limit: 2 }, { global_concurrency_limit_id: shared }])
      await aDeployment({ flow_id, ...fields });
    const plain = await aDeployment();
    const list = (deployments: unknown) => () => api("POST", "/deployments/filter", { deployments });
    const with3 = list({ flow_id: { any_: [flow_id] } });
    expect(await objectCalls(with3)).toBeLessThanOrEqual(1);
    expect(await objectCalls(list({ id: { any_: [plain.id] } }))).toBe(0);
  });
});

describe("a changed limit of a deployment applies at once", () => {
  test.for([
    ["PATCH", (shown: Shown) => patch(shown.id, { concurrency_limit: 2 })],
    [
      "another POST",
      ({ name, flow_id }: Shown) => api("POST", "/deployments/", { name, flow_id, concurrency_limit: 2 }),
    ],
  ] as const)("by %s", async ([, change]) => {
    const shown = await aDeployment({ concurrency_limit: 1 });
    const id = shown.global_concurrency_limit?.id;
    expect(await take(id)).toBe("acquired");
    expect(await take(id)).toBe("full");
    await change(shown);
    expect(await take(id)).toBe("acquired");
    expect(await limitOf(shown.id)).toMatchObject({ id, limit: 2, active_slots: 2 });
  });

  test("when it is removed, set again, or deleted with the deployment", async () => {
    const { id, global_concurrency_limit: first } = await aDeployment({ concurrency_limit: 1 });
    await take(first?.id);
    await patch(id, { concurrency_limit: null });
    expect(await readInUse(tools(), [first?.id ?? ""])).toEqual({ [first?.id ?? ""]: 0 });
    await patch(id, { concurrency_limit: 1 });
    const second = await limitOf(id);
    expect(second).toMatchObject({ limit: 1, active_slots: 0 });
    await take(second?.id);
    await api("DELETE", `/deployments/${id}`);
    expect(await readInUse(tools(), [second?.id ?? ""])).toEqual({ [second?.id ?? ""]: 0 });
  });
});

describe("a limit that deployments share", () => {
  test("replaces the deployment's own limit, and runs with slots of the own limit keep them", async () => {
    const shared = await aLimit(5);
    const { id, global_concurrency_limit: own } = await aDeployment({ concurrency_limit: 1 });
    await take(own?.id);
    await patch(id, { global_concurrency_limit_id: shared });
    expect(await limitOf(id)).toMatchObject({ id: shared, limit: 5, active_slots: 0 });
    expect(await readInUse(tools(), [own?.id ?? ""])).toEqual({ [own?.id ?? ""]: 1 });
  });

  test.for([
    ["is named together with no own one", { concurrency_limit: null }],
    ["stays where nothing is said", { tags: ["x"] }],
    ["stays where the own one is to have as many slots", { concurrency_limit: 5 }],
  ] as const)("%s", async ([, body]) => {
    const shared = await aLimit(5);
    const named = "concurrency_limit" in body && body.concurrency_limit === null;
    const { id } = await aDeployment({ global_concurrency_limit_id: shared });
    await patch(id, { ...body, ...(named && { global_concurrency_limit_id: shared }) });
    expect(await limitOf(id)).toMatchObject({ id: shared, limit: 5 });
  });

  test.for([
    ["changed", { concurrency_limit: 2 }, { limit: 2 }],
    [
      "exchanged for an own one of the same number",
      { concurrency_limit: 5, global_concurrency_limit_id: null },
      { limit: 5 },
    ],
    ["taken away", { concurrency_limit: null }, null],
    ["taken away by its id", { global_concurrency_limit_id: null }, null],
  ] as const)("is not touched when a deployment's limit is %s", async ([, body, expected]) => {
    const shared = await aLimit(5);
    const { id } = await aDeployment({ global_concurrency_limit_id: shared });
    expect((await patch(id, body)).status).toBe(204);
    const limit = await limitOf(id);
    if (expected) expect(limit).toMatchObject({ ...expected, name: `deployment:${id}` });
    else expect(limit).toBeNull();
    expect((await api("GET", `/v2/concurrency_limits/${shared}`)).body).toMatchObject({ limit: 5 });
  });

  test("is not deleted with the deployments that use it", async () => {
    const shared = await aLimit(5);
    const { id } = await aDeployment({ global_concurrency_limit_id: shared });
    await take(shared);
    await api("DELETE", `/deployments/${id}`);
    expect((await api("GET", `/v2/concurrency_limits/${shared}`)).body).toMatchObject({ limit: 5, active_slots: 1 });
  });
});
