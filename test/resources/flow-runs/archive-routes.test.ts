/** What users see and do with archived runs: logs, deletion, restore, sizes. */
import { SELF } from "cloudflare:test";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { DAY } from "#lib/clock";
import { findArchivedRuns } from "#resources/flow-runs/archived-run";
import { aFlowRun, api, propose, WORKSPACE } from "../../support/world";
import { moveAll, objectsOf, segmentsIn } from "../logs/archive-world";
import { A_RUN, beginWithoutRuns, countOf, moveRuns, runTools, writeLogs, writeRun } from "./archive-world";

beginWithoutRuns();
beforeEach(async () => {
  await runTools(WORKSPACE).archive.delete(await objectsOf(WORKSPACE));
});

const RESTORE = "/admin/archive/restore";

/** What the logs of a run say. */
async function said(run: string): Promise<string[]> {
  const { body } = await api<{ message: string }[]>("POST", "/logs/filter", {
    logs: { flow_run_id: { any_: [run] } },
  });
  return body.map(({ message }) => message);
}

/** Moved runs, the first with logs that moved before it and logs that are still in D1. */
async function moved() {
  const { id } = await writeRun(WORKSPACE);
  const other = await writeRun(WORKSPACE);
  await writeLogs(WORKSPACE, [{ run: id, at: 100 * DAY, message: "early" }]);
  await moveAll(runTools(WORKSPACE));
  expect(await segmentsIn(WORKSPACE)).toBe(0);
  await writeLogs(WORKSPACE, [{ run: id, at: 99 * DAY, message: "late" }]);
  await moveRuns(runTools(WORKSPACE));
  expect(await countOf("flow_run")).toBe(0);
  return { id, other: other.id };
}

describe("the logs of an archived run", () => {
  test("are found in the archive and in D1, and late logs move too", async () => {
    const { id } = await moved();
    expect(await said(id)).toEqual(["early", "late"]);
    await moveAll(runTools(WORKSPACE));
    expect(await segmentsIn(WORKSPACE)).toBe(0);
    expect(await said(id)).toEqual(["early", "late"]);
    const file = await SELF.fetch(`http://sluice/api/flow_runs/${id}/logs/download`);
    expect(file.headers.get("content-disposition")).toContain("a%20run-logs.csv");
    expect((await file.text()).trim().split("\r\n")).toHaveLength(3);
  });
});

describe("a deletion", () => {
  test("of an archived run removes its row and its logs in D1; the object ends with its last run", async () => {
    const { id, other } = await moved();
    expect((await api("DELETE", `/flow_runs/${id}`)).status).toBe(204);
    expect((await api("DELETE", `/flow_runs/${id}`)).status).toBe(404);
    expect(await said(id)).toEqual([]);
    expect(await segmentsIn(WORKSPACE)).toBe(0);
    const { archive } = runTools(WORKSPACE);
    const runs = async () => (await archive.listOlder(`${WORKSPACE}/runs/`, Infinity)).keys.length;
    expect([await runs(), await countOf("run_archive where run_count = 1")]).toEqual([1, 1]);
    expect(await findArchivedRuns(runTools(WORKSPACE), [id, other])).toHaveLength(1);
    expect((await api("DELETE", `/flow_runs/${other}`)).status).toBe(204);
    await vi.waitFor(async () => expect([await runs(), await countOf("run_archive")]).toEqual([0, 0]));
  });

  test("of many takes archived runs that are asked for by their ids alone", async () => {
    const { id, other } = await moved();
    const inD1 = await writeRun(WORKSPACE);
    const bulk = async (flow_runs: object, limit = 50) =>
      (await api<{ deleted: string[] }>("POST", "/flow_runs/bulk_delete", { flow_runs, limit })).body.deleted;
    expect(await bulk({ id: { any_: [id] }, name: { any_: ["a run"] } })).toEqual([]);
    expect(await bulk({ id: { any_: [id, inD1.id, other] } }, 2)).toEqual([inD1.id, id]);
    expect(await bulk({ id: { any_: [id, inD1.id, other] } })).toEqual([other]);
  });
});

test("a subflow that outlives its archived parent keeps its reference, and takes states", async () => {
  const parent = await writeRun(WORKSPACE);
  const [parent_task_run_id = ""] = parent.tasks;
  const child = await aFlowRun({ parent_task_run_id });
  await moveRuns(runTools(WORKSPACE));
  for (const type of ["RUNNING", "COMPLETED"]) expect((await propose(child.id, { type })).status).toBe("ACCEPT");
  const { body } = await api("GET", `/flow_runs/${child.id}`);
  expect(body).toMatchObject({ parent_task_run_id, state_type: "COMPLETED" });
  expect((await api("GET", `/flow_runs/${child.id}/graph-v2`)).status).toBe(200);
});

describe("a restore", () => {
  test("writes a run and its logs back, and the sizes tell what is archived", async () => {
    const { id } = await moved();
    const sizes = async () => (await api<{ r2: { runs: object } }>("GET", "/admin/database")).body.r2.runs;
    expect(await sizes()).toMatchObject({ rows: 2, objects: 1 });
    const { status, body } = await api("POST", RESTORE, { run: id });
    expect([status, body]).toEqual([200, { bundles: 0, events: 0, runs: 1, logs: 1, unreadable: 0 }]);
    expect(await sizes()).toMatchObject({ rows: 1, objects: 1 });
    expect((await api<{ name: string }>("GET", `/flow_runs/${id}`)).body.name).toBe("a run");
    expect(await said(id)).toEqual(["early", "late"]);
    expect(await segmentsIn(WORKSPACE)).toBe(2);
  });

  test("of a run in D1 writes only its logs back", async () => {
    const { id } = await writeRun(WORKSPACE);
    await writeLogs(WORKSPACE, [{ run: id, at: 100 * DAY, message: "early" }]);
    await moveAll(runTools(WORKSPACE));
    const { body } = await api("POST", RESTORE, { run: id });
    expect(body).toEqual({ bundles: 0, events: 0, runs: 0, logs: 1, unreadable: 0 });
  });

  test("of a run that does not exist is a 404, and of two things at once a 422", async () => {
    const run = crypto.randomUUID();
    expect((await api("POST", RESTORE, { run })).status).toBe(404);
    expect((await api("POST", RESTORE, { run, hour: "2026-01-01T00:00:00Z" })).status).toBe(422);
    expect((await api("POST", RESTORE, { run: "a run" })).status).toBe(422);
  });

  test("does not take an idempotency key from a newer run", async () => {
    const family = { flow_id: crypto.randomUUID(), idempotency_key: "key" };
    const { id } = await writeRun(WORKSPACE, A_RUN, family);
    await moveRuns(runTools(WORKSPACE));
    const newer = await writeRun(WORKSPACE, { ...A_RUN, ended: DAY }, family);
    const { status, body } = await api("POST", RESTORE, { run: id });
    expect([status, body]).toEqual([409, { detail: "Another run of the flow has the idempotency key of this run." }]);
    expect([await countOf("archived_run"), await countOf("flow_run"), await countOf("flow_run_state")]).toEqual([
      1, 1, 3,
    ]);
    await api("DELETE", `/flow_runs/${newer.id}`);
    expect((await api("POST", RESTORE, { run: id })).body).toMatchObject({ runs: 1 });
  });
});
