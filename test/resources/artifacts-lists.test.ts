import { env } from "cloudflare:test";
import { sql } from "drizzle-orm";
import { beforeAll, describe, expect, test } from "vitest";
import { deleteArtifact, deleteArtifactsOf, deleteArtifactsOfTask } from "#db/artifacts";
import { list } from "#db/sql";
import { namesArtifacts } from "#filters/artifacts";
import { type Filters, whereClause } from "#filters/joins";
import { orderBy } from "#filters/sorts";
import { artifact } from "#db/tables/artifact";
import { COLLECTIONS, COLLECTIONS_OF_ARTIFACTS, selectLastChanged } from "#resources/artifacts/store";
import { artifactsOf } from "#resources/flow-runs/graph-artifacts";
import { planOf } from "../support/plans";
import { aDeployment, aFlow, aFlowRun, aRunOf, api, type Deployment, type FlowRun, WORKSPACE } from "../support/world";

interface World {
  suffix: string;
  one: FlowRun;
  two: FlowRun;
  deployment: Deployment;
  task: string;
  loose: string;
  ids: Record<string, string>;
}

let world: World;

const make = async (fields: Record<string, unknown>) =>
  (await api<{ id: string }>("POST", "/artifacts/", fields)).body.id;

/** Artifacts named `a` to `f`: two versions of a report, a table, one without a key, and one without anything. */
beforeAll(async () => {
  const suffix = crypto.randomUUID().slice(0, 8);
  const one = await aFlowRun({ flow_id: await aFlow(`first-${suffix}`), name: `one-${suffix}`, tags: ["red"] });
  const deployment = await aDeployment();
  const two = await aRunOf(deployment);
  const { body: task } = await api<{ id: string }>("POST", "/task_runs/", {
    flow_run_id: one.id,
    task_key: "t",
    dynamic_key: suffix,
    name: `task-${suffix}`,
  });
  const loose = crypto.randomUUID();
  const key = { report: `report-${suffix}`, table: `table-${suffix}`, other: `other-${suffix}` };
  const ids = {
    a: await make({ key: key.report, type: "markdown", data: "1", flow_run_id: one.id }),
    b: await make({ key: key.report, type: "markdown", data: "2", flow_run_id: one.id, task_run_id: task.id }),
    c: await make({ key: key.table, type: "table", data: [1], flow_run_id: two.id }),
    d: await make({ type: "result", flow_run_id: one.id }),
    e: await make({ key: key.other, task_run_id: loose }),
    f: await make({ data: suffix }),
  };
  await api("PATCH", `/artifacts/${ids.a}`, { description: "changed" });
  world = { suffix, one, two, deployment, task: task.id, loose, ids };
});

const any = (...ids: string[]) => ({ id: { any_: ids } });
const own = () => any(...Object.values(world.ids));

/** The names of the artifacts that a request finds, with the count. */
async function found(path: string, body: Record<string, unknown>, column: "id" | "latest_id"): Promise<string> {
  const names = new Map(Object.entries(world.ids).map(([name, id]) => [id, name]));
  const { body: rows } = await api<Record<string, string>[]>("POST", `${path}/filter`, body);
  const count = await api<number>("POST", `${path}/count`, { ...body, sort: undefined });
  const shown = rows.map((row) => names.get(row[column] ?? "") ?? "?").join(" ");
  return body["limit"] === undefined && count.body !== rows.length ? `${shown} (${count.body})` : shown;
}

const keyLike = () => ({ key: { like_: world.suffix } });

const CASES: [what: string, body: () => Record<string, unknown>, artifacts: string, latest: string][] = [
  ["a key", () => ({ artifacts: { key: { any_: [`report-${world.suffix}`] } } }), "b a", "b"],
  [
    "keys",
    () => ({ artifacts: { key: { any_: [`report-${world.suffix}`, `table-${world.suffix}`] } } }),
    "c b a",
    "c b",
  ],
  ["no keys", () => ({ artifacts: { key: { any_: [] } } }), "", ""],
  ["a text in the key", () => ({ artifacts: { key: { like_: `T-${world.suffix.toUpperCase()}` } } }), "b a", "b"],
  ["a flow run", () => ({ artifacts: { flow_run_id: { any_: [world.two.id] } } }), "c", "c"],
  [
    "flow runs, without a type",
    () => ({ artifacts: { flow_run_id: { any_: [world.one.id, world.two.id] }, type: { not_any_: ["result"] } } }),
    "c b a",
    "c b",
  ],
  ["types", () => ({ artifacts: { ...keyLike(), type: { any_: ["table", "result"] } } }), "c", "c"],
  ["a task run", () => ({ artifacts: { task_run_id: { any_: [world.task] } } }), "b", "b"],
  ["an unknown task run", () => ({ artifacts: { task_run_id: { any_: [world.loose] } } }), "e", "e"],
  [
    "either",
    () => ({
      artifacts: { operator: "or_", task_run_id: { any_: [world.loose] }, flow_run_id: { any_: [world.two.id] } },
    }),
    "e c",
    "e c",
  ],
  ["flow runs by id", () => ({ artifacts: keyLike(), flow_runs: any(world.one.id) }), "b a", "b"],
  ["flow runs by name", () => ({ flow_runs: { name: { any_: [`one-${world.suffix}`] } } }), "d b a", "b"],
  ["flow runs by tag", () => ({ artifacts: keyLike(), flow_runs: { tags: { all_: ["red"] } } }), "b a", "b"],
  ["a flow", () => ({ flows: { name: { any_: [`first-${world.suffix}`] } } }), "d b a", "b"],
  ["a deployment", () => ({ deployments: any(world.deployment.id) }), "c", "c"],
  ["a deployment by name", () => ({ deployments: { name: { any_: [world.deployment.name] } } }), "c", "c"],
  ["task runs by name", () => ({ task_runs: { name: { any_: [`task-${world.suffix}`] } } }), "b", "b"],
  ["task runs by id", () => ({ task_runs: any(world.task, world.loose) }), "b", "b"],
  ["any flow run", () => ({ artifacts: keyLike(), flow_runs: {} }), "c b a", "c b"],
  [
    "both runs",
    () => ({ flow_runs: any(world.one.id), task_runs: any(world.task), artifacts: { key: { exists_: true } } }),
    "b",
    "b",
  ],
  ["another run's task", () => ({ flow_runs: any(world.two.id), task_runs: any(world.task) }), "", ""],
];

