import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { Database } from "#db/database";
import { DEFAULT_WORKSPACE } from "#env";
import { EventFilter } from "#events/filter";
import { sweepOutbox } from "#services/walk-states";
import { queueWaitingSegments } from "#events/consumer";
import { EventReader } from "#events/read-events";
import { readRecorded } from "#events/read-recorded";
import { recordTaskRuns } from "#events/task-runs";
import { noCost } from "#lib/cost";
import { makeTools } from "#tools";

/** The query plans of the statements that `work` runs. */
async function plansOf(work: (db: Database) => Promise<unknown>): Promise<string> {
  const queries: { query: string; values: unknown[] }[] = [];
  const watched: Pick<D1Database, "prepare" | "batch"> = {
    prepare(query) {
      const statement = env.DB.prepare(query);
      return new Proxy(statement, {
        get: (_, name) => {
          if (name !== "bind") throw new Error(`unexpected ${String(name)}`);
          return (...values: unknown[]) => {
            queries.push({ query, values });
            return statement.bind(...values);
          };
        },
      });
    },
    batch: (statements) => env.DB.batch(statements),
  };
  await work(new Database(watched as D1Database, noCost()));
  const plans = await Promise.all(
    queries.map(({ query, values }) =>
      env.DB.prepare(`explain query plan ${query}`)
        .bind(...values)
        .all<{ detail: string }>(),
    ),
  );
  return plans.flatMap((plan) => plan.results.map((row) => row.detail)).join("\n");
}

const tools = (db: Database) => ({ ...makeTools(env, DEFAULT_WORKSPACE, () => {}), db });
const RUN = `prefect.flow-run.${crypto.randomUUID()}`;

test("a run's events are found by their index rows", async () => {
  const filter = EventFilter.parse({ any_resource: { id: [RUN] } });
  const plan = await plansOf((db) =>
    new EventReader(db, DEFAULT_WORKSPACE).page({ filter, window: { since: 0, until: 4e15 }, limit: 50, after: null }),
  );
  expect(plan).toMatch(/SEARCH r USING PRIMARY KEY \(workspace_id=\? AND resource_id=\? AND hour>\? AND hour<\?\)/);
  expect(plan).toMatch(/SEARCH c USING PRIMARY KEY \(workspace_id=\? AND hour=\? AND id>\? AND id<\?\)/);
  expect(plan).toMatch(/SEARCH s USING PRIMARY KEY \(workspace_id=\? AND hour=\? AND id=\?\)/);
  expect(plan).not.toMatch(/SCAN (s|r|c)\b/);
});

test("a page without resources reads the hours of its window one by one", async () => {
  const plan = await plansOf((db) =>
    new EventReader(db, DEFAULT_WORKSPACE).page({
      filter: EventFilter.parse({}),
      window: { since: 0, until: 4e15 },
      limit: 50,
      after: null,
    }),
  );
  expect(plan).toMatch(/SEARCH s USING PRIMARY KEY \(workspace_id=\? AND hour>\? AND hour<\?\)/);
  expect(plan).toMatch(/USE TEMP B-TREE FOR LAST (2 )?TERMS? OF ORDER BY/);
});

test("a task run is found by its id, and by its keys in its flow run", async () => {
  const plan = await plansOf((db) => db.batch(recordTaskRuns(DEFAULT_WORKSPACE, [aRecord()], 1)));
  expect(plan).toMatch(/SEARCH same USING INDEX task_run_key \(flow_run_id=\? AND key_hash=\? AND workspace_id=\?\)/);
  expect(plan).toMatch(
    /SEARCH same USING COVERING INDEX task_run_flow_run \(flow_run_id=\? AND task_key=\? AND dynamic_key=\? AND workspace_id=\?\)/,
  );
  expect(plan).toMatch(/SEARCH same USING PRIMARY KEY \(workspace_id=\? AND id=\?\)/);
  expect(plan).not.toMatch(/SCAN (same|task_run)/);
});

test("the search for waiting segments reads only waiting segments", async () => {
  const asked = { flowRunIds: [crypto.randomUUID()], taskRunIds: [crypto.randomUUID()] };
  const plan = await plansOf((db) => readRecorded(tools(db), asked, []));
  expect(plan.match(/SCAN s USING INDEX event_segment_waiting/g)).toHaveLength(2);
  expect(plan).toMatch(/SEARCH r USING PRIMARY KEY \(workspace_id=\? AND id=\?\)/);
  expect(plan).toMatch(/SEARCH t USING PRIMARY KEY \(workspace_id=\? AND id=\?\)/);
  expect(plan).not.toMatch(/SCAN (r|t)\b|SEARCH s USING PRIMARY KEY/);
});

test("the sweeps find their rows by an index", async () => {
  const { clock, ids } = makeTools(env, DEFAULT_WORKSPACE, () => {});
  // The run of the state was deleted: the sweep reads the state and sends nothing.
  await env.DB.prepare(
    "insert into flow_run_state (id, workspace_id, flow_run_id, type, name, timestamp, state_details) values (?, ?, 'gone', 'PENDING', 'Pending', 1, '{}')",
  )
    .bind(ids.ordered(clock() - 100_000_000), DEFAULT_WORKSPACE)
    .run();
  const plan = await plansOf(async (db) => {
    await sweepOutbox(tools(db));
    await queueWaitingSegments(tools(db));
  });
  expect(plan).toMatch(/SEARCH st USING PRIMARY KEY \(id>\? AND id<\?\)/);
  expect(plan).toMatch(/SEARCH s USING (COVERING )?INDEX event_segment_waiting \(id<\?\)/);
  expect(plan).toMatch(/SEARCH s USING PRIMARY KEY \(workspace_id=\? AND hour=\? AND id>\?\)/);
  expect(plan).not.toMatch(/SCAN (st|s|r|event_segment)\b/);
});

function aRecord() {
  const id = crypto.randomUUID();
  const state = {
    id,
    type: "PENDING" as const,
    name: "Pending",
    timestamp: 1,
    message: null,
    data: null,
    state_details: {},
  };
  const columns = {
    name: "n",
    task_key: "k",
    dynamic_key: "0",
    cache_key: null,
    cache_expiration: null,
    task_version: null,
    empirical_policy: {},
    tags: [],
    labels: {},
    task_inputs: {},
    run_count: 0,
    flow_run_run_count: 0,
    expected_start_time: null,
    next_scheduled_start_time: null,
    start_time: null,
    end_time: null,
    total_run_time: 0,
  };
  return { id, flow_run_id: crypto.randomUUID(), columns, states: [state] };
}
