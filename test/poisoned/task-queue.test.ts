import { env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import { objectName } from "#objects/client";
import { connectAuthenticated } from "../events/world";
import { api, unique, WORKSPACE } from "../support/world";
import { BAD_JSON, BAD_TIMES, failingJobs, poisoned } from "./world";

vi.spyOn(console, "error").mockImplementation(() => {});

const stub = () => env.TASK_QUEUE.get(env.TASK_QUEUE.idFromName(objectName(WORKSPACE)));

async function aDelayedRun(task_key: string): Promise<string> {
  const state = { type: "SCHEDULED", state_details: { deferred: true, task_parameters_id: crypto.randomUUID() } };
  const { status, body } = await api<{ id: string }>("POST", "/task_runs/", {
    task_key,
    dynamic_key: crypto.randomUUID(),
    name: "note",
    state,
  });
  expect(status).toBe(201);
  return body.id;
}

/** Whether a worker with these keys gets the run, with or without other runs. */
async function isGiven(keys: string[], id: string): Promise<boolean> {
  const socket = await connectAuthenticated("/task_runs/subscriptions/scheduled");
  socket.send({ type: "subscribe", keys, client_id: unique("worker") });
  const given = () => socket.messages.some((message) => message["id"] === id);
  for (let tries = 0; tries < 20 && !given(); tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.send({ type: "ack" });
  }
  socket.close();
  return given();
}

const COLUMNS = ["due", "at"] as const;
test.for(COLUMNS.flatMap((column) => BAD_TIMES.map((time) => [column, time] as const)))(
  "task runs are sent although the %s of one run in the queue is %d",
  async ([column, time]) => {
    const [badKey, key] = [unique("bad"), unique("task")];
    const [bad, healthy] = [await aDelayedRun(badKey), await aDelayedRun(key)];
    await runInDurableObject(stub(), (_, state) => {
      state.storage.sql.exec(`update queued_run set ${column} = ? where id = ?`, time, bad);
    });
    await evictDurableObject(stub());
    expect(await isGiven([badKey, key], healthy)).toBe(true);
    expect(await failingJobs()).toEqual([]);
    expect((await api("DELETE", `/task_runs/${bad}`)).status).toBe(204);
  },
);

const ROWS = [
  ...Object.entries(BAD_JSON).flatMap(([name, text]) =>
    ["states", "tags", "task_inputs"].map((column) => [column, name, text] as const),
  ),
  ...BAD_TIMES.flatMap((time) =>
    ["state_timestamp", "expected_start_time"].map((column) => [column, String(time), time] as const),
  ),
];
test.for(ROWS)("task runs are sent although the %s of one row is %s", async ([column, , value]) => {
  const [badKey, key] = [unique("bad"), unique("task")];
  const [bad, healthy] = [await aDelayedRun(badKey), await aDelayedRun(key)];
  await poisoned({ table: "task_run", column, id: bad }, value, async () => {
    await evictDurableObject(stub());
    expect(await isGiven([badKey, key], healthy)).toBe(true);
    expect(await isGiven([badKey], await aDelayedRun(badKey))).toBe(true);
  });
  expect((await api("DELETE", `/task_runs/${bad}`)).status).toBe(204);
});