describe("artifacts are found by", () => {
  test.for(CASES)("%s", async ([, body, artifacts]) => {
    expect(await found("/artifacts", body(), "id")).toBe(artifacts);
  });

  test.for(CASES)("%s, of which the latest", async ([, body, , latest]) => {
    expect(await found("/artifacts/latest", body(), "latest_id")).toBe(latest);
  });

  test("their ids, and with or without a key", async () => {
    expect(await found("/artifacts", { artifacts: own() }, "id")).toBe("f e d c b a");
    expect(await found("/artifacts", { artifacts: { ...own(), key: { exists_: false } } }, "id")).toBe("f d");
    expect(await found("/artifacts", { artifacts: { ...own(), key: { exists_: true } } }, "id")).toBe("e c b a");
    const latest = { latest_id: { any_: Object.values(world.ids) } };
    expect(await found("/artifacts/latest", { artifacts: latest }, "latest_id")).toBe("e c b");
  });
});

describe("artifacts are sorted by", () => {
  test.for([
    ["CREATED_DESC", "f e d c b a", "e c b"],
    ["UPDATED_DESC", "a f e d c b", "e c b"],
    ["ID_DESC", "f e d c b a", "e c b"],
    ["KEY_DESC", "c b a e f d", "c b e"],
    ["KEY_ASC", "d f e a b c", "e b c"],
  ] as const)("%s", async ([sort, artifacts, latest]) => {
    const collections = { latest_id: { any_: Object.values(world.ids) } };
    expect(await found("/artifacts", { artifacts: own(), sort }, "id")).toBe(artifacts);
    expect(await found("/artifacts/latest", { artifacts: collections, sort }, "latest_id")).toBe(latest);
    expect(await found("/artifacts", { artifacts: own(), sort, limit: 2, offset: 1 }, "id")).toBe(
      artifacts.slice(2, 5),
    );
  });
});

/** Artifacts of a run. Some of them were created in the same millisecond, in another order than that of their ids, and some were changed. */
async function manyArtifacts(): Promise<string> {
  const run = crypto.randomUUID();
  await env.DB.prepare(
    `with recursive n(i) as (select 0 union all select i + 1 from n where i < 299),
      made as (select i, 1700000000000 + i / 9 as ms, i * 37 % 9 as micros from n)
    insert into artifact (workspace_id, id, created, updated, key, flow_run_id)
    select x'01', unhex(format('%012x7000%016x', ms, abs(random()))), ms * 1000 + micros,
      ms * 1000 + micros + iif(i % 3, 0, i * 7919 % 50000), iif(i % 5, 'k' || i % 5, null), unhex(?, '-') from made`,
  )
    .bind(run)
    .run();
  return run;
}

test.for([1, 7, 100])("pages of %d of the last changed artifacts have all of them, in order", async (limit) => {
  const run = await manyArtifacts();
  const { results } = await env.DB.prepare(
    "select lower(hex(id)) as id from artifact where flow_run_id = unhex(?, '-') order by updated desc, id desc",
  )
    .bind(run)
    .all<{ id: string }>();
  const artifacts = { flow_run_id: { any_: [run] } };
  const found: string[] = [];
  for (let offset = 0; offset < 301; offset += limit) {
    const page = await api<{ id: string }[]>("POST", "/artifacts/filter", {
      artifacts,
      sort: "UPDATED_DESC",
      limit,
      offset,
    });
    found.push(...page.body.map(({ id }) => id.replaceAll("-", "")));
  }
  expect(found).toEqual(results.map(({ id }) => id));
});

