import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { systemIds } from "#lib/clock";
import { keepVersion } from "#resources/deployments/versions-store";
import { costOf, TELL_COST } from "../support/cost";
import { planOf } from "../support/plans";
import {
  aDeployment as aPlainDeployment,
  aFlow,
  api,
  type Deployment as PlainDeployment,
  type FlowRun,
  runsOf,
  unique,
  WORKSPACE,
} from "../support/world";

interface Deployment extends PlainDeployment {
  version_id: string;
  version_info: Record<string, unknown> | null;
}

const aDeployment = aPlainDeployment<Deployment>;

interface Version {
  id: string;
  ordinal: number;
  is_current: boolean;
  archived: string | null;
  [field: string]: unknown;
}

const GIT = { type: "vcs:git", version: "abc1234", branch: "main", url: "https://example.test/repo" };
const HOURLY = { interval: 3600, anchor_date: "2020-01-01T00:00:00Z" };

async function aPool(properties: Record<string, unknown> = { env: { type: "object" } }): Promise<string> {
  const name = unique("pool");
  const used = Object.fromEntries(Object.keys(properties).map((variable) => [variable, `{{ ${variable} }}`]));
  const template = { job_configuration: used, variables: { type: "object", properties } };
  const { status } = await api("POST", "/work_pools/", { name, type: "process", base_job_template: template });
  if (status !== 201) throw new Error("a pool was refused");
  return name;
}

const read = async (id: string, headers = {}) =>
  (await api<Deployment>("GET", `/deployments/${id}`, undefined, headers)).body;
const list = async (id: string, query = "") =>
  (await api<Version[]>("GET", `/deployments/${id}/versions${query}`)).body;
const ordinals = async (id: string, query = "") => (await list(id, query)).map((version) => version.ordinal);
const change = (id: string, fields: Record<string, unknown>) => api("PATCH", `/deployments/${id}`, fields);
const act = (id: string, version: string, verb: string) =>
  api<Version>("POST", `/deployments/${id}/versions/${version}/${verb}`);

/** A deployment with two versions. The second version is current. */
async function twoVersions(first: Record<string, unknown>, second: Record<string, unknown>) {
  const { id, version_id: old } = await aDeployment(first);
  const { status, body } = await change(id, second);
  if (status !== 204) throw new Error(`the second version was refused: ${JSON.stringify(body)}`);
  return { id, old, newest: (await read(id)).version_id };
}

