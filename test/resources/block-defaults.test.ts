/** Job variables whose default is a block document. */
import { describe, expect, test } from "vitest";
import { aDeployment, aFlow, api, unique } from "../support/world";
import { blockWorld, type Data, refer } from "./blocks-world";

const template = (type: string, reference: unknown) => ({
  job_configuration: { config: "{{ config }}" },
  variables: { type: "object", properties: { config: { type, default: reference } } },
});

const aPool = (base_job_template: Data) =>
  api<Data>("POST", "/work_pools/", { name: unique("pool"), type: "process", base_job_template });

describe("a default that names a block document", () => {
  test("has the data of the document when the template is checked, and stays a reference", async () => {
    const { make } = await blockWorld(["token"]);
    const document = await make({ token: "x", namespace: "default" });
    const good = await aPool(template("object", refer(document)));
    expect(good.status).toBe(201);
    expect(good.body["base_job_template"]).toEqual(template("object", refer(document)));
    const bad = await aPool(template("integer", refer(document)));
    expect(bad.status).toBe(422);
    expect(String(bad.body["detail"])).not.toContain("'x'");
    const deployment = await aDeployment({ work_pool_name: good.body["name"], job_variables: {} });
    const path = `/deployments/${deployment.id}`;
    expect((await api("POST", `${path}/create_flow_run`, {})).status).toBe(201);
    await api("DELETE", `/block_documents/${document.id}`);
    const run = await api("POST", `${path}/create_flow_run`, { parameters: {} });
    expect([run.status, run.body]).toEqual([404, { detail: "Block not found." }]);
    const flow_id = await aFlow();
    const body = { name: unique("d"), flow_id, work_pool_name: good.body["name"], job_variables: { a: 1 } };
    expect((await api("POST", "/deployments/", body)).status).toBe(404);
  });

  test.for([crypto.randomUUID(), "zz", 5])("is a 404 for the unknown document %j", async (id) => {
    const { status, body } = await aPool(template("object", { $ref: { block_document_id: id } }));
    expect([status, body]).toEqual([404, { detail: "Block not found." }]);
  });
});
