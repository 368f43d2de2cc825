import { env } from "cloudflare:test";
import { sql } from "drizzle-orm";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Database } from "#db/database";
import { labelsObject, originId, readLabels, shortLabels } from "#db/short/labels";
import { noCost } from "#lib/cost";

const db = new Database(env.DB, noCost());
const KEYS = ["flow.id", "deployment.id", "worker.name", "worker.type", "work-pool.name", "work-pool.id"];

interface Read {
  short: string;
  object: string;
  origin: string | null;
}

/** The labels in the short form, the object that the database makes of them, and their deployment. */
async function read(labels: string, flow_id: string, deployment_id: string | null): Promise<Read> {
  const short = shortLabels(sql.raw("given.labels"), (name) => `given.${name}`);
  const [row] = await db.rows<Read>(sql`
    with given as (select ${labels} as labels, ${flow_id} as flow_id, ${deployment_id} as deployment_id),
      stored as (select ${short} as labels, flow_id, deployment_id from given)
    select labels as short, ${labelsObject("stored")} as object, ${originId("stored")} as origin from stored`);
  if (!row) throw new Error("no row");
  return row;
}

test("labels in the short form are the same labels, in the same order", async () => {
  const flowId = crypto.randomUUID();
  const deploymentId = crypto.randomUUID();
  const key = fc.oneof(fc.constantFrom(...KEYS.map((name) => `prefect.${name}`)), fc.string({ unit: "grapheme" }));
  const value = fc.oneof(
    fc.constantFrom(flowId, deploymentId),
    fc.string({ unit: "grapheme" }),
    fc.boolean(),
    fc.oneof({ weight: 1, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(key, value), { maxLength: 6 }),
      fc.option(fc.constant(deploymentId), { nil: null }),
      async (pairs, deployment_id) => {
        const long = JSON.stringify(Object.fromEntries(pairs));
        const { short, object, origin } = await read(long, flowId, deployment_id);
        const row = { flow_id: flowId, deployment_id };
        expect(JSON.stringify(readLabels({ ...row, labels: short }))).toBe(long);
        expect(JSON.stringify(JSON.parse(object))).toBe(long);
        const ofDeployment = new Map(pairs).get("prefect.deployment.id");
        if (typeof ofDeployment !== "boolean" && typeof ofDeployment !== "number")
          expect(origin).toBe(ofDeployment ?? null);
      },
    ),
    { numRuns: 60 },
  );
});

test("the labels of the system take few characters, and numbers stay as they are", async () => {
  const [flow, deployment] = [crypto.randomUUID(), crypto.randomUUID()];
  const labels = { "prefect.flow.id": flow, "prefect.deployment.id": deployment, "prefect.worker.name": "w" };
  expect((await read(JSON.stringify(labels), flow, deployment)).short).toBe('[0,null,1,null,2,"w"]');
  const numbers = '{"a":1.0,"b":1152921504606846977}';
  expect(await read(numbers, flow, deployment)).toMatchObject({ short: numbers, object: numbers });
});