describe("a new version", () => {
  test("is created with a new deployment, and has the client's version_info", async () => {
    const made = await aDeployment({ version: "abc1234", version_info: GIT, entrypoint: "flows.py:etl" });
    expect(made.version_info).toEqual(GIT);
    const { body } = await api<Version>("GET", `/deployments/${made.id}/versions/${made.version_id}`);
    expect(body).toMatchObject({
      id: made.version_id,
      deployment_id: made.id,
      ordinal: 1,
      is_current: true,
      archived: null,
      version: "abc1234",
      version_info: GIT,
      entrypoint: "flows.py:etl",
      parameters: {},
      tags: [],
      enforce_parameter_schema: true,
    });
  });

  test.for<[string, Record<string, unknown>]>([
    ["a version", { version: "2" }],
    ["a version_info", { version_info: { ...GIT, version: "def5678" } }],
    ["a version_info taken away", { version_info: null }],
    ["tags", { tags: ["a", "b"] }],
    ["a path", { path: "/elsewhere" }],
    ["an entrypoint", { entrypoint: "other.py:etl" }],
    ["pull steps", { pull_steps: [{ "prefect.deployments.steps.set_working_directory": { directory: "/x" } }] }],
    ["parameters", { parameters: { x: 2 } }],
    ["a parameter schema", { parameter_openapi_schema: { type: "object", properties: { x: { type: "integer" } } } }],
    ["whether the schema is enforced", { enforce_parameter_schema: false }],
    ["job variables", { job_variables: { image: "new" } }],
  ])("is created by a change of %s, and is not created if the change is sent again", async ([, fields]) => {
    const first = {
      version: "1",
      version_info: GIT,
      tags: ["a"],
      parameters: { x: 1 },
      job_variables: { image: "old" },
    };
    const { id } = await aDeployment(first);
    await change(id, fields);
    await change(id, fields);
    expect(await ordinals(id)).toEqual([2, 1]);
  });

  test.for<[string, Record<string, unknown>]>([
    ["a schedule", { schedules: [{ schedule: HOURLY, active: true }] }],
    ["a pause", { paused: true }],
    ["a description", { description: "another" }],
    ["a limit", { concurrency_limit: 2 }],
    ["keys in another order", { parameters: { y: { b: 2, a: 1 }, x: 1 } }],
  ])("is not created by a change of %s", async ([, fields]) => {
    const { id } = await aDeployment({ parameters: { x: 1, y: { a: 1, b: 2 } } });
    expect((await change(id, fields)).status).toBe(204);
    expect(await ordinals(id)).toEqual([1]);
  });

  test("is created by a change of the work pool", async () => {
    const { id } = await aDeployment({ work_pool_name: await aPool() });
    const other = await aPool();
    await change(id, { work_pool_name: other });
    const [newest] = await list(id);
    expect((await api("GET", `/deployments/${id}/versions/${newest?.id}`)).body).toMatchObject({
      ordinal: 2,
      work_pool_name: other,
      work_queue_name: "default",
    });
  });

  test("is not created if a deployment is posted again with the same content, and no other row is written", async () => {
    const body = { name: unique("d"), flow_id: await aFlow(), version: "1", version_info: GIT, tags: ["a"] };
    const post = (said: object) => api<Deployment>("POST", "/deployments/", said, TELL_COST);
    const first = await aDeployment(body);
    const again = await post(body);
    expect(again.body.version_id).toBe(first.version_id);
    const distinct = await post({ ...body, version: "2" });
    expect(distinct.body.version_id).not.toBe(first.version_id);
    expect(costOf(distinct.headers, "rows_written") - costOf(again.headers, "rows_written")).toBe(1);
    expect(await ordinals(first.id)).toEqual([2, 1]);
  });

  test("is not created by a refused change", async () => {
    const { id } = await aDeployment();
    expect((await change(id, { version: "2", work_pool_name: "nowhere" })).status).toBe(404);
    expect((await change(id, { version: "2", version_info: { type: "x" } })).status).toBe(422);
    expect(await ordinals(id)).toEqual([1]);
  });

  test("has its own ordinal for concurrent changes, and the deployment has the content of the newest version", async () => {
    const { id } = await aDeployment();
    const words = Array.from({ length: 12 }, (_, index) => `v${index}`);
    const answers = await Promise.all(words.map((version) => change(id, { version, parameters: { of: version } })));
    expect(answers.every(({ status }) => status === 204)).toBe(true);
    expect(await ordinals(id)).toEqual(Array.from({ length: 13 }, (_, index) => 13 - index));
    const now = await read(id);
    const newest = await api<Version>("GET", `/deployments/${id}/versions/${now.version_id}`);
    expect(newest.body).toMatchObject({ ordinal: 13, is_current: true, version: now["version"] });
    expect(now["parameters"]).toEqual({ of: now["version"] });
  });

  test("replaces the oldest of a thousand versions", async () => {
    const { id } = await aDeployment({ version: "1" });
    await env.DB.prepare(
      `with recursive n(value) as (select 2 union all select value + 1 from n where value < 1000)
        insert into deployment_version (workspace_id, deployment_id, ordinal, id, created, content)
        select v.workspace_id, v.deployment_id, n.value, 'copy-' || n.value, v.created, v.content
        from deployment_version v, n where v.workspace_id = ? and v.deployment_id = ?`,
    )
      .bind(WORKSPACE, id)
      .run();
    await change(id, { version: "2" });
    const [first] = await list(id, "?limit=1");
    const [last, none] = await list(id, "?limit=2&offset=999");
    expect([first?.ordinal, last?.ordinal, none]).toEqual([1001, 2, undefined]);
  });

  test("is found by the key, for any number of versions", async () => {
    const { id } = await aDeployment();
    for (const statement of keepVersion({ workspaceId: WORKSPACE, ids: systemIds() }, id, 0)) {
      const plan = await planOf(statement);
      expect(plan).not.toMatch(/SCAN (?!CONSTANT)/);
      expect(plan).toContain("SEARCH m USING PRIMARY KEY (workspace_id=? AND deployment_id=?)");
    }
  });

  test("is deleted with its deployment", async () => {
    const { id } = await aDeployment();
    await api("DELETE", `/deployments/${id}`);
    expect((await api("GET", `/deployments/${id}/versions`)).status).toBe(404);
    const gone = await aDeployment();
    await api("DELETE", `/flows/${gone.flow_id}`);
    expect((await api("GET", `/deployments/${gone.id}/versions/${gone.version_id}`)).status).toBe(404);
  });
});

