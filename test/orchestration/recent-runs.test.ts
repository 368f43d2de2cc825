import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { Database } from "#db/database";
import { noCost } from "#lib/cost";
import { type LoadedFlowRun, loadFlowRun } from "#orchestration/load-flow-run";
import { forget, forgetDeployment, recall, remember } from "#orchestration/recent-runs";
import { aFlowRun, WORKSPACE } from "../support/world";

const loaded = await loadFlowRun(new Database(env.DB, noCost()), WORKSPACE, (await aFlowRun()).id);

/** A run with a state message of so many characters. */
function aRun(id: string, characters: number, deploymentId: string | null = null): LoadedFlowRun {
  if (!loaded) throw new Error("the run is not there");
  return { ...loaded, row: { ...loaded.row, id, deployment_id: deploymentId, s_message: "x".repeat(characters) } };
}

const keptOf = (ids: readonly string[]): string[] => ids.filter((id) => recall(WORKSPACE, id) !== undefined);

test("of runs with long messages, the newest are kept, as many as fit into the memory bound", () => {
  const ids = Array.from({ length: 500 }, (_, index) => `long-${index}`);
  for (const id of ids) remember(WORKSPACE, aRun(id, 100_000));
  const kept = keptOf(ids);
  expect(kept).toEqual(ids.slice(-kept.length));
  expect(kept.length).toBeGreaterThan(50);
  expect(kept.length).toBeLessThanOrEqual(80);
});

test("a run that is too large is not kept, and does not evict another run", () => {
  remember(WORKSPACE, aRun("small", 10));
  remember(WORKSPACE, aRun("large", 1_900_000));
  expect(keptOf(["small", "large"])).toEqual(["small"]);
});

test("runs that are read, removed or stored again use no more memory", () => {
  const ids = Array.from({ length: 60 }, (_, index) => `room-${index}`);
  for (let times = 0; times < 5; times++) {
    for (const id of ids) remember(WORKSPACE, aRun(id, 100_000, "d"));
    if (times === 1) forgetDeployment(WORKSPACE, "d");
    if (times === 2) for (const id of ids) forget(WORKSPACE, id);
    if (times === 3) keptOf(ids);
  }
  expect(keptOf(ids)).toEqual(ids);
});

test("at most a thousand runs are kept, however small they are", () => {
  const ids = Array.from({ length: 1_100 }, (_, index) => `small-${index}`);
  for (const id of ids) remember(WORKSPACE, aRun(id, 1));
  expect(keptOf(ids)).toEqual(ids.slice(-1_000));
});
