import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { aFlowRun, api } from "../support/world";

test("for a client before API 0.8.3, all failed task runs of a retried flow run become AwaitingRetry", async () => {
  const run = await aFlowRun({ state: { type: "RUNNING" }, empirical_policy: { retries: 1, retry_delay: 0 } });
  const aTask = async (key: string, type: string) => {
    const made = { flow_run_id: run.id, task_key: key, dynamic_key: "0", state: { type } };
    return (await api<{ id: string }>("POST", "/task_runs/", made)).body.id;
  };
  const [failed, done] = [await aTask("failed", "FAILED"), await aTask("done", "COMPLETED")];
  const { results } = await env.DB.prepare("select name from pragma_table_info('task_run')").all<{ name: string }>();
  const others = results.map(({ name }) => name).filter((name) => name !== "id" && name !== "dynamic_key");
  await env.DB.prepare(
    `insert into task_run (id, dynamic_key, ${others.join(", ")})
      select printf('00000000-0000-4000-8000-%012d', n.value), n.value, ${others.map((name) => `t."${name}"`).join(", ")}
      from task_run t, json_each(?) n where t.id = unhex(?, '-')`,
  )
    .bind(JSON.stringify(Array.from({ length: 250 }, (_, index) => index)), failed)
    .run();
  await env.DB.prepare("update task_run set run_count = 1 where flow_run_id = unhex(?, '-')").bind(run.id).run();
  const state = { type: "FAILED" };
  const headers = { "x-prefect-api-version": "0.8.2" };
  const { body } = await api<{ status: string; state: { name: string } }>(
    "POST",
    `/flow_runs/${run.id}/set_state`,
    { state },
    headers,
  );
  expect(body).toMatchObject({ status: "REJECT", state: { name: "AwaitingRetry" } });
  const counts = await env.DB.prepare(
    "select state_name, run_count, count(*) as n from task_run where flow_run_id = unhex(?, '-') group by 1, 2 order by 1",
  )
    .bind(run.id)
    .all();
  expect(counts.results).toEqual([
    { state_name: "AwaitingRetry", run_count: 0, n: 251 },
    { state_name: "Completed", run_count: 1, n: 1 },
  ]);
  expect((await api("GET", `/task_runs/${done}`)).body).toMatchObject({ state_type: "COMPLETED" });
});
