/** A clock that can be put forward. */
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { makeTools, type Tools } from "#tools";
import { WORKSPACE } from "../support/world";

export const SECOND = 1_000_000;
export const MINUTE = 60 * SECOND;

/** Does the work with tools whose clock is so much ahead, and waits for what goes on after it. */
export async function later<T>(ahead: number, work: (tools: Tools) => Promise<T>): Promise<T> {
  const context = createExecutionContext();
  const tools = makeTools(env, WORKSPACE, (promise) => context.waitUntil(promise));
  const result = await work({ ...tools, clock: () => tools.clock() + ahead });
  await waitOnExecutionContext(context);
  return result;
}

/** Puts time back in the database: a state of a run, and the run, are so much older than they are. */
export async function age(runId: string, by: number): Promise<void> {
  await env.DB.prepare("update flow_run set state_timestamp = state_timestamp - ? where id = ?").bind(by, runId).run();
}
