import { env, SELF } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { api, WORKSPACE } from "../support/world";

describe("the routes about the server", () => {
  test.for([
    ["/health", 200, true],
    ["/hello", 200, "👋"],
    ["/ready", 200, { message: "OK" }],
    ["/version", 200, "0.8.4"],
    ["/admin/version", 200, "3.8.8"],
    ["/csrf-token?client=me", 422, { detail: "CSRF protection is disabled." }],
    ["/collections/views/none", 404, { detail: "View none not found in registry" }],
    ["/collections/views/demo-flows", 404, { detail: "Requested content missing for view demo-flows" }],
  ] as const)("%s answers %d", async ([path, status, body]) => {
    const answer = await api<unknown>("GET", path);
    expect([answer.status, answer.body]).toEqual([status, body]);
  });

  test("a CSRF token needs a client", async () => {
    const { status, body } = await api<{ exception_detail: unknown[] }>("GET", "/csrf-token");
    expect(status).toBe(422);
    expect(body.exception_detail).toEqual([
      { type: "missing", loc: ["query", "client"], msg: "Field required", input: null },
    ]);
  });
});

describe("the types of workers", () => {
  test("have a logo each, without which Prefect's UI offers no work pool of the type", async () => {
    const { body } = await api<Record<string, Record<string, { type: string; logo_url: string }>>>(
      "GET",
      "/collections/views/aggregate-worker-metadata",
    );
    const types = Object.values(body).flatMap((collection) => Object.values(collection));
    expect(types.map(({ type }) => type)).toEqual(["process", "docker", "kubernetes"]);
    for (const { logo_url } of types) expect(new URL(logo_url).protocol).toBe("data:");
  });
});

describe("GET /admin/settings", () => {
  test("has the address of the API and the maximum length of lists", async () => {
    const { body } = await api<{ server: { api: Record<string, unknown>; ui: Record<string, unknown> } }>(
      "GET",
      "/admin/settings",
    );
    expect(body.server.api).toMatchObject({ host: "sluice", port: 80, default_limit: 200, auth_string: null });
    expect(body.server.ui["api_url"]).toBe("http://sluice/api");
  });
});

describe("the default result storage", () => {
  const block = "6de80a6c-6b05-42c6-b0a1-de9a2d7d8a8e";
  const key = "server-default-result-storage";

  test("is null, can be set, and can be deleted", async () => {
    expect((await api("GET", "/admin/storage")).body).toEqual({ default_result_storage_block_id: null });
    await env.DB.prepare(
      "insert into configuration (workspace_id, key, created, updated, value) values (?, ?, 0, 0, ?)",
    )
      .bind(WORKSPACE, key, JSON.stringify({ default_result_storage_block_id: block }))
      .run();
    expect((await api("GET", "/admin/storage")).body).toEqual({ default_result_storage_block_id: block });
    expect((await api("DELETE", "/admin/storage")).status).toBe(204);
    expect((await api("GET", "/admin/storage")).body).toEqual({ default_result_storage_block_id: null });
  });

  test("cannot be an unknown block", async () => {
    const { status, body } = await api("PUT", "/admin/storage", { default_result_storage_block_id: block });
    expect([status, body]).toEqual([404, { detail: `Block document ${block} not found.` }]);
  });

  test.for([{}, { default_result_storage_block_id: "x" }, { default_result_storage_block_id: null }])(
    "%j is refused",
    async (body) => {
      expect((await api("PUT", "/admin/storage", body)).status).toBe(422);
    },
  );
});

describe("the metadata of worker types", () => {
  interface Worker {
    type: string;
    install_command: string;
    default_base_job_configuration: {
      job_configuration: Record<string, unknown>;
      variables: { properties: Record<string, { title?: string; description?: string }> };
    };
  }

  test("declare and describe every variable of a template", async () => {
    const { body } = await api<Record<string, Record<string, Worker>>>(
      "GET",
      "/collections/views/aggregate-worker-metadata",
    );
    const workers = Object.values(body).flatMap((types) => Object.values(types));
    expect(workers.map((worker) => worker.type)).toEqual(["process", "docker", "kubernetes"]);
    for (const { default_base_job_configuration: template } of workers) {
      const used = [...JSON.stringify(template.job_configuration).matchAll(/\{\{ (\w+) \}\}/g)].map(([, name]) => name);
      expect(used.length).toBeGreaterThan(5);
      expect(new Set(used)).toEqual(new Set(Object.keys(template.variables.properties)));
      for (const variable of Object.values(template.variables.properties)) {
        expect(variable.title).toBeTruthy();
        expect(variable.description).toBeTruthy();
      }
    }
  });

  test("have templates that a work pool accepts", async () => {
    const { body } = await api<Record<string, Record<string, Worker>>>(
      "GET",
      "/collections/views/aggregate-worker-metadata",
    );
    const name = `pool-${crypto.randomUUID().slice(0, 8)}`;
    const template = body["prefect"]?.["process"]?.default_base_job_configuration;
    const { status } = await api("POST", "/work_pools/", { name, type: "process", base_job_template: template });
    expect(status).toBe(201);
    expect((await api("GET", `/work_pools/${name}`)).body["base_job_template"]).toEqual(template);
  });
});

test("the OpenAPI document and its page are served", async () => {
  const document = await (
    await SELF.fetch("http://sluice/api/openapi.json")
  ).json<{ paths: Record<string, unknown> }>();
  expect(Object.keys(document.paths)).toContain("/api/admin/settings");
  expect(await (await SELF.fetch("http://sluice/docs")).text()).toContain("/api/openapi.json");
});
