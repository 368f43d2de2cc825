import { env } from "cloudflare:test";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { type DueRow, type Round, roundAfter, START } from "#services/due";
import { markLateRuns } from "#services/overdue-runs";
import { selectOverdue } from "#services/sweep-store";
import { planOf } from "../support/plans";
import { HOUR, NOW, toolsAt } from "./retention-world";

const rowsOf = (workspace: string, first: number, count: number): Omit<DueRow, "id">[] =>
  Array.from({ length: count }, (_, index) => ({ workspace_id: workspace, place: `${first + index}` }));

describe("a round", () => {
  const after = (round: Round, rows: readonly Omit<DueRow, "id">[], taken = new Map<string, number>()) =>
    roundAfter(round, rows, { most: 3, taken });

  test("ends if fewer rows are left than a step takes, and no workspace has had its share", () => {
    expect(after(START, rowsOf("a", 0, 2))).toBeNull();
  });

  test("continues after the last row, without the workspaces that have had their share", () => {
    expect(after(START, rowsOf("a", 0, 3))).toEqual({ after: "2", served: [["a", "2"]], begins: [] });
  });

  test("counts the rows of a workspace over several steps", () => {
    const taken = new Map<string, number>();
    const first = after(START, [...rowsOf("a", 0, 2), ...rowsOf("b", 2, 1)], taken);
    expect(first).toEqual({ after: "2", served: [], begins: [] });
    const second = after(first ?? START, [...rowsOf("b", 3, 2), ...rowsOf("a", 5, 1)], taken);
    expect(second?.served.toSorted()).toEqual([
      ["a", "5"],
      ["b", "4"],
    ]);
  });

  test("is followed by a round in which a workspace that has had its share starts after its last row", () => {
    const round: Round = { after: "9", served: [["a", "2"]], begins: [["a", "1"]] };
    expect(after(round, rowsOf("b", 10, 1))).toEqual({ after: null, served: [], begins: [["a", "2"]] });
  });
});

/** So many runs that are due from a time on, one each microsecond. A trigger prevents that a bad run is marked late. */
async function overdue(workspace: string, count: number, from: number, name = "good"): Promise<void> {
  const indices = JSON.stringify(Array.from({ length: count }, (_, index) => index));
  await env.DB.batch([
    env.DB.prepare(
      `insert into flow_run (workspace_id, id, created, updated, name, flow_id, parameters, context, empirical_policy, tags,
         labels, auto_scheduled, state_ids, run_count, total_run_time, state_type, state_name, state_id, state_timestamp,
         expected_start_time, next_scheduled_start_time)
       select ?1, ?1 || '-' || ?2 || '-' || value, 1, 1, ?4, 'f', '{}', '{}', '{}', '[]', '{}', 0, '[]', 0, 0,
         'SCHEDULED', 'Scheduled', 's' || ?1 || ?2 || value, 1, ?2 + value, ?2 + value
       from json_each(?3)`,
    ).bind(workspace, from, indices, name),
    env.DB.prepare(
      `insert into flow_run_state (id, workspace_id, flow_run_id, type, name, timestamp, state_details)
       select 's' || ?1 || ?2 || value, ?1, ?1 || '-' || ?2 || '-' || value, 'SCHEDULED', 'Scheduled', 1,
         json_object('scheduled_time', ?2 + value)
       from json_each(?3)`,
    ).bind(workspace, from, indices),
  ]);
}

async function lateOf(workspace: string): Promise<number> {
  const count = env.DB.prepare("select count(*) as n from flow_run where workspace_id = ? and state_name = 'Late'");
  return Number(await count.bind(workspace).first("n"));
}

describe("a workspace with very many overdue runs", () => {
  const [MANY, MORE, FEW] = ["w-many", "w-more", "w-few"] as const;
  const turn = () => markLateRuns(toolsAt(NOW));
  beforeEach(async () => {
    await env.DB.batch(
      ["flow_run", "flow_run_state", "sweep_mark"].map((table) => env.DB.prepare(`delete from ${table}`)),
    );
    await env.DB.exec(
      "create trigger if not exists stuck before update on flow_run when old.name = 'bad' begin select raise(abort, 'no'); end",
    );
    vi.spyOn(console, "error").mockReturnValue(undefined);
  });

  test("does not delay the only run of another workspace, though none of its runs can be marked", async () => {
    await overdue(MANY, 1_100, NOW - HOUR / 2, "bad");
    await overdue(MORE, 1_100, NOW - HOUR / 3, "bad");
    await overdue(FEW, 1, NOW - HOUR / 4);
    await turn();
    expect([await lateOf(FEW), await lateOf(MANY)]).toEqual([1, 0]);
  });

  test("reaches its last run, and starts again with its first run", async () => {
    await overdue(MANY, 1_100, NOW - HOUR / 2, "bad");
    await overdue(MANY, 1, NOW - HOUR / 4);
    await turn();
    expect(await lateOf(MANY)).toBe(0);
    await turn();
    expect(await lateOf(MANY)).toBe(1);
    await env.DB.exec("drop trigger stuck");
    await turn();
    expect(await lateOf(MANY)).toBeGreaterThan(200);
  });
});

test("a select finds the rest of a round through an index", async () => {
  const place = JSON.stringify([1, "w", "", "", "r"]);
  const round: Round = { after: place, served: [["a", place]], begins: [["b", place]] };
  const plan = await planOf(selectOverdue({ after: 1, until: 2 }, { round, most: 200 }));
  expect(plan).toMatch(
    /SEARCH r USING INDEX flow_run_live \(next_scheduled_start_time>\? AND next_scheduled_start_time<\?\)/,
  );
  expect(plan).not.toMatch(/SCAN r|TEMP B-TREE/);
});
