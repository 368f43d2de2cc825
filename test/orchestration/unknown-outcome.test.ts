/**
 * D1 fails during a commit, before or after the state is written. The state is written once, and the answer is right.
 */
import { createExecutionContext, env } from "cloudflare:test";
import { is, SQL, StringChunk } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { Database, type Statement } from "#db/database";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import { setTaskRunState } from "#orchestration/set-task-run-state";
import { makeTools, type Tools } from "#tools";
import { aFlowRun, api, unique, WORKSPACE } from "../support/world";

const isUpdate = (statement: Statement) =>
  is(statement, SQL) &&
  statement.queryChunks.some((chunk) => is(chunk, StringChunk) && chunk.value.join("").startsWith("update"));

/** Tools with a D1 that fails once, at the first batch that writes a state. */
function failing(when: "before" | "after"): Tools {
  const context = createExecutionContext();
  const tools = makeTools(env, WORKSPACE, (work) => context.waitUntil(work));
  const db = new Database(env.DB, tools.cost);
  const batch = db.batch.bind(db);
  let hasFailed = false;
  db.batch = async (statements) => {
    if (hasFailed || !statements.some(isUpdate)) return batch(statements);
    hasFailed = true;
    if (when === "after") await batch(statements);
    throw new Error("D1_ERROR: Network connection lost.");
  };
  return { ...tools, db };
}

describe.for(["before", "after"] as const)("if D1 fails %s a commit is written,", (when) => {
  test("the flow run's state is written once, and the answer is ACCEPT", async () => {
    const run = await aFlowRun({ state: { type: "PENDING" } });
    const { decision, state, written } = await setFlowRunState(failing(when), run.id, { type: "RUNNING" });
    expect({ status: decision.status, written }).toEqual({ status: "ACCEPT", written: true });
    const { body } = await api<{ id: string; type: string }[]>("GET", `/flow_run_states/?flow_run_id=${run.id}`);
    expect(body.map(({ type }) => type)).toEqual(["PENDING", "RUNNING"]);
    expect(body.at(-1)?.id).toBe(state?.id);
  });

  test("the task run's state is written once, the answer is ACCEPT, and the run has its slots", async () => {
    const tag = unique("tag");
    await api("POST", "/concurrency_limits/", { tag, concurrency_limit: 2 });
    const flowRun = await aFlowRun({ state: { type: "RUNNING" } });
    const made = { flow_run_id: flowRun.id, task_key: "task", dynamic_key: "0", tags: [tag] };
    const { body: taskRun } = await api<{ id: string }>("POST", "/task_runs/", made);
    const { decision, written } = await setTaskRunState(failing(when), taskRun.id, { type: "RUNNING" });
    expect({ status: decision.status, written }).toEqual({ status: "ACCEPT", written: true });
    const { body: states } = await api<{ type: string }[]>("GET", `/task_run_states/?task_run_id=${taskRun.id}`);
    expect(states.filter(({ type }) => type === "RUNNING")).toHaveLength(1);
    const { body: limit } = await api<{ active_slots: string[] }>("GET", `/concurrency_limits/tag/${tag}`);
    expect(limit.active_slots).toEqual([taskRun.id]);
  });
});
