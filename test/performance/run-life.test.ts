/** The steps in the life of a run have the costs in docs/performance.md. */
import { env, SELF } from "cloudflare:test";
import { expect, test } from "vitest";
import type { Cost } from "#lib/cost";
import doc from "../../docs/performance.md?raw";
import { anEvent, taskRunReports } from "../events/world";
import { costOf, TELL_COST } from "../support/cost";
import { api, unique } from "../support/world";

/** The cost of a step, in the form of the table. */
interface Row {
  step: string;
  statements: number;
  trips: number;
  written: number;
}

/** The rows of the document's first table. */
function documented(): Row[] {
  const [, section = ""] = doc.split("\n## ");
  const lines = section.split("\n").filter((line) => line.startsWith("| ") && !/^\| (step|-)/.test(line));
  return lines.map((line) => {
    const [step = "", statements, trips, written] = line
      .split("|")
      .slice(1)
      .map((cell) => cell.trim());
    return { step, statements: Number(statements), trips: Number(trips), written: Number(written) };
  });
}

async function totals(): Promise<Cost> {
  return (await SELF.fetch("http://sluice/local/cost")).json<Cost>();
}

/**
 * Runs a step and gives its cost until the response. For steps with events, the cost includes the work after the
 * response.
 */
async function priced(step: string, work: () => Promise<{ headers: Headers }>): Promise<Row> {
  const { headers } = await work();
  return {
    step,
    statements: costOf(headers, "queries"),
    trips: costOf(headers, "round_trips"),
    written: costOf(headers, "rows_written"),
  };
}

/** Waits until D1 gets no more statements. */
async function settled(): Promise<Cost> {
  let last = await totals();
  for (let quiet = 0; quiet < 6;) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    const now = await totals();
    quiet = now.d1_queries === last.d1_queries ? quiet + 1 : 0;
    last = now;
  }
  return last;
}

/** Sends events in one request and gives the cost until the events are recorded. */
async function pricedEvents(step: string, events: unknown[]): Promise<Row> {
  const before = await settled();
  await api("POST", "/events", events);
  const after = await settled();
  return {
    step,
    statements: after.d1_queries - before.d1_queries,
    trips: after.d1_round_trips - before.d1_round_trips,
    written: after.d1_rows_written - before.d1_rows_written,
  };
}

const now = () => Date.now() * 1000;

/** The whole life of a task run, in the client's reports. */
const taskLife = (flowRunId: string) =>
  taskRunReports(
    ["PENDING", "RUNNING", "COMPLETED"].map((type, index) => ({ type, at: now() + index })),
    { flowRunId },
  );

test("each step in the life of a run has the cost in the document", { timeout: 60_000 }, async () => {
  // First come the steps with a cost that is counted over the whole process: a pool's object works for a while after a
  // notice
  // about runs.
  // Each step has its own run, because the index row of an earlier step may or may not exist for a later step of the
  // same run.
  const [first, second, third] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
  // Before its first write the object reads the recent segments.
  await api("POST", "/events", [anEvent()]);
  const events = [
    await pricedEvents("a moment's events of one run, none of a task", [
      anEvent({ event: "prefect.flow-run.heartbeat", about: `prefect.flow-run.${first}` }),
    ]),
    await pricedEvents("a moment's events of one run, a task's whole life among them", taskLife(second)),
    await pricedEvents("the same with ten tasks", Array.from({ length: 10 }, () => taskLife(third)).flat()),
  ];
  const pool = unique("pool");
  await api("POST", "/work_pools/", { name: pool, type: "process" });
  const flow = await api<{ id: string }>("POST", "/flows/", { name: unique("flow") });
  const deployment = await api<{ id: string }>("POST", "/deployments/", {
    name: "d",
    flow_id: flow.body.id,
    work_pool_name: pool,
  });
  const pollPath = `/work_pools/${pool}/get_scheduled_flow_runs`;
  await api("POST", pollPath, {});
  const rows: Row[] = [];
  const post = (path: string, body: unknown) => api<{ id: string }>("POST", path, body, TELL_COST);
  rows.push(await priced("a poll that finds nothing", () => post(pollPath, {})));
  let id = "";
  rows.push(
    await priced("create the run from its deployment", async () => {
      const made = await post(`/deployments/${deployment.body.id}/create_flow_run`, {});
      id = made.body.id;
      return made;
    }),
  );
  const another = { state: { type: "SCHEDULED", state_details: { scheduled_time: "2040-01-01T00:00:00Z" } } };
  rows.push(
    await priced("create another run from it", () =>
      post(`/deployments/${deployment.body.id}/create_flow_run`, another),
    ),
  );
  rows.push(await priced("a poll that hands it out", () => post(pollPath, {})));
  const propose = (state: object) => post(`/flow_runs/${id}/set_state`, { state });
  rows.push(await priced("to Pending", () => propose({ type: "PENDING" })));
  rows.push(await priced("to Pending, under another name", () => propose({ type: "PENDING", name: "Submitting" })));
  rows.push(
    await priced("set its process id", () => api("PATCH", `/flow_runs/${id}`, { infrastructure_pid: "17" }, TELL_COST)),
  );
  rows.push(await priced("set its labels", () => api("PATCH", `/flow_runs/${id}/labels`, { a: "b" }, TELL_COST)));
  rows.push(await priced("to Running", () => propose({ type: "RUNNING" })));
  rows.push(await priced("read it", () => api("GET", `/flow_runs/${id}`, undefined, TELL_COST)));
  const line = {
    name: "prefect.flow_runs",
    level: 20,
    message: "a line",
    timestamp: new Date().toISOString(),
    flow_run_id: id,
  };
  rows.push(await priced("a batch of its logs", () => post("/logs/", [line, { ...line, message: "another" }])));
  rows.push(await priced("another batch in the same minute", () => post("/logs/", [{ ...line, message: "a third" }])));
  rows.push(await priced("to Completed", () => propose({ type: "COMPLETED" })));
  rows.push(...events);
  expect(
    await env.DB.prepare("select count(*) as count from task_run where flow_run_id in (unhex(?, '-'), unhex(?, '-'))")
      .bind(second, third)
      .first("count"),
  ).toBe(11);
  expect(rows).toEqual(documented());
});
