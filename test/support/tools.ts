/** The tools of a request, for tests that call functions of src without a request. */
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { makeTools, type Tools } from "#tools";
import { WORKSPACE } from "./world";

/** Tools with background work that is not awaited. */
export const tools = (): Tools => makeTools(env, WORKSPACE, () => {});

/** Calls a function with tools, and waits for the background work of the tools. */
export async function withTools<T>(work: (tools: Tools) => Promise<T>): Promise<T> {
  const context = createExecutionContext();
  const result = await work(makeTools(env, WORKSPACE, (promise) => context.waitUntil(promise)));
  await waitOnExecutionContext(context);
  return result;
}
