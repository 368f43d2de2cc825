import { expect, test } from "vitest";
import { openApiDocument } from "#describe";
import { CRONS } from "#services/crons";
import { withTools } from "../support/tools";
import { sendText } from "../support/world";
import type { Document } from "./requests";
import { run } from "./run";

/** Another seed gives other requests. `npm run test:fuzz` takes a seed from the clock. */
const SEED = 20_261_127;
const REQUESTS = 4_000;

/** Runs the jobs of each minute, one after the other. */
const runJobs = () =>
  withTools(async (tools) => {
    for (const job of CRONS["* * * * *"] ?? []) await job.run(tools);
  });

test(`hostile requests are answered and do not block other requests (seed ${SEED})`, { timeout: 600_000 }, async () => {
  const report = await run(JSON.parse(openApiDocument("0")) as Document, SEED, sendText, {
    checks: 2,
    intake: true,
    isOver: ({ requests }) => requests >= REQUESTS,
    between: runJobs,
  });
  console.log(report.summary);
  expect(report.findings).toEqual([]);
});
