import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { selectWaitingRuns } from "#resources/deployments/removals";
import { selectDue } from "#resources/deployments/poll";
import { TELL_COST } from "../support/cost";
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
import { planOf } from "../support/plans";

interface Deployment extends PlainDeployment {
  schedules: { id: string; slug: string | null; active: boolean; schedule: Record<string, unknown> }[];
}

const aDeployment = aPlainDeployment<Deployment>;

const HOURLY = { interval: 3600, anchor_date: "2020-01-01T00:00:00Z" };
const SCHEMA = {
  type: "object",
  properties: { x: { type: "integer" }, who: { type: "string", default: "you" } },
  required: ["x"],
};

const read = async (id: string) => (await api<Deployment>("GET", `/deployments/${id}`)).body;

describe("creation", () => {
  test("a deployment that is posted again keeps its id and all missing fields, and loses its schedules", async () => {
    const first = await aDeployment({
      description: "d",
      tags: ["a"],
      concurrency_limit: 3,
      schedules: [{ schedule: HOURLY }],
    });
    expect(first.schedules).toHaveLength(1);
    const again = await api<Deployment>("POST", "/deployments/", {
      name: first.name,
      flow_id: first.flow_id,
      tags: ["b"],
    });
    expect(again).toMatchObject({
      status: 200,
      body: {
        id: first.id,
        description: "d",
        tags: ["b"],
        schedules: [],
        global_concurrency_limit: { limit: 3, name: `deployment:${first.id}` },
      },
    });
    expect(await runsOf(first.id)).toEqual([]);
  });

  test("of many concurrent requests for the same deployment, one creates it", async () => {
    const body = { name: unique("same"), flow_id: await aFlow(), schedules: [{ schedule: HOURLY, slug: "s" }] };
    const answers = await Promise.all(Array.from({ length: 6 }, () => api<Deployment>("POST", "/deployments/", body)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1);
    const [one] = answers;
    expect((await read(one?.body.id ?? "")).schedules).toHaveLength(1);
  });

  test.for([
    ["an unknown flow", { flow_id: crypto.randomUUID() }, 409],
    ["an unknown pool", { work_pool_name: "nowhere" }, 404],
    ["an unknown limit", { global_concurrency_limit_id: crypto.randomUUID() }, 404],
    ["two limits", { concurrency_limit: 1, global_concurrency_limit_id: crypto.randomUUID() }, 422],
    [
      "the same slug twice",
      {
        schedules: [
          { schedule: HOURLY, slug: "s" },
          { schedule: HOURLY, slug: "s" },
        ],
      },
      409,
    ],
    [
      "parameters that its schema forbids",
      { enforce_parameter_schema: true, parameter_openapi_schema: SCHEMA, parameters: { x: "one" } },
      422,
    ],
    ["a schema that is none", { enforce_parameter_schema: true, parameter_openapi_schema: { type: "thing" } }, 422],
    ["a cron that is none", { schedules: [{ schedule: { cron: "every day" } }] }, 422],
  ] as const)("with %s is refused and stores nothing", async ([, fields, status]) => {
    const name = unique("refused");
    const answer = await api("POST", "/deployments/", { name, flow_id: await aFlow(), ...fields });
    expect(answer.status).toBe(status);
    expect((await api("POST", "/deployments/count", { deployments: { name: { any_: [name] } } })).body).toBe(0);
  });
});

describe("changes", () => {
  test("a change of the description keeps the scheduled runs, and a change of the parameters creates them again", async () => {
    const { id } = await aDeployment({ schedules: [{ schedule: HOURLY }] });
    const before = await runsOf(id);
    expect(before).toHaveLength(3);
    await api("PATCH", `/deployments/${id}`, { description: "new" });
    expect((await runsOf(id)).map((run) => run.id)).toEqual(before.map((run) => run.id));
    await api("PATCH", `/deployments/${id}`, { parameters: { x: 1 } });
    const after = await runsOf(id);
    expect(after.map((run) => run["expected_start_time"])).toEqual(before.map((run) => run["expected_start_time"]));
    expect(after.every((run) => JSON.stringify(run["parameters"]) === '{"x":1}')).toBe(true);
  });

  test("null removes a limit, and a body without the field keeps the limit", async () => {
    const { id } = await aDeployment({ concurrency_limit: 2 });
    await api("PATCH", `/deployments/${id}`, { tags: [] });
    expect(await read(id)).toMatchObject({ global_concurrency_limit: { limit: 2 } });
    await api("PATCH", `/deployments/${id}`, { concurrency_limit: null });
    expect(await read(id)).toMatchObject({ global_concurrency_limit: null });
  });

  test("two schedules exchange their slugs", async () => {
    const { id } = await aDeployment({
      paused: true,
      schedules: [
        { schedule: HOURLY, slug: "a" },
        { schedule: { cron: "0 0 * * *" }, slug: "b" },
      ],
    });
    const swapped = [
      { slug: "a", replaces: "b" },
      { slug: "b", replaces: "a" },
    ];
    expect((await api("PATCH", `/deployments/${id}`, { schedules: swapped })).status).toBe(204);
    const { schedules } = await read(id);
    expect(schedules.find(({ slug }) => slug === "a")?.schedule).toHaveProperty("cron");
    expect(schedules.find(({ slug }) => slug === "b")?.schedule).toHaveProperty("interval");
  });

  test.for([
    ["pausing", "pause_deployment"],
    ["serve's end", "PATCH"],
  ] as const)("%s deletes the scheduled runs", async ([, how]) => {
    const { id } = await aDeployment({ schedules: [{ schedule: HOURLY }] });
    const byHand = await api<FlowRun>("POST", `/deployments/${id}/create_flow_run`, {});
    if (how === "PATCH") await api("PATCH", `/deployments/${id}`, { paused: true });
    else await api("POST", `/deployments/${id}/${how}`);
    expect((await runsOf(id)).map((run) => run.id)).toEqual([byHand.body.id]);
    const states = await env.DB.prepare(
      "select count(*) as count from flow_run_state where flow_run_id not in (select id from flow_run)",
    ).first("count");
    expect(states).toBe(0);
    await api("POST", `/deployments/${id}/resume_deployment`);
    expect(await runsOf(id)).toHaveLength(4);
  });

  test("a deletion deletes the waiting runs, and runs that have started keep the deployment's id", async () => {
    const { id } = await aDeployment({ concurrency_limit: 1, schedules: [{ schedule: HOURLY }] });
    const ended = await api<FlowRun>("POST", `/deployments/${id}/create_flow_run`, { state: { type: "COMPLETED" } });
    expect((await api("DELETE", `/deployments/${id}`)).status).toBe(204);
    expect((await api("DELETE", `/deployments/${id}`)).status).toBe(404);
    expect((await runsOf(id)).map((run) => run.id)).toEqual([ended.body.id]);
    expect((await api("GET", `/flow_runs/${ended.body.id}`)).body).toMatchObject({ deployment_id: id });
    const left = await env.DB.prepare(
      "select (select count(*) from deployment_schedule where deployment_id = ?1) + (select count(*) from concurrency_limit where name = ?2) as count",
    )
      .bind(id, `deployment:${id}`)
      .first("count");
    expect(left).toBe(0);
  });
});

describe("runs", () => {
  test("a run has the deployment's parameters and tags, and the run's own override them", async () => {
    const { id } = await aDeployment({
      parameters: { x: 1, who: "a" },
      parameter_openapi_schema: SCHEMA,
      tags: ["d"],
      version: "7",
    });
    const run = await api<FlowRun>("POST", `/deployments/${id}/create_flow_run`, {
      parameters: { who: "b" },
      tags: ["r"],
    });
    expect(run).toMatchObject({
      status: 201,
      body: {
        state_type: "SCHEDULED",
        parameters: { x: 1, who: "b" },
        tags: ["d", "r"],
        deployment_version: "7",
        auto_scheduled: false,
      },
    });
  });

  test.for([
    [
      { x: "one" },
      409,
      "Error creating flow run: Validation failed for field 'x'. Failure reason: 'one' is not of type 'integer'",
    ],
    [{}, 409, "Error creating flow run: Validation failed. Failure reason: 'x' is a required property"],
    [{ x: { __prefect_kind: "json", value: "41" } }, 201, { x: 41 }],
    [{ x: { __prefect_kind: "json", value: '"a"' } }, 409, expect.stringContaining("'a' is not of type 'integer'")],
    [
      { x: 1, who: { __prefect_kind: "workspace_variable", variable_name: "never" } },
      400,
      expect.stringContaining("'never' not found"),
    ],
    [{ x: 1, who: { __prefect_kind: "workspace_variable" } }, 201, { x: 1 }],
    [{ x: 1, who: { __prefect_kind: "jinja", template: "{{ 1 }}" } }, 400, expect.stringContaining("Invalid jinja")],
    [{ x: 1, z: 2 }, 201, { x: 1, z: 2 }],
  ] as const)("%j are answered with %i", async ([parameters, status, told]) => {
    const { id } = await aDeployment({ parameter_openapi_schema: SCHEMA });
    const answer = await api("POST", `/deployments/${id}/create_flow_run`, { parameters });
    expect(answer.status).toBe(status);
    expect(status === 201 ? answer.body["parameters"] : answer.body["detail"]).toEqual(told);
    expect(await runsOf(id)).toHaveLength(status === 201 ? 1 : 0);
  });

  test("a variable of the workspace can be the value of a parameter", async () => {
    const name = unique("v").replaceAll("-", "_");
    await api("POST", "/variables/", { name, value: { deep: [1] } });
    const { id } = await aDeployment();
    const parameters = {
      x: [{ __prefect_kind: "workspace_variable", variable_name: { __prefect_kind: "json", value: `"${name}"` } }],
    };
    expect((await api("POST", `/deployments/${id}/create_flow_run`, { parameters })).body["parameters"]).toEqual({
      x: [{ deep: [1] }],
    });
  });

  test("in bulk, a refusal is only of one run", async () => {
    const { id } = await aDeployment({ parameter_openapi_schema: SCHEMA, parameters: { x: 1 } });
    const { body } = await api<{ results: { status: string; error: string | null }[] }>(
      "POST",
      `/deployments/${id}/create_flow_run/bulk`,
      [{}, { parameters: { x: "one" } }, { work_queue_name: "q" }],
    );
    expect(body.results.map(({ status }) => status)).toEqual(["CREATED", "FAILED", "FAILED"]);
    expect(await runsOf(id)).toHaveLength(1);
  });
});

describe("polls of served deployments", () => {
  const poll = (id: string, fields = {}) =>
    api<FlowRun[]>("POST", "/deployments/get_scheduled_flow_runs", { deployment_ids: [id], ...fields });

  test("offer only the scheduled runs of these deployments, by their time", async () => {
    const [mine, other] = [await aDeployment(), await aDeployment()];
    for (const [id, day] of [
      [mine.id, "03"],
      [mine.id, "01"],
      [other.id, "02"],
    ]) {
      const state = { type: "SCHEDULED", state_details: { scheduled_time: `2098-01-${day}T00:00:00Z` } };
      await api("POST", `/deployments/${id}/create_flow_run`, { state });
    }
    const { body } = await poll(mine.id);
    expect(body.map((run) => run["expected_start_time"])).toEqual(["2098-01-01T00:00:00Z", "2098-01-03T00:00:00Z"]);
    expect((await poll(mine.id, { scheduled_before: "2098-01-02T00:00:00Z" })).body).toHaveLength(1);
  });

  test("make a deployment READY at the first poll, and write nothing at the next poll", async () => {
    const { id, status } = await aDeployment();
    expect(status).toBe("NOT_READY");
    await poll(id);
    await expect.poll(() => read(id)).toMatchObject({ status: "READY", last_polled: expect.any(String) });
    const noted = (await read(id))["last_polled"];
    const again = await api("POST", "/deployments/get_scheduled_flow_runs", { deployment_ids: [id] }, TELL_COST);
    expect(again.headers.get("x-sluice-cost")).toMatch(/round_trips=1;.*rows_written=0/);
    expect((await read(id))["last_polled"]).toBe(noted);
  });

  test("read the index of live runs", async () => {
    const plan = await planOf(selectDue(WORKSPACE, { deploymentIds: ["a"], before: 1, limit: 10 }));
    expect(plan).toContain("flow_run_live (next_scheduled_start_time>? AND next_scheduled_start_time<?)");
  });

  test("and deletions of scheduled runs do not read the ended runs of a deployment", async () => {
    const plan = await planOf(selectWaitingRuns(WORKSPACE, "a", 1, 10));
    expect(plan).toContain("flow_run_deployment (workspace_id=? AND deployment_id=? AND <expr>>?)");
    expect(plan).toContain("flow_run_live (next_scheduled_start_time>? AND next_scheduled_start_time<?)");
  });
});
