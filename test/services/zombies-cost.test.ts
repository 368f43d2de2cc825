import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { Database } from "#db/database";
import { type Cost, noCost } from "#lib/cost";
import { crashZombies, scheduleAnew } from "#services/silent-runs";
import type { Tools } from "#tools";
import { aFlowRun } from "../support/world";
import { later, MINUTE, SECOND } from "./time";

const COUNT = 300;

/** The cost of a turn at a time when the turn reads the heartbeats of silent runs. */
async function costOf(turn: (tools: Tools) => Promise<void>): Promise<Cost> {
  const cost = noCost();
  await later(3 * MINUTE, (tools) => turn({ ...tools, db: new Database(env.DB, cost), cost }));
  return cost;
}

/** So many copies of a run. */
async function multiply(id: string): Promise<void> {
  const row = await env.DB.prepare("select * from flow_run where id = ?").bind(id).first();
  const names = Object.keys(row ?? {});
  const insert = env.DB.prepare(
    `insert into flow_run (${names.join(", ")}) values (${names.map(() => "?").join(", ")})`,
  );
  const copies = Array.from({ length: COUNT }, () => ({ ...row, id: crypto.randomUUID(), state_ids: "[]" }));
  await env.DB.batch(copies.map((copy) => insert.bind(...names.map((name) => Reflect.get(copy, name)))));
}

test.for([
  ["running", "RUNNING", crashZombies, 8],
  ["pending", "PENDING", scheduleAnew, 4],
] as const)("a turn reads a few rows of each %s run and none of others, and writes only its marks", async (given) => {
  const [, type, turn, most] = given;
  const { id } = await aFlowRun({ state: { type } });
  await later(3 * MINUTE - SECOND, turn);
  const before = await costOf(turn);
  await multiply((await aFlowRun({ state: { type: "COMPLETED" } })).id);
  await multiply(
    (await aFlowRun({ state: { type: "SCHEDULED", state_details: { scheduled_time: "2100-01-01" } } })).id,
  );
  const withOthers = await costOf(turn);
  expect(withOthers.d1_rows_read).toBeLessThanOrEqual(before.d1_rows_read + 5);
  await multiply(id);
  const withMore = await costOf(turn);
  expect(withMore.d1_rows_read - withOthers.d1_rows_read).toBeGreaterThanOrEqual(COUNT);
  expect((withMore.d1_rows_read - withOthers.d1_rows_read) / COUNT).toBeLessThanOrEqual(most);
  expect(withMore.d1_rows_written).toBeLessThanOrEqual(2);
  expect(withMore.d1_round_trips).toBeLessThanOrEqual(5);
});
