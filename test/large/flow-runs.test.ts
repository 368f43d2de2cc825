/** Pages of runs with long values: a page is complete, and no round trip reads more than one portion. */
import { env, SELF } from "cloudflare:test";
import { beforeAll, expect, test, vi } from "vitest";
import { FlowRunStore } from "#db/rows/flow-runs";
import { Pool } from "../objects/work-pool/pool";
import { aDeployment, aFlow, aFlowRun, api } from "../support/world";
import { MOST_READ, readLarge, text } from "./support";

const RUNS = 7;
type Read = (this: FlowRunStore, ids: readonly string[]) => ReturnType<FlowRunStore["readMany"]>;
const readMany: Read = Reflect.get(FlowRunStore.prototype, "readMany");
const AGES = { estimated_run_time: expect.anything(), estimated_start_time_delta: expect.anything() };

/** Creates runs, two of three with 700 kB, and gives their ids. */
async function runs(of: Record<string, unknown>, type: string): Promise<string[]> {
  const ids: string[] = [];
  for (let index = 0; index < RUNS; index++) {
    const long = index % 3 === 1 ? {} : { context: { c: text(500_000) }, job_variables: { é: text(200_000) } };
    const state = { type, message: text(4_000 * index), data: { n: index } };
    ids.push((await aFlowRun({ ...of, tags: [`t${index}`], state, ...long })).id);
  }
  return ids.toSorted();
}

const each = (ids: readonly string[]): Promise<Record<string, unknown>[]> =>
  Promise.all(ids.map(async (id) => ({ ...(await api("GET", `/flow_runs/${id}`)).body, ...AGES })));

let flow = "";
let ids: string[] = [];
beforeAll(async () => {
  flow = await aFlow();
  ids = await runs({ flow_id: flow }, "RUNNING");
});

test("a list", async () => {
  const body = { flows: { id: { any_: [flow] } }, sort: "ID_DESC" };
  const { status, body: shown, largest } = await readLarge("POST", "/flow_runs/filter", body);
  expect([status, shown]).toEqual([200, await each(ids.toReversed())]);
  expect(largest).toBeLessThan(MOST_READ);
});

test("a page", async () => {
  const body = { flows: { id: { any_: [flow] } }, sort: "ID_DESC", limit: 6, page: 1 };
  const { body: shown, headers, largest } = await readLarge("POST", "/flow_runs/paginate", body);
  expect(shown).toEqual({
    results: await each(ids.toReversed().slice(0, 6)),
    count: RUNS,
    limit: 6,
    pages: 2,
    page: 1,
  });
  expect(headers.get("content-type")).toBe("application/json");
  expect(largest).toBeLessThan(MOST_READ);
});

test("polls of a pool and of its queue", async () => {
  const pool = await Pool.made();
  const due = await runs({ work_pool_name: pool.name, empirical_policy: { pause_keys: [text(2_000)] } }, "SCHEDULED");
  const whole = await each(due);
  const polled = await readLarge("POST", `/work_pools/${pool.name}/get_scheduled_flow_runs`, {});
  const runsOf = polled.body as unknown as { flow_run: { id: string } }[];
  expect(runsOf.map((one) => one.flow_run).toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual(
    whole.map(({ work_pool_id: _id, work_pool_name: _name, ...run }) => ({ ...run, state: null })),
  );
  expect(polled.largest).toBeLessThan(MOST_READ);
  const ofQueue = await readLarge("POST", `/work_queues/${pool.defaultQueueId}/get_runs`, {});
  expect((ofQueue.body as unknown as { id: string }[]).map(({ id }) => id).toSorted()).toEqual(due);
  expect(ofQueue.largest).toBeLessThan(MOST_READ);
});

test("a run that waits in its process is not offered to a worker, however long its policy is", async () => {
  const pool = await Pool.made();
  const pause_keys = Array.from({ length: 20 }, (_, index) => `${index}${text(1_000)}`);
  const make = (policy: Record<string, unknown>) =>
    aFlowRun({ work_pool_name: pool.name, state: { type: "SCHEDULED" }, empirical_policy: { pause_keys, ...policy } });
  const [mine, waiting] = [await make({}), await make({ retry_type: "in_process" })];
  const offered = await pool.poll();
  expect(offered).toContain(mine.id);
  expect(offered).not.toContain(waiting.id);
});

test("a poll of a served deployment", async () => {
  const { id } = await aDeployment({ flow_id: flow });
  const due = await runs({ flow_id: flow, deployment_id: id }, "SCHEDULED");
  const polled = await readLarge("POST", "/deployments/get_scheduled_flow_runs", { deployment_ids: [id] });
  expect(polled.body).toEqual(expect.arrayContaining(await each(due)));
  expect(polled.largest).toBeLessThan(MOST_READ);
});

test("an answer breaks off if the next portion cannot be read, and is a 500 if the first portion cannot be read", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const body = JSON.stringify({ flows: { id: { any_: [flow] } } });
  const ask = () =>
    SELF.fetch("http://sluice/api/flow_runs/filter", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
  let reads = 0;
  const failsAt = (which: number) => {
    reads = 0;
    return vi.spyOn(FlowRunStore.prototype, "readMany").mockImplementation(function (this: FlowRunStore, ids) {
      if ((reads += 1) === which) return Promise.reject(new Error("D1_ERROR: the database is away"));
      return readMany.call(this, ids);
    });
  };
  const first = failsAt(1);
  expect((await ask()).status).toBe(500);
  first.mockRestore();
  const second = failsAt(2);
  const answer = await ask();
  expect(answer.status).toBe(200);
  await expect(answer.text()).rejects.toThrow();
  second.mockRestore();
  const whole = await ask();
  expect(whole.status).toBe(200);
  await whole.text();
});

test("a run that is deleted while the list is read is not in the list", async () => {
  const own = await aFlow();
  const made = await runs({ flow_id: own }, "RUNNING");
  // Only a run with long values is read a second time. The run with the smallest id is in the last portion.
  const long = (await each(made)).find(({ context }) => Object.keys(context as object).length > 0)?.["id"];
  let reads = 0;
  let deletion: Promise<unknown> | undefined;
  const spy = vi.spyOn(FlowRunStore.prototype, "readMany").mockImplementation(async function (this: FlowRunStore, ids) {
    // A later read waits too, because the server may read for another answer at the same time.
    if ((reads += 1) >= 2) await (deletion ??= env.DB.prepare("delete from flow_run where id = ?").bind(long).run());
    return readMany.call(this, ids);
  });
  const { body } = await api<{ id: string }[]>("POST", "/flow_runs/filter", {
    flows: { id: { any_: [own] } },
    sort: "ID_DESC",
  });
  spy.mockRestore();
  expect(body.map(({ id }) => id)).toEqual(made.filter((id) => id !== long).toReversed());
});