describe("a question reads an index:", () => {
  const id = crypto.randomUUID();
  const many = { any_: [id, crypto.randomUUID()] };
  const OF_RUN = "artifact_flow_run (flow_run_id=? AND workspace_id=?)";
  const OF_TASK = "artifact_task_run (task_run_id=? AND workspace_id=?)";
  const PLANS: [what: string, filters: Filters, index: string, latest: string][] = [
    [
      "all by id",
      {},
      "SEARCH artifact USING PRIMARY KEY (workspace_id=?)",
      "SEARCH artifact_collection USING PRIMARY KEY (workspace_id=?)",
    ],
    ["a flow run", { artifacts: { operator: "and_", flow_run_id: { any_: [id] } } }, OF_RUN, OF_RUN],
    ["flow runs", { artifacts: { operator: "and_", flow_run_id: many } }, OF_RUN, OF_RUN],
    ["flow runs by their ids", { flow_runs: { operator: "and_", id: many } }, OF_RUN, OF_RUN],
    ["task runs", { artifacts: { operator: "and_", task_run_id: many } }, OF_TASK, OF_TASK],
    [
      "keys",
      { artifacts: { operator: "and_", key: many } },
      "artifact_key (workspace_id=? AND key=?)",
      "artifact_collection_key (workspace_id=? AND key=?)",
    ],
    ["a deployment", { deployments: { operator: "and_", id: { any_: [id] } } }, OF_RUN, OF_RUN],
  ];

  test.for(PLANS)("%s", async ([, filters, index, latest]) => {
    const where = whereClause("artifacts", filters, WORKSPACE);
    const order = orderBy("artifacts", "ID_DESC");
    const plan = await planOf(sql`select * from ${artifact} where ${where} order by ${order} limit 200`);
    expect(plan).toContain(index);
    expect(plan).not.toContain("SCAN artifact");
    const { artifacts: asked, ...others } = filters;
    const latestFilters: Filters = { ...others, artifact_collections: asked };
    const ofLatest = whereClause("artifact_collections", latestFilters, WORKSPACE);
    const latestPlan = await planOf(
      sql`select * from ${namesArtifacts(latestFilters) ? COLLECTIONS_OF_ARTIFACTS : COLLECTIONS} where ${ofLatest}
        order by ${orderBy("artifact_collections", "ID_DESC")} limit 200`,
    );
    expect(latestPlan).toContain(latest);
    expect(latestPlan).not.toContain("SCAN artifact");
    const lastChanged = await planOf(selectLastChanged(WORKSPACE, where, 200, 0));
    expect(lastChanged).toContain(index.replace("artifact_key (workspace_id=? AND key=?)", "artifact_key_changed"));
    expect(lastChanged).not.toContain("SCAN artifact");
  });

  test("the last changed artifacts of all and of one key", async () => {
    const all = await planOf(selectLastChanged(WORKSPACE, whereClause("artifacts", {}, WORKSPACE), 200, 0));
    const filters: Filters = { artifacts: { operator: "and_", key: { any_: ["k"] } } };
    const ofKey = await planOf(selectLastChanged(WORKSPACE, whereClause("artifacts", filters, WORKSPACE), 1, 0));
    for (const [plan, index] of [
      [all, "USING PRIMARY KEY (workspace_id=?)"],
      [all, "artifact_changed (workspace_id=?)"],
      [ofKey, "artifact_key (workspace_id=? AND key=?)"],
      [ofKey, "artifact_key_changed (workspace_id=? AND key=?)"],
    ] as const)
      expect(plan).toContain(index);
    // Only the rows of the page are sorted.
    for (const plan of [all, ofKey]) expect(plan.split("USE TEMP B-TREE FOR ORDER BY")).toHaveLength(2);
  });

  test("the pages of all artifacts are not sorted", async () => {
    for (const sort of ["ID_DESC", "CREATED_DESC", "KEY_ASC", "KEY_DESC"] as const) {
      const where = whereClause("artifacts", {}, WORKSPACE);
      const plan = await planOf(
        sql`select * from ${artifact} where ${where} order by ${orderBy("artifacts", sort)} limit 9`,
      );
      expect(plan).not.toContain("TEMP B-TREE");
    }
    for (const sort of ["ID_DESC", "KEY_ASC", "KEY_DESC"] as const) {
      const where = whereClause("artifact_collections", {}, WORKSPACE);
      const plan = await planOf(
        sql`select * from ${COLLECTIONS} where ${where}
          order by ${orderBy("artifact_collections", sort)} limit 9`,
      );
      expect(plan).not.toContain("TEMP B-TREE");
    }
  });

  test("the artifacts of a graph, and those that are deleted", async () => {
    expect(await planOf(artifactsOf(WORKSPACE, id))).toContain("artifact_flow_run (flow_run_id=?)");
    const statements = [
      ...deleteArtifact(WORKSPACE, id),
      ...deleteArtifactsOf(WORKSPACE, list([id])),
      ...deleteArtifactsOfTask(WORKSPACE, id),
    ];
    for (const statement of statements) expect(await planOf(statement)).not.toMatch(/SCAN (artifact|d|n|s)\b/);
  });
});