describe("lists", () => {
  test("a page is newest first and has each version without its large fields", async () => {
    const { id } = await aDeployment({ version: "0" });
    for (const version of ["1", "2", "3"]) await change(id, { version });
    const page = await list(id, "?limit=2&offset=1");
    expect(page.map(({ ordinal, version, is_current }) => [ordinal, version, is_current])).toEqual([
      [3, "2", false],
      [2, "1", false],
    ]);
    expect(page[0]).not.toHaveProperty("parameters");
  });

  test.for(["?limit=201", "?limit=-1", "?offset=-1", "?limit=x"])("%s is refused", async (query) => {
    const { id } = await aDeployment();
    expect((await api("GET", `/deployments/${id}/versions${query}`)).status).toBe(422);
  });

  test("of an unknown deployment, and unknown versions, are answered with 404", async () => {
    const { id } = await aDeployment();
    const other = await aDeployment();
    const nobody = crypto.randomUUID();
    expect((await api("GET", `/deployments/${nobody}/versions`)).status).toBe(404);
    for (const version of [nobody, other.version_id]) {
      expect((await api("GET", `/deployments/${id}/versions/${version}`)).status).toBe(404);
      for (const verb of ["rollback", "archive", "unarchive"]) expect((await act(id, version, verb)).status).toBe(404);
    }
    expect(await ordinals(other.id)).toEqual([1]);
  });
});

describe("a rollback", () => {
  test("makes the old content the newest version, with a new ordinal and new runs; a second rollback changes nothing", async () => {
    const first = {
      version: "1",
      version_info: GIT,
      entrypoint: "one.py:f",
      parameters: { x: 1 },
      tags: ["one"],
      job_variables: { image: "one" },
      schedules: [{ schedule: HOURLY }],
    };
    const second = {
      version: "2",
      version_info: null,
      entrypoint: "two.py:f",
      parameters: { x: 2 },
      tags: [],
      job_variables: {},
    };
    const { id, old } = await twoVersions(first, second);
    expect((await runsOf(id))[0]).toMatchObject({ parameters: { x: 2 }, deployment_version: "2" });
    const rolled = await act(id, old, "rollback");
    expect(rolled).toMatchObject({ status: 200, body: { ordinal: 3, is_current: true, entrypoint: "one.py:f" } });
    const { schedules: _schedules, ...content } = first;
    expect(await read(id)).toMatchObject({ ...content, version_id: rolled.body.id });
    const runs = await runsOf(id);
    expect(runs).toHaveLength(3);
    expect(runs[0]).toMatchObject({ parameters: { x: 1 }, deployment_version: "1" });
    expect((await act(id, rolled.body.id, "rollback")).body.id).toBe(rolled.body.id);
    expect(await ordinals(id)).toEqual([3, 2, 1]);
  });

  test("to the content of the newest version creates no version", async () => {
    const { id, old } = await twoVersions({ version: "1" }, { version: "2" });
    await change(id, { version: "1" });
    expect((await act(id, old, "rollback")).body.ordinal).toBe(3);
    expect(await ordinals(id)).toEqual([3, 2, 1]);
  });

  test("to a version with a deleted work queue is refused and changes nothing", async () => {
    const pool = await aPool();
    const { id, old } = await twoVersions({ work_pool_name: pool }, { work_pool_name: await aPool(), version: "2" });
    await api("DELETE", `/work_pools/${pool}`);
    expect((await act(id, old, "rollback")).status).toBe(409);
    expect((await api("POST", `/deployments/${id}/create_flow_run`, { deployment_version_id: old })).status).toBe(409);
    expect(await read(id)).toMatchObject({ version: "2" });
  });

  test("that would leave schedules without a required parameter is refused and changes nothing", async () => {
    const schema = { type: "object", properties: { x: { type: "integer" } }, required: ["x"] };
    const { id, old } = await twoVersions(
      { parameter_openapi_schema: schema },
      { parameters: { x: 1 }, schedules: [{ schedule: HOURLY, active: true }] },
    );
    const before = await runsOf(id);
    expect((await act(id, old, "rollback")).status).toBe(422);
    expect(await runsOf(id)).toEqual(before);
    expect(await ordinals(id)).toEqual([2, 1]);
  });
});

