import { env } from "cloudflare:test";
import { beforeEach, expect, test } from "vitest";
import { removeOrphanedArtifacts, selectArtifacts } from "#services/retention-artifacts";
import { removeOldRuns } from "#services/retention-runs";
import { planOf } from "../support/plans";
import { aFlowRun, api, unique, WORKSPACE } from "../support/world";
import { DAY, empty, failingD1, type Fate, HOUR, NOW, rowsOf, toolsAt, untilDone } from "./retention-world";

const ON = { PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: "orphans" };

beforeEach(() => empty("artifact", "artifact_collection", "sweep_mark"));

const make = async (fields: Record<string, unknown>) =>
  (await api<{ id: string }>("POST", "/artifacts/", { data: 1, ...fields })).body.id;
const left = async () => (await rowsOf("artifact")).length;

test("artifacts of runs that do not exist are removed, and collections get the artifacts before them", async () => {
  const { id: run } = await aFlowRun();
  const archived = crypto.randomUUID();
  await env.DB.prepare("insert into archived_run values (x'01', unhex(?, '-'), 1, 1, randomblob(16))")
    .bind(archived)
    .run();
  const key = unique("report");
  const kept = [
    await make({ key, flow_run_id: run }),
    await make({ flow_run_id: archived }),
    await make({ task_run_id: crypto.randomUUID() }),
    await make({}),
  ];
  await make({ key, flow_run_id: crypto.randomUUID() });
  await make({ key: unique("gone"), flow_run_id: crypto.randomUUID() });
  await removeOrphanedArtifacts(toolsAt(NOW));
  expect(await left()).toBe(6);
  await untilDone(() => removeOrphanedArtifacts(toolsAt(NOW, ON)));
  const { body } = await api<{ id: string }[]>("POST", "/artifacts/filter", {});
  expect(body.map(({ id }) => id).toSorted()).toEqual(kept.toSorted());
  const { body: latest } = await api<{ latest_id: string }[]>("POST", "/artifacts/latest/filter", {});
  expect(latest.map(({ latest_id: id }) => id)).toEqual([kept[0]]);
  const idle = toolsAt(NOW + 23 * HOUR, ON);
  await removeOrphanedArtifacts(idle);
  expect([idle.db.cost.d1_rows_read, idle.db.cost.d1_rows_written]).toEqual([1, 0]);
});

test("thousands of artifacts are checked in the order of their ids, some at a time", async () => {
  await aFlowRun();
  await env.DB.prepare(
    `with recursive n(i) as (select 1 union all select i + 1 from n where i < 2500)
    insert into artifact (workspace_id, id, created, updated, flow_run_id)
    select x'01', randomblob(16), 1, 1, randomblob(16) from n`,
  ).run();
  await untilDone(() => removeOrphanedArtifacts(toolsAt(NOW, ON)));
  expect(await left()).toBe(0);
  const plan = await planOf(selectArtifacts(WORKSPACE, crypto.randomUUID(), 1_000));
  expect(plan).toContain("SEARCH a USING PRIMARY KEY (workspace_id=? AND id>?)");
  expect(plan).not.toContain("TEMP B-TREE");
});

/** A run that ended before the retention, with many artifacts. A younger run has an older artifact of the same key. */
async function anOldRun(): Promise<{ run: string; kept: string }> {
  const key = unique("report");
  const { id: young } = await aFlowRun();
  const { id: run } = await aFlowRun();
  const kept = await make({ key, flow_run_id: young });
  await make({ key, flow_run_id: run });
  await make({ key, flow_run_id: run });
  await make({ key: unique("alone"), flow_run_id: run });
  const end = NOW - 100 * DAY;
  await env.DB.batch([
    env.DB.prepare(
      "update flow_run set start_time = ?1, expected_start_time = ?1, end_time = ?1, state_type = 'COMPLETED' where id = ?2",
    ).bind(end, run),
    env.DB.prepare(
      `with recursive n(i) as (select 1 union all select i + 1 from n where i < 1500)
      insert into artifact (workspace_id, id, created, updated, key, flow_run_id)
      select x'01', randomblob(16), 1, 1, iif(i % 2, 'k' || i, null), unhex(?, '-') from n`,
    ).bind(run),
  ]);
  return { run, kept };
}

const KEEP_NO_RUNS = { PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: "flow_runs", SLUICE_ARCHIVE_RUNS: "false" };
const FATES: Fate[] = ["lost", "made, but the answer is lost"];
const DEATHS = FATES.flatMap((fate) => [1, 2, 3, 4, 5, 6].map((calls) => [calls, fate] as const));

test.for(DEATHS)(
  "artifacts are deleted with an old run, also if call %d to the database is %s",
  async ([calls, fate]) => {
    await empty("flow_run");
    const { kept, run } = await anOldRun();
    const d1 = failingD1([...Array.from({ length: calls - 1 }, (): Fate => "made"), fate]);
    const latestAreThere = async () => {
      const missing = await env.DB.prepare(
        "select count(*) as n from artifact_collection c where not exists (select 1 from artifact a where a.id = c.latest_id and a.key = c.key)",
      ).first("n");
      expect(missing).toBe(0);
    };
    // A run that could not be deleted waits for the next round.
    for (const time of [NOW, NOW + 25 * HOUR])
      await untilDone(async () => {
        try {
          await removeOldRuns(toolsAt(time, KEEP_NO_RUNS, d1));
        } finally {
          await latestAreThere();
        }
      });
    expect((await api("GET", `/flow_runs/${run}`)).status).toBe(404);
    expect(await left()).toBe(1);
    const { body: latest } = await api<{ latest_id: string }[]>("POST", "/artifacts/latest/filter", {});
    expect(latest.map(({ latest_id: id }) => id)).toEqual([kept]);
  },
);
