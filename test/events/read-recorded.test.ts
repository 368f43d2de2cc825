import { env } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import { DEFAULT_WORKSPACE } from "#env";
import { task_run } from "#db/tables/task-run";
import { writeEvents } from "#events/emit";
import { readRecorded } from "#events/read-recorded";
import { makeTools } from "#tools";
import { aroundCalls } from "../support/around-calls.ts";
import { aFlowRun, api } from "../support/world.ts";
import { aSegment, deliver } from "./recording.ts";
import { taskRunReports } from "./world.ts";

const SECOND = 1_000_000;
const tools = () => makeTools(env, DEFAULT_WORKSPACE, () => {});

/** The reports of the life of a task run that has just ended. */
function aLife(run: { id: string; flowRunId: string | null }) {
  const now = Date.now() * 1000;
  return taskRunReports(
    [
      { type: "PENDING", at: now - 3 * SECOND },
      { type: "RUNNING", at: now - 2 * SECOND },
      { type: "COMPLETED", at: now - SECOND },
    ],
    run,
  );
}

/** A flow run that is running, or that ended some seconds ago. */
async function aRun(endedSecondsAgo?: number): Promise<string> {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  const now = Date.now() * 1000;
  await env.DB.prepare("update flow_run set start_time = ?, end_time = ? where id = ?")
    .bind(now - 7_200 * SECOND, endedSecondsAgo === undefined ? null : now - endedSecondsAgo * SECOND, id)
    .run();
  return id;
}

const ofFlowRun = (id: string) => ({ flow_runs: { id: { any_: [id] } } });

/** The routes that read a task run or its flow run. Each answer has the state of the task run. */
const READS: { title: string; read: (id: string, flowRunId: string) => Promise<unknown> }[] = [
  { title: "read", read: async (id) => (await api("GET", `/task_runs/${id}`)).body["state_type"] },
  {
    title: "filter by flow run",
    read: async (_, run) => (await api<never[]>("POST", "/task_runs/filter", ofFlowRun(run))).body[0]?.["state_type"],
  },
  {
    title: "filter by the task runs' flow run",
    read: async (_, run) =>
      (await api<never[]>("POST", "/task_runs/filter", { task_runs: { flow_run_id: { any_: [run] } } })).body[0]?.[
        "state_type"
      ],
  },
  {
    title: "filter by id",
    read: async (id) =>
      (await api<never[]>("POST", "/task_runs/filter", { task_runs: { id: { any_: [id] } } })).body[0]?.["state_type"],
  },
  {
    title: "count",
    read: async (_, run) => {
      const task_runs = { state: { type: { any_: ["COMPLETED"] } } };
      const { body } = await api<number>("POST", "/task_runs/count", { ...ofFlowRun(run), task_runs });
      return body === 1 && "COMPLETED";
    },
  },
  {
    title: "paginate",
    read: async (_, run) => {
      const { body } = await api<{ count: number; results: { state_type: string }[] }>(
        "POST",
        "/task_runs/paginate",
        ofFlowRun(run),
      );
      return body.count === 1 && body.results[0]?.state_type;
    },
  },
  {
    title: "history",
    read: async (_, run) => {
      const now = Date.now();
      const window = {
        history_start: new Date(now - 3_600_000).toISOString(),
        history_end: new Date(now + 3_600_000).toISOString(),
        history_interval_seconds: 7_200,
      };
      const { body } = await api<{ states: { state_type: string }[] }[]>("POST", "/task_runs/history", {
        ...window,
        ...ofFlowRun(run),
      });
      return body[0]?.states[0]?.state_type;
    },
  },
  {
    title: "graph",
    read: async (id, run) => {
      const { body } = await api<{ nodes: [string, { state_type: string }][] }>("GET", `/flow_runs/${run}/graph-v2`);
      return body.nodes.find(([node]) => node === id)?.[1].state_type;
    },
  },
  {
    title: "dependencies",
    read: async (_, run) =>
      (await api<{ state: { type: string } }[]>("GET", `/flow_runs/${run}/graph`)).body[0]?.state.type,
  },
  {
    title: "states",
    read: async (id) => (await api<{ type: string }[]>("GET", `/task_run_states/?task_run_id=${id}`)).body.at(-1)?.type,
  },
];

test.for(READS)("the answer has the reported state of a task run: $title", async ({ read }) => {
  const [id, flowRunId] = [crypto.randomUUID(), await aRun()];
  await aSegment(aLife({ id, flowRunId }));
  expect(await read(id, flowRunId)).toBe("COMPLETED");
});

test.for(READS)(
  "a state that arrived after the others is in the answer, for a run that has just ended: $title",
  async ({ read }) => {
    const [id, flowRunId] = [crypto.randomUUID(), await aRun(1)];
    const reports = aLife({ id, flowRunId });
    await deliver(await aSegment(reports.slice(0, 2)));
    await aSegment(reports.slice(2));
    expect(await read(id, flowRunId)).toBe("COMPLETED");
  },
);

test.for(READS)("the answer has the state that the event stream has not written yet: $title", async ({ read }) => {
  const [id, flowRunId] = [crypto.randomUUID(), await aRun()];
  const writing = writeEvents(tools(), aLife({ id, flowRunId }));
  expect(await read(id, flowRunId)).toBe("COMPLETED");
  await writing;
});

