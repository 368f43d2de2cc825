import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { DEFAULT_WORKSPACE } from "#env";
import { keepDeadLetter } from "#events/dead-letters";
import { makeTools } from "#tools";
import { unique } from "../support/world";

const tools = () => makeTools(env, DEFAULT_WORKSPACE, () => {});

async function letters(queue: string) {
  const { results } = await env.DB.prepare("select key, reason, message, workspace_id from dead_letter where queue = ?")
    .bind(queue)
    .all<{ key: string; reason: string; message: string; workspace_id: string }>();
  return results;
}

test("an item that fails again has one dead letter, with the last reason", async () => {
  const queue = unique("queue");
  await keepDeadLetter(tools(), { queue, key: "a", reason: "first", message: { n: 1 } });
  await keepDeadLetter(tools(), { queue, key: "a", reason: "second", message: { n: 2 } });
  await keepDeadLetter(tools(), { queue, key: "b", reason: "other", message: { n: 3 } });
  expect(await letters(queue)).toEqual([
    { key: "a", reason: "second", message: '{"n":2}', workspace_id: DEFAULT_WORKSPACE },
    { key: "b", reason: "other", message: '{"n":3}', workspace_id: DEFAULT_WORKSPACE },
  ]);
});

test("an item that cannot be printed, or is too large for a row, is kept in part", async () => {
  const queue = unique("queue");
  await keepDeadLetter(tools(), { queue, key: "unprintable", reason: "why", message: { n: 1n } });
  await keepDeadLetter(tools(), { queue, key: "large", reason: "r".repeat(3_000_000), message: "é".repeat(1_500_000) });
  const kept = (await letters(queue)).map(({ message }) => JSON.parse(message) as Record<string, unknown>);
  expect(kept).toEqual([
    { unprintable: expect.any(String) },
    { cut: `"${"é".repeat(499_999)}`, characters: 1_500_002 },
  ]);
});