describe("an archive", () => {
  test("hides a version and forbids its use, until the version is restored", async () => {
    const { id, old } = await twoVersions({ version: "1" }, { version: "2" });
    const first = await act(id, old, "archive");
    expect(first.body.archived).not.toBeNull();
    expect((await act(id, old, "archive")).body.archived).toBe(first.body.archived);
    expect(await ordinals(id)).toEqual([2]);
    expect(await ordinals(id, "?archived=true")).toEqual([2, 1]);
    expect((await act(id, old, "rollback")).status).toBe(409);
    expect((await api("POST", `/deployments/${id}/create_flow_run`, { deployment_version_id: old })).status).toBe(409);
    expect((await act(id, old, "unarchive")).body.archived).toBeNull();
    expect((await act(id, old, "rollback")).body.ordinal).toBe(3);
  });

  test("of the newest version is refused", async () => {
    const { id, newest } = await twoVersions({ version: "1" }, { version: "2" });
    expect((await act(id, newest, "archive")).status).toBe(409);
    expect((await list(id))[0]).toMatchObject({ id: newest, archived: null });
  });
});

describe("a run pinned to a version", () => {
  const create = (id: string, fields: Record<string, unknown>) =>
    api<FlowRun>("POST", `/deployments/${id}/create_flow_run`, fields);

  test("has the content of that version and names the version", async () => {
    const [oldPool, newPool] = [await aPool(), await aPool()];
    const { id, old } = await twoVersions(
      { version: "1", version_info: GIT, parameters: { x: 1, y: 1 }, tags: ["one"], work_pool_name: oldPool },
      { version: "2", parameters: { x: 2 }, tags: ["two"], work_pool_name: newPool },
    );
    const { status, body } = await create(id, {
      deployment_version_id: old,
      parameters: { y: 5 },
      labels: { mine: 1 },
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      deployment_id: id,
      deployment_version: "1",
      parameters: { x: 1, y: 5 },
      tags: ["one"],
      work_pool_name: oldPool,
      labels: {
        mine: 1,
        "prefect.deployment.id": id,
        "prefect.deployment.version-id": old,
        "prefect.deployment.version-type": GIT.type,
        "prefect.deployment.version": GIT.version,
      },
    });
    const free = (await create(id, {})).body;
    expect(free).toMatchObject({ deployment_version: "2", parameters: { x: 2 }, work_pool_name: newPool });
    expect(free["labels"]).not.toHaveProperty("prefect.deployment.version-id");
  });

  test("is checked by the schema of that version", async () => {
    const schema = (type: string) => ({ type: "object", properties: { x: { type } } });
    const { id, old } = await twoVersions(
      { parameter_openapi_schema: schema("integer"), enforce_parameter_schema: true },
      { parameter_openapi_schema: schema("string") },
    );
    const tried = async (x: unknown, version?: string) =>
      (await create(id, { parameters: { x }, ...(version && { deployment_version_id: version }) })).status;
    expect([await tried("a"), await tried(1), await tried(1, old), await tried("a", old)]).toEqual([
      201, 409, 201, 409,
    ]);
  });

  test("has all its job variables, so that it gets no variables of the newest version", async () => {
    const pool = await aPool({
      env: { type: "object", additionalProperties: { anyOf: [{ type: "string" }, { type: "null" }] } },
      image: { type: "string", default: "plain" },
      command: { anyOf: [{ type: "string" }, { type: "null" }], default: null },
    });
    const { id, old } = await twoVersions(
      { work_pool_name: pool, job_variables: { env: { A: "1", B: "1" } } },
      { job_variables: { image: "new", command: "go", env: { A: "2", C: "2" } } },
    );
    const { body } = await create(id, {
      deployment_version_id: old,
      job_variables: { command: "mine", env: { D: "3" } },
    });
    expect(body["job_variables"]).toEqual({
      image: "plain",
      command: "mine",
      env: { A: "1", B: "1", C: null, D: "3", PREFECT__WORKER_NAME: `deployment-version ${id} ${old}` },
    });
  });

  test("reads its deployment with the content of that version, and other clients read the newest", async () => {
    const pull = (directory: string) => [{ "prefect.deployments.steps.set_working_directory": { directory } }];
    const { id, old } = await twoVersions(
      { entrypoint: "one.py:f", pull_steps: pull("/one"), version_info: GIT },
      { entrypoint: "two.py:f", pull_steps: pull("/two"), version_info: null },
    );
    const run = (await create(id, { deployment_version_id: old })).body;
    const { env } = run["job_variables"] as { env: Record<string, string> };
    const header = { "X-Prefect-Worker-Name": env["PREFECT__WORKER_NAME"] };
    expect(await read(id, header)).toMatchObject({
      id,
      version_id: old,
      version_info: GIT,
      entrypoint: "one.py:f",
      pull_steps: pull("/one"),
    });
    expect(await read(id)).toMatchObject({ entrypoint: "two.py:f" });
    expect(await read(id, { "X-Prefect-Worker-Name": "worker-1" })).toMatchObject({ entrypoint: "two.py:f" });
    const other = await aDeployment({ entrypoint: "other.py:f" });
    expect(await read(other.id, header)).toMatchObject({ id: other.id, entrypoint: "other.py:f" });
    const lost = { "X-Prefect-Worker-Name": `deployment-version ${id} ${crypto.randomUUID()}` };
    expect((await api("GET", `/deployments/${id}`, undefined, lost)).status).toBe(404);
  });

  test("is refused if the version is unknown or of another deployment, or if the process could not know the version", async () => {
    const { id, version_id: own } = await aDeployment({ work_pool_name: await aPool({ image: { type: "string" } }) });
    const other = await aDeployment();
    expect((await create(id, { deployment_version_id: crypto.randomUUID() })).status).toBe(404);
    expect((await create(id, { deployment_version_id: other.version_id })).status).toBe(404);
    expect((await create(id, { deployment_version_id: "v1" })).status).toBe(422);
    expect((await create(id, { deployment_version_id: own })).status).toBe(409);
    expect(await runsOf(id)).toEqual([]);
  });

  test("can be part of a bulk request, and a refusal is only of this run", async () => {
    const { id, old, newest } = await twoVersions({ version: "1" }, { version: "2" });
    const bodies = [
      { deployment_version_id: old },
      { deployment_version_id: crypto.randomUUID() },
      {},
      { deployment_version_id: newest },
    ];
    const { body } = await api<{ results: { flow_run_id: string | null; status: string; error: string | null }[] }>(
      "POST",
      `/deployments/${id}/create_flow_run/bulk`,
      bodies,
    );
    expect(body.results.map(({ status, error }) => [status, error])).toEqual([
      ["CREATED", null],
      ["FAILED", "Version not found"],
      ["CREATED", null],
      ["CREATED", null],
    ]);
    const versions = await Promise.all(
      body.results.map(
        async ({ flow_run_id: run }) =>
          run && (await api<FlowRun>("GET", `/flow_runs/${run}`)).body["deployment_version"],
      ),
    );
    expect(versions).toEqual(["1", null, "2", "2"]);
  });
});
