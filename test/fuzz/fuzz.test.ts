import { createExecutionContext, env, SELF, waitOnExecutionContext } from "cloudflare:test";
import { expect, test } from "vitest";
import { openApiDocument } from "#describe";
import { CRONS } from "#services/crons";
import { makeTools } from "#tools";
import { WORKSPACE } from "../support/world";
import type { Document } from "./requests";
import { run } from "./run";

/** Another seed plays other requests; `npm run test:fuzz` takes one from the clock. */
const SEED = 20_261_127;
const REQUESTS = 4_000;

const send = async (method: string, path: string, body?: string) => {
  const response = await SELF.fetch(`http://sluice/api${path}`, {
    method,
    headers: { "content-type": "application/json" },
    ...(body !== undefined && { body }),
  });
  return { status: response.status, text: await response.text() };
};

/** What the clock starts, one after the other, each of which must end. */
async function sweep(): Promise<void> {
  const context = createExecutionContext();
  const tools = makeTools(env, WORKSPACE, (promise) => context.waitUntil(promise));
  for (const job of CRONS["* * * * *"] ?? []) await job.run(tools);
  await waitOnExecutionContext(context);
}

test(`hostile requests are answered, and stop nothing for others (seed ${SEED})`, { timeout: 600_000 }, async () => {
  const report = await run(JSON.parse(openApiDocument("0")) as Document, SEED, send, {
    checks: 2,
    intake: true,
    isOver: ({ requests }) => requests >= REQUESTS,
    between: sweep,
  });
  console.log(report.summary);
  expect(report.findings).toEqual([]);
});
