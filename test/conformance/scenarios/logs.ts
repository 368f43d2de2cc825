/** Logs: added in batches, filtered by every criterion, sorted, paged. */
import { aFlow, aFlowRun, aTaskRun, FUTURE } from "../builders.ts";
import type { JsonObject } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const logs: Scenario = { name: "logs", play: playLogs };

async function playLogs(world: World): Promise<void> {
  const flow = await aFlow(world);
  const run = await aFlowRun(world, "run", { flow_id: flow });
  const task = await aTaskRun(world, "task", { flow_run_id: run });
  const line = (second: number, level: number, more: JsonObject): JsonObject => ({
    name: "prefect.runs",
    level,
    message: `line ${second}`,
    timestamp: `2098-01-01T00:00:0${second}Z`,
    flow_run_id: run,
    ...more,
  });
  await world.send("add", "POST /logs/", {
    body: [
      line(1, 10, {}),
      line(2, 20, { task_run_id: task }),
      line(3, 30, { name: "other", message: 'an Error with "quotes" and 100% ünïcode' }),
      line(4, 40, { task_run_id: task, message: "connection error: timeout" }),
      line(5, 50, { timestamp: "2098-01-01T02:00:05.123456+02:00" }),
    ],
  });
  await world.send("add none", "POST /logs/", { body: [] });
  await world.send("add without run", "POST /logs/", {
    body: [{ name: "n", level: 20, message: "m", timestamp: FUTURE }],
  });
  await world.send("add for an unknown run", "POST /logs/", {
    body: [line(6, 20, { flow_run_id: world.id("unknown run") })],
  });
  await world.send("add an object", "POST /logs/", { body: line(1, 10, {}) });
  await world.send("add without message", "POST /logs/", { body: [{ name: "n", level: 20, timestamp: FUTURE }] });
  await world.send("add with a level of words", "POST /logs/", { body: [line(1, 10, { level: "INFO" })] });
  await world.send("add with an unknown field", "POST /logs/", { body: [line(1, 10, { colour: "red" })] });
  await world.send("add two, one bad", "POST /logs/", { body: [line(7, 10, {}), { name: "n" }] });
  const mine = { flow_run_id: { any_: [run] } };
  await world.send("all, in full", "POST /logs/filter", { body: { logs: mine, sort: "TIMESTAMP_ASC" } });
  const filters: Record<string, JsonObject> = {
    "level at least": { ...mine, level: { ge_: 30 } },
    "level at most": { ...mine, level: { le_: 20 } },
    "level between": { ...mine, level: { ge_: 20, le_: 40 } },
    before: { ...mine, timestamp: { before_: "2098-01-01T00:00:03Z" } },
    after: { ...mine, timestamp: { after_: "2098-01-01T00:00:03Z" } },
    "of the task run": { task_run_id: { any_: [task] } },
    "of no task run": { ...mine, task_run_id: { is_null_: true } },
    "of any task run": { ...mine, task_run_id: { is_null_: false } },
    "text of one word": { ...mine, text: { query: "error" } },
    "text of two words": { ...mine, text: { query: "error timeout" } },
    "text in quotes": { ...mine, text: { query: '"connection error"' } },
    "text without a word": { ...mine, text: { query: "error -timeout" } },
    "text with a word to have": { ...mine, text: { query: "error +timeout" } },
    "text in the logger's name": { ...mine, text: { query: "other" } },
    "text with percent": { ...mine, text: { query: "100%" } },
    "text with an accent": { ...mine, text: { query: "ÜNÏCODE" } },
    "text of nothing": { ...mine, text: { query: "" } },
    "text too long": { ...mine, text: { query: "x".repeat(201) } },
    either: { operator: "or_", flow_run_id: { any_: [run] }, task_run_id: { any_: [task] } },
    "no run": { flow_run_id: { any_: [] } },
    "refused criterion": { name: { any_: ["x"] } },
  };
  for (const [name, filter] of Object.entries(filters)) {
    await world.send(`filter ${name}`, "POST /logs/filter", {
      body: { logs: filter, sort: "TIMESTAMP_ASC" },
      view: pick("message"),
    });
  }
  await world.send("newest first", "POST /logs/filter", {
    body: { logs: mine, sort: "TIMESTAMP_DESC" },
    view: pick("message"),
  });
  await world.send("unknown sort", "POST /logs/filter", { body: { logs: mine, sort: "LEVEL_ASC" } });
  await world.send("limit and offset", "POST /logs/filter", {
    body: { logs: mine, limit: 2, offset: 1 },
    view: pick("message"),
  });
  await world.send("limit 201", "POST /logs/filter", { body: { logs: mine, limit: 201 } });
}
