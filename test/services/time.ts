/** Tools with a clock that is ahead. */
import type { Tools } from "#tools";
import { withTools } from "../support/tools";

export const SECOND = 1_000_000;
export const MINUTE = 60 * SECOND;

/**
 * Calls a function with tools whose clock is `ahead` microseconds ahead, and waits for the background work of the
 * tools.
 */
export async function later<T>(ahead: number, work: (tools: Tools) => Promise<T>): Promise<T> {
  return withTools((tools) => work({ ...tools, clock: () => tools.clock() + ahead }));
}
