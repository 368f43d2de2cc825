import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { aFlowRun, api, unique, WORKSPACE } from "../support/world";

interface Flow {
  id: string;
  name: string;
  tags: string[];
  labels: Record<string, unknown> | null;
  created: string;
  updated: string;
}

async function aFlowByName(name = unique("flow"), fields: Record<string, unknown> = {}): Promise<Flow> {
  return (await api<Flow>("POST", "/flows/", { name, ...fields })).body;
}

async function count(table: string, column: string, id: string): Promise<number> {
  const row = await env.DB.prepare(`select count(*) as count from ${table} where workspace_id = ? and ${column} = ?`)
    .bind(WORKSPACE, id)
    .first<{ count: number }>();
  return row?.count ?? -1;
}

test("a flow is created once for each name, and does not change", async () => {
  const name = unique("flow");
  const first = await api<Flow>("POST", "/flows/", { name, tags: ["a", "a", "b"], labels: { team: "x", size: 1 } });
  const second = await api<Flow>("POST", "/flows/", { name, tags: ["c"] });
  expect([first.status, second.status]).toEqual([201, 200]);
  expect(second.body).toEqual(first.body);
  expect(first.body).toMatchObject({ name, tags: ["a", "b"], labels: { team: "x", size: 1 } });
});

test("64 concurrent requests for a flow of the same name get the same flow, and one request creates it", async () => {
  const name = unique("flow");
  const made = await Promise.all(Array.from({ length: 64 }, () => api<Flow>("POST", "/flows/", { name })));
  expect(new Set(made.map(({ body }) => body.id)).size).toBe(1);
  expect(made.filter(({ status }) => status === 201)).toHaveLength(1);
});

test("labels may be null, and are empty unless they are given", async () => {
  expect((await aFlowByName(unique("flow"), { labels: null })).labels).toBeNull();
  expect((await aFlowByName()).labels).toEqual({});
});

test("a flow is read by its id and by its name, including names with spaces", async () => {
  const flow = await aFlowByName(unique("with space é"));
  expect((await api("GET", `/flows/${flow.id}`)).body).toEqual(flow);
  expect((await api("GET", `/flows/name/${encodeURIComponent(flow.name)}`)).body).toEqual(flow);
});

test("an update changes only the tags and the time of the update", async () => {
  const flow = await aFlowByName(unique("flow"), { tags: ["a"], labels: { x: true } });
  expect((await api("PATCH", `/flows/${flow.id}`, { tags: ["b"] })).status).toBe(204);
  const after = (await api<Flow>("GET", `/flows/${flow.id}`)).body;
  expect(after).toEqual({ ...flow, tags: ["b"], updated: after.updated });
  expect(after.updated > flow.updated).toBe(true);
  await api("PATCH", `/flows/${flow.id}`, {});
  expect((await api<Flow>("GET", `/flows/${flow.id}`)).body.tags).toEqual(["b"]);
});

test.for([
  ["", "string_pattern_mismatch"],
  ["a/b", "string_pattern_mismatch"],
  ["a%b", "string_pattern_mismatch"],
  ["a<b", "string_pattern_mismatch"],
  [null, "string_type"],
  [undefined, "missing"],
] as const)("a flow cannot be called %j", async ([name, type]) => {
  const { status, body } = await api<{ exception_detail: unknown[] }>("POST", "/flows/", { name });
  expect(status).toBe(422);
  expect(body.exception_detail).toMatchObject([{ type, loc: ["body", "name"] }]);
});

test.for([
  ["GET", "/flows/", undefined],
  ["PATCH", "/flows/", { tags: [] }],
  ["DELETE", "/flows/", undefined],
] as const)("%s of an unknown flow is answered with 404", async ([method, path, body]) => {
  const { status, body: answer } = await api(method, `${path}${crypto.randomUUID()}`, body);
  expect([status, answer]).toEqual([404, { detail: "Flow not found" }]);
});

