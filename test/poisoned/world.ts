/**
 * Rows from before values had bounds. A test creates valid rows through the API and poisons one column of one row in
 * the table. The test then calls all requests and jobs that may read the row, and restores the column's value.
 */
import { env } from "cloudflare:test";
import { CRONS } from "#services/crons";
import type { Tools } from "#tools";
import { withTools } from "../support/tools";
import { api } from "../support/world";

/** Times in microseconds that no calendar has: 1e18 seconds before and after 1970, and the year 10000. */
export const BAD_TIMES = [1e24, -1e24, 253_402_300_800_000_000] as const;

/** Texts for JSON columns that are invalid, nest too deep, or have another kind of value. */
export const BAD_JSON: Readonly<Record<string, string>> = {
  "the beginning of an object": '{"a":',
  "1,100 levels deep": `${'{"a":'.repeat(1100)}1${"}".repeat(1100)}`,
  "100,000 levels deep": `${"[".repeat(100_000)}${"]".repeat(100_000)}`,
  "a number": "7",
};

/** A request, and the ids or names that its answer must have. */
export interface Question {
  method: "GET" | "POST";
  path: string;
  body?: unknown;
  shows: readonly string[];
}

/** A column of a row. */
export interface Place {
  table: string;
  column: string;
  /** The row's id, in the column `key`. */
  id: string;
  key?: string;
}

/** Poisons a column during a function call, and then restores the column's value. */
export async function poisoned<T>(place: Place, value: unknown, work: () => Promise<T>): Promise<T> {
  // These tables have their ids as bytes.
  const hasShortIds = ["task_run", "artifact", "artifact_collection"].includes(place.table);
  const where = `where ${place.key ?? "id"} = ${hasShortIds ? "unhex(?, '-')" : "?"}`;
  const before = await env.DB.prepare(`select "${place.column}" as value from ${place.table} ${where}`)
    .bind(place.id)
    .first<{ value: unknown }>();
  if (!before) throw new Error(`no row ${place.id} in ${place.table}`);
  const set = (to: unknown) =>
    env.DB.prepare(`update ${place.table} set "${place.column}" = ? ${where}`).bind(to, place.id).run();
  await set(value);
  try {
    return await work();
  } finally {
    await set(before.value);
  }
}

/** The wrong answers: answers that are not 200, and answers without the required ids or names. */
export async function ask(questions: readonly Question[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const { method, path, body, shows } of questions) {
    const name = `${method} ${path} ${JSON.stringify(body ?? null)}`;
    const answer = await api<unknown>(method, path, body).catch((error: unknown) => String(error));
    if (typeof answer === "string") {
      wrong.push(`${name}: ${answer}`);
      continue;
    }
    const text = JSON.stringify(answer.body);
    const missing = shows.filter((id) => !text.includes(id));
    if (answer.status !== 200) wrong.push(`${name}: ${answer.status} ${text.slice(0, 200)}`);
    else if (missing.length > 0) wrong.push(`${name}: does not show ${missing.join(", ")}`);
  }
  return wrong;
}

/** The cron jobs that fail. */
export async function failingJobs(change: (tools: Tools) => Tools = (tools) => tools): Promise<string[]> {
  const failed: string[] = [];
  await withTools(async (tools) => {
    const changed = change(tools);
    for (const job of CRONS["* * * * *"] ?? []) {
      try {
        await job.run(changed);
      } catch (error) {
        failed.push(`the job "${job.name}": ${String(error instanceof Error ? error.stack : error).slice(0, 300)}`);
      }
    }
  });
  return failed;
}
