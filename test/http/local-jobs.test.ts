import { env, SELF } from "cloudflare:test";
import { expect, test } from "vitest";
import { askApp } from "../support/app.ts";

const post = (path: string) => SELF.fetch(`http://sluice${path}`, { method: "POST" });

test("a local server runs a job as if it were later", async () => {
  await env.DB.prepare("delete from sweep_mark").run();
  const response = await post("/local/jobs/pack%20old%20events?ahead=3600");
  expect([response.status, await response.json()]).toEqual([200, { job: "pack old events" }]);
  const mark = await env.DB.prepare("select mark from sweep_mark where name = 'retention: pack events'").first("mark");
  const { begun } = JSON.parse(String(mark)) as { begun: number };
  expect(begun).toBeGreaterThan((Date.now() + 3_590_000) * 1000);
  expect(begun).toBeLessThan((Date.now() + 3_610_000) * 1000);
});

test("an unknown job is refused", async () => {
  const response = await post("/local/jobs/none");
  expect([response.status, await response.json()]).toEqual([404, { detail: "Job not found" }]);
});

test("a deployed server has no such path", async () => {
  const request = new Request("http://sluice/local/jobs/pack%20old%20events", {
    method: "POST",
    headers: { authorization: "Bearer key" },
  });
  const response = await askApp(request, { SLUICE_MODE: "deployed", SLUICE_API_KEY: "key" });
  expect([response.status, await response.json()]).toEqual([404, { detail: "Not Found" }]);
});
