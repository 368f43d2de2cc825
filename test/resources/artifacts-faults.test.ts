/** Artifacts beside a database that fails: nothing is written twice, and nothing that was accepted is lost. */
import { env } from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Database } from "#db/database";
import { noCost } from "#lib/cost";
import { createArtifact, deleteArtifact, updateArtifact } from "#resources/artifacts/change-artifacts";
import { deleteFlowRuns } from "#resources/flow-runs/delete-flow-run";
import type { Tools } from "#tools";
import { LateD1, type LateD1Options } from "../support/late-d1";
import { tools } from "../support/tools";
import { dying, watchedD1 } from "../support/watched-stores";
import { aFlowRun, api, unique } from "../support/world";

beforeEach(() => void vi.spyOn(console, "error").mockReturnValue(undefined));
afterEach(() => void vi.restoreAllMocks());

const over = (d1: D1Database): Tools => ({ ...tools(), db: new Database(d1, noCost()) });

function late(options: LateD1Options) {
  const d1 = new LateD1(options);
  return { d1, tools: over(d1.binding) };
}

const latestOf = async (key: string) =>
  (
    await api<{ latest_id: string; data: unknown }[]>("POST", "/artifacts/latest/filter", {
      artifacts: { key: { any_: [key] } },
    })
  ).body.map(({ latest_id: id }) => id);
const allOf = async (key: string) =>
  (await api<{ id: string }[]>("POST", "/artifacts/filter", { artifacts: { key: { any_: [key] } } })).body.map(
    ({ id }) => id,
  );

test.for([
  ["before the second try", { landsBefore: 0 }],
  ["after the second try", { landsBefore: 1 }],
  ["after the third try", { landsBefore: 2, failures: 2 }],
  ["never", { landsBefore: 0, lands: false }],
] as const)("an artifact whose first write lands %s is there once", async ([, options]) => {
  const key = unique("once");
  const { d1, tools: own } = late(options);
  const { id } = await createArtifact(own, { key, data: 1 });
  await d1.settle();
  expect([await allOf(key), await latestOf(key)]).toEqual([[id], [id]]);
});

test("an artifact that lands late is not the latest if a newer one is there", async () => {
  const key = unique("late");
  const { d1, tools: own } = late({ landsBefore: Infinity, failures: 1, staysDown: true });
  await expect(createArtifact(own, { key, data: "old" })).rejects.toThrow("connection lost");
  const newer = await createArtifact(tools(), { key, data: "new" });
  await d1.settle();
  expect(await allOf(key)).toHaveLength(2);
  expect(await latestOf(key)).toEqual([newer.id]);
});

test.for([[true], [false]])(
  "a deletion whose answer is lost is whole, or nothing happened: lands %s",
  async ([lands]) => {
    const key = unique("deleted");
    const before = await createArtifact(tools(), { key, data: 1 });
    const { id } = await createArtifact(tools(), { key, data: 2 });
    const { d1, tools: own } = late({ landsBefore: Infinity, lands, staysDown: true });
    await expect(deleteArtifact(own, id)).rejects.toThrow("connection lost");
    expect([await allOf(key), await latestOf(key)]).toEqual([[id, before.id], [id]]);
    await d1.settle();
    const [all, latest] = lands ? [[before.id], [before.id]] : [[id, before.id], [id]];
    expect([await allOf(key), await latestOf(key)]).toEqual([all, latest]);
  },
);

test("a change whose answer is lost may be sent again", async () => {
  const { id } = await createArtifact(tools(), { data: 1 });
  const { d1, tools: own } = late({ landsBefore: Infinity, staysDown: true });
  await expect(updateArtifact(own, id, { data: 2 })).rejects.toThrow("connection lost");
  await updateArtifact(tools(), id, { data: 2 });
  await d1.settle();
  expect((await api<{ data: unknown }>("GET", `/artifacts/${id}`)).body.data).toBe(2);
});

const DEATHS = (["before", "after"] as const).flatMap((when) => [0, 1, 2, 3, 4, 5].map((at) => [when, at] as const));

test.for(DEATHS)("a process dies %s call %d of the deletion of a run with 2,500 artifacts", async ([when, at]) => {
  const { id: run } = await aFlowRun();
  const key = unique("run");
  const kept = await createArtifact(tools(), { key, data: 1 });
  await createArtifact(tools(), { key, data: 2, flow_run_id: run });
  await env.DB.prepare(
    `with recursive n(i) as (select 1 union all select i + 1 from n where i < 2500)
    insert into artifact (workspace_id, id, created, updated, flow_run_id)
    select x'01', randomblob(16), 1, 1, unhex(?, '-') from n`,
  )
    .bind(run)
    .run();
  const { around, calls } = dying(at, when);
  const outcome = await deleteFlowRuns(over(watchedD1(around)), [run]).catch(() => "died");
  if (outcome === "died") {
    // The run is there, and its deletion can be asked for again; or it is gone with all its artifacts.
    const { status } = await api("GET", `/flow_runs/${run}`);
    expect((await api("DELETE", `/flow_runs/${run}`)).status).toBe(status === 200 ? 204 : 404);
  }
  expect(outcome === "died").toBe(calls() > at);
  const count = env.DB.prepare("select count(*) as n from artifact where flow_run_id = unhex(?, '-')").bind(run);
  expect(await count.first("n")).toBe(0);
  expect([await allOf(key), await latestOf(key)]).toEqual([[kept.id], [kept.id]]);
});