test("a reported task run can be renamed, changed and deleted at once", async () => {
  const ids = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()] as const;
  for (const id of ids) await aSegment(aLife({ id, flowRunId: null }));
  expect((await api("PATCH", `/task_runs/${ids[0]}`, { name: "other" })).status).toBe(204);
  const state = { type: "FAILED", name: "Failed" };
  expect((await api("POST", `/task_runs/${ids[1]}/set_state`, { state, force: true })).status).toBe(201);
  expect((await api("DELETE", `/task_runs/${ids[2]}`)).status).toBe(204);
});

test("a task run created by the API and a reported one with the same keys are one row, whichever came first", async () => {
  const [flowRunId, before, after] = [await aRun(), crypto.randomUUID(), crypto.randomUUID()];
  const make = (dynamic_key: string) =>
    api<{ id: string }>("POST", "/task_runs/", { flow_run_id: flowRunId, task_key: "add-1", dynamic_key });
  await deliver(
    await aSegment(taskRunReports([{ type: "RUNNING", at: 1 }], { id: before, flowRunId, dynamicKey: "a" })),
  );
  const found = await make("a");
  expect([found.status, found.body.id]).toEqual([200, before]);
  const made = await make("b");
  await aSegment(
    taskRunReports([{ type: "COMPLETED", at: Date.now() * 2_000 }], { id: after, flowRunId, dynamicKey: "b" }),
  );
  const read = await api<{ id: string; state_type: string }[]>("POST", "/task_runs/filter", ofFlowRun(flowRunId));
  expect(Object.fromEntries(read.body.map(({ id, state_type }) => [id, state_type]))).toEqual({
    [before]: "RUNNING",
    [made.body.id]: "COMPLETED",
  });
});

test("a task run cannot be created with the id of another task run", async () => {
  const [flowRunId, id] = [await aRun(), crypto.randomUUID()];
  await deliver(await aSegment(aLife({ id, flowRunId })));
  const draft = { id, flow_run_id: flowRunId, task_key: "other", dynamic_key: "0" };
  expect((await api("POST", "/task_runs/", draft)).status).toBe(409);
  expect((await api("POST", "/task_runs/", { ...draft, flow_run_id: null })).status).toBe(409);
});

/** The number of round trips to D1 and of calls of objects in a request. */
async function costOf(method: string, path: string, body?: unknown): Promise<{ trips: number; calls: number }> {
  const { headers } = await api(method, path, body, { "x-sluice-cost": "1" });
  const cost = headers.get("x-sluice-cost") ?? "";
  const [trips, calls] = ["round_trips", "objects"].map((name) => new RegExp(`${name}=(\\d+)`).exec(cost)?.[1]);
  return { trips: Number(trips), calls: Number(calls) };
}

test("a read of an ended run costs one round trip, although reports of other runs wait", async () => {
  const [id, flowRunId] = [crypto.randomUUID(), await aRun(3_600)];
  await deliver(await aSegment(aLife({ id, flowRunId })));
  await aSegment(aLife({ id: crypto.randomUUID(), flowRunId: await aRun() }));
  const once = { trips: 1, calls: 0 };
  expect(await costOf("GET", `/task_runs/${id}`)).toEqual(once);
  expect(await costOf("POST", "/task_runs/filter", ofFlowRun(flowRunId))).toEqual(once);
  expect(await costOf("POST", "/task_runs/count", ofFlowRun(flowRunId))).toEqual(once);
  expect(await costOf("POST", "/task_runs/filter", {})).toEqual(once);
});

test("a read of a task run without waiting reports records nothing", async () => {
  const [key] = await aSegment(aLife({ id: crypto.randomUUID(), flowRunId: null }));
  expect((await api("GET", `/task_runs/${crypto.randomUUID()}`)).status).toBe(404);
  const row = await env.DB.prepare("select consumed from event_segment where id = ?").bind(key?.id).first();
  expect(row).toEqual({ consumed: 0 });
});

test("of many reads at once one records the reports, and all reads have the result", async () => {
  const [id, flowRunId] = [crypto.randomUUID(), await aRun()];
  await aSegment(aLife({ id, flowRunId }));
  let recordings = 0;
  const reads = Array.from({ length: 20 }, async () => {
    const own = tools();
    const db = aroundCalls(own.db, async (name, call) => {
      if (name === "batch") recordings++;
      return call();
    });
    return readRecorded({ ...own, db }, { flowRunIds: [flowRunId] }, [own.db.build.select().from(task_run)]);
  });
  for (const [rows] of await Promise.all(reads)) expect(rows?.some((row) => row["id"] === id)).toBe(true);
  expect(recordings).toBe(1);
});

test("a read is answered although the recording fails", async () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  const flowRunId = await aRun();
  await aSegment(aLife({ id: crypto.randomUUID(), flowRunId }));
  const own = tools();
  const db = aroundCalls(own.db, async (name, call) => {
    if (name === "batch") throw new Error("D1_ERROR: Network connection lost.");
    return call();
  });
  expect(await readRecorded({ ...own, db }, { flowRunIds: [flowRunId] }, [])).toEqual([]);
  expect(log).toHaveBeenCalled();
  log.mockRestore();
});
