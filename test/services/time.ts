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
