/** The jobs that a local server runs on request, for benchmarks and tests. */
import * as z from "zod";
import type { Env } from "#env";
import { notFound } from "#lib/api-error";
import { CRONS } from "#services/crons";
import { makeSweepTools } from "#tools";

/** How far ahead the clock of a job may be: ten years. */
const MAX_AHEAD_SECONDS = 315_360_000;
const Ahead = z.coerce.number().int().min(0).max(MAX_AHEAD_SECONDS).catch(0);

/**
 * Runs one job of the crons in all databases, as if it were some seconds later (`?ahead=172800`). So data becomes old at once, for
 * example for the archive. The mark of the job may then lie in the future, and the job waits until that time.
 */
export async function runLocalJob(env: Env, name: string, ahead: string | undefined): Promise<Response> {
  const job = Object.values(CRONS)
    .flat()
    .find((one) => one.name === name);
  if (!job) throw notFound("Job");
  const background: Promise<unknown>[] = [];
  const later = Ahead.parse(ahead) * 1_000_000;
  for (const tools of makeSweepTools(env, (work) => background.push(work)))
    await job.run({ ...tools, clock: () => tools.clock() + later });
  await Promise.all(background);
  return Response.json({ job: name });
}