test("flows are filtered, counted and paged", async () => {
  const prefix = unique("page");
  for (const letter of ["c", "a", "b"]) await aFlowByName(`${prefix}-${letter}`);
  const flows = { name: { like_: prefix } };
  const names = (list: Flow[]) => list.map(({ name }) => name.at(-1)).join("");
  expect(names((await api<Flow[]>("POST", "/flows/filter", { flows })).body)).toBe("abc");
  expect(
    names((await api<Flow[]>("POST", "/flows/filter", { flows, sort: "NAME_DESC", offset: 1, limit: 1 })).body),
  ).toBe("b");
  expect((await api("POST", "/flows/count", { flows })).body).toBe(3);
  const page = (await api<{ results: Flow[] }>("POST", "/flows/paginate", { flows, limit: 2, page: 2 })).body;
  expect({ ...page, results: names(page.results) }).toEqual({ results: "c", count: 3, limit: 2, pages: 2, page: 2 });
  expect((await api("POST", "/flows/filter", { limit: 201 })).status).toBe(422);
});

test("a flow is deleted with its runs and deployments, and with no others", async () => {
  const [doomed, other] = [await aFlowByName(), await aFlowByName()];
  const runs = await Promise.all([1, 2, 3].map(() => aFlowRun({ flow_id: doomed.id })));
  const kept = await aFlowRun({ flow_id: other.id });
  for (const flow of [doomed, other]) await aDeploymentWithSchedule(flow.id);
  expect((await api("DELETE", `/flows/${doomed.id}`)).status).toBe(204);
  expect((await api("DELETE", `/flows/${doomed.id}`)).status).toBe(404);
  for (const run of runs) expect(await count("flow_run_state", "flow_run_id", run.id)).toBe(0);
  expect(await count("flow_run", "flow_id", doomed.id)).toBe(0);
  expect(await count("deployment", "flow_id", doomed.id)).toBe(0);
  expect(await count("deployment_schedule", "deployment_id", doomed.id)).toBe(0);
  expect(await count("deployment", "flow_id", other.id)).toBe(1);
  expect(await count("deployment_schedule", "deployment_id", other.id)).toBe(1);
  expect((await api("GET", `/flow_runs/${kept.id}`)).status).toBe(200);
});

/** A flow and a deployment with the same id, so that a test can find both by one id. */
async function aDeploymentWithSchedule(flowId: string): Promise<void> {
  await env.DB.batch([
    env.DB.prepare(
      `insert into deployment (workspace_id, id, created, updated, name, flow_id, paused, status, job_variables, parameters,
        enforce_parameter_schema, tags, labels) values (?1, ?2, 1, 1, 'd', ?2, 0, 'NOT_READY', '{}', '{}', 0, '[]', '{}')`,
    ).bind(WORKSPACE, flowId),
    env.DB.prepare(
      `insert into deployment_schedule (workspace_id, deployment_id, id, created, updated, schedule, active, parameters)
        values (?1, ?2, ?2, 1, 1, '{"cron":"0 0 * * *"}', 1, '{}')`,
    ).bind(WORKSPACE, flowId),
  ]);
}

test("a second deletion completes an interrupted deletion", async () => {
  const flow = await aFlowByName();
  await Promise.all([1, 2, 3].map(() => aFlowRun({ flow_id: flow.id })));
  await env.DB.prepare("delete from flow_run where id = (select id from flow_run where flow_id = ? limit 1)")
    .bind(flow.id)
    .run();
  expect((await api("DELETE", `/flows/${flow.id}`)).status).toBe(204);
  expect(await count("flow_run", "flow_id", flow.id)).toBe(0);
});

test("a bulk deletion deletes the flows that its filter matches, by name, up to its limit", async () => {
  const prefix = unique("bulk");
  const flows = { name: { like_: prefix } };
  const [a, b] = [await aFlowByName(`${prefix}-a`), await aFlowByName(`${prefix}-b`)];
  expect((await api("POST", "/flows/bulk_delete", { flows, limit: 51 })).status).toBe(422);
  expect((await api("POST", "/flows/bulk_delete", { flows, limit: 0 })).status).toBe(422);
  expect((await api("POST", "/flows/bulk_delete", { flows, limit: 1 })).body).toEqual({ deleted: [a.id] });
  expect((await api("POST", "/flows/bulk_delete", { flows })).body).toEqual({ deleted: [b.id] });
  expect((await api("POST", "/flows/bulk_delete", { flows })).body).toEqual({ deleted: [] });
});
