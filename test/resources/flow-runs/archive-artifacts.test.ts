/** Artifacts of runs that move to the archive. The latest artifact of each key stays in D1. */
import { env } from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { removeRunBundles } from "#resources/flow-runs/archived-removal";
import { restoreRun } from "#resources/flow-runs/archived-restore";
import { aFlowRun, api, propose, unique, WORKSPACE } from "../../support/world";
import { archiveTools, silence } from "../logs/archive-world";
import { moveRuns } from "./archive-history";

beforeEach(() => silence());
afterEach(() => void vi.restoreAllMocks());

interface Made {
  id: string;
  key: string | null;
}

const make = async (run: string, fields: Record<string, unknown> = {}) =>
  (await api<Made>("POST", "/artifacts/", { data: "x", type: "markdown", flow_run_id: run, ...fields })).body;
const of = async (run: string) =>
  (await api<Made[]>("POST", "/artifacts/filter", { artifacts: { flow_run_id: { any_: [run] } } })).body.map(
    ({ id }) => id,
  );
const latestOf = async (key: string) =>
  (await api<{ latest_id: string }[]>("POST", "/artifacts/latest/filter", { artifacts: { key: { any_: [key] } } })).body
    .map(({ latest_id: id }) => id)
    .join();
const isIn = async (id: string) => (await api("GET", `/artifacts/${id}`)).status === 200;

/** A run that has ended, with an older and the latest artifact of a key, and one without a key. */
async function aRun() {
  const { id: run } = await aFlowRun({ state: { type: "RUNNING" } });
  const key = unique("report");
  const [old, latest, bare] = [await make(run, { key }), await make(run, { key }), await make(run)];
  await propose(run, { type: "COMPLETED" }, true);
  return { run, key, old: old.id, latest: latest.id, bare: bare.id };
}

test("the latest artifact of a key stays in D1, the others are read with their run", async () => {
  const { run, key, old, latest, bare } = await aRun();
  await moveRuns([run]);
  expect([await isIn(old), await isIn(latest), await isIn(bare)]).toEqual([false, true, false]);
  expect(await latestOf(key)).toBe(latest);
  expect(await of(run)).toEqual([bare, latest, old]);
  const newer = await make(crypto.randomUUID(), { key });
  expect(await latestOf(key)).toBe(newer.id);
  expect(await of(run)).toEqual([bare, latest, old]);
  const graph = await api<{ artifacts: Made[] }>("GET", `/flow_runs/${run}/graph-v2`);
  expect(graph.body.artifacts.map(({ id }) => id)).toEqual([old, latest, bare]);
});

test("a list that names no runs has a header, a list of the latest artifacts has all of them", async () => {
  const { run, key } = await aRun();
  await moveRuns([run]);
  const all = await api("POST", "/artifacts/filter", { artifacts: { key: { any_: [key] } } });
  const latest = await api("POST", "/artifacts/latest/filter", { artifacts: { key: { any_: [key] } } });
  const ofRuns = await api("POST", "/artifacts/latest/filter", { flow_runs: { tags: { all_: ["a"] } } });
  expect([all, latest, ofRuns].map(({ headers }) => headers.get("x-sluice-archive")?.slice(0, 7))).toEqual([
    "partial",
    undefined,
    "partial",
  ]);
});

test("an artifact that has moved is not found by its id", async () => {
  const { run, old } = await aRun();
  await moveRuns([run]);
  for (const [method, body] of [["GET"], ["PATCH", { data: 1 }], ["DELETE"]] as const) {
    const answer = await api(method, `/artifacts/${old}`, body);
    expect([answer.status, answer.body]).toEqual([404, { detail: "Artifact not found." }]);
  }
  expect(await of(run)).toHaveLength(3);
});

/** The answers to questions that name the runs: pages in each order, with other filters, and counts. */
async function answersAbout(runs: readonly string[], task: string): Promise<unknown[]> {
  const ofRuns = { flow_run_id: { any_: runs } };
  const sorts = ["CREATED_DESC", "UPDATED_DESC", "ID_DESC", "KEY_DESC", "KEY_ASC"];
  const filters: Record<string, unknown>[] = [
    { artifacts: ofRuns },
    { artifacts: { ...ofRuns, type: { any_: ["markdown"] }, key: { exists_: true } } },
    { artifacts: { ...ofRuns, task_run_id: { any_: [task] } } },
    { flow_runs: { id: { any_: runs } }, task_runs: { id: { any_: [task] } } },
    { flow_runs: { id: { any_: runs }, state: { type: { any_: ["COMPLETED"] } } } },
  ];
  const questions: [path: string, body: unknown][] = [
    ...sorts.flatMap((sort) => filters.map((own) => ["/artifacts/filter", { ...own, sort }] as [string, unknown])),
    ...sorts.map((sort) => ["/artifacts/filter", { ...filters[0], sort, limit: 3, offset: 2 }] as [string, unknown]),
    ...filters.map((own) => ["/artifacts/count", own] as [string, unknown]),
    ...filters.slice(3).map((own) => ["/artifacts/latest/filter", own] as [string, unknown]),
    ...filters.slice(3).map((own) => ["/artifacts/latest/count", own] as [string, unknown]),
  ];
  const answers: unknown[] = [];
  for (const [path, body] of questions) {
    const answer = await api("POST", path, body);
    answers.push([path, body, answer.status, answer.body, answer.headers.get("x-sluice-archive")]);
  }
  return answers;
}

test("lists and counts that name runs are as before the move, in each order and over both stores", async () => {
  const [one, two] = [await aRun(), await aRun()];
  const { id: live } = await aFlowRun({ state: { type: "RUNNING" } });
  const task = crypto.randomUUID();
  await make(live, { key: one.key, type: "table", task_run_id: task, description: "d", metadata_: { a: "b" } });
  const { id: late } = await make(two.run, { type: "progress", data: 1.5, task_run_id: task });
  for (const id of [late, one.old]) await api("PATCH", `/artifacts/${id}`, { data: "x".repeat(20_000) });
  const runs = [one.run, two.run, live];
  const before = await answersAbout(runs, task);
  await moveRuns([one.run, two.run]);
  expect(await answersAbout(runs, task)).toEqual(before);
});

test("a list that names more than five runs reads D1 only, and has a header", async () => {
  const { run, latest } = await aRun();
  await moveRuns([run]);
  const named = [run, ...Array.from({ length: 5 }, () => crypto.randomUUID())];
  const ofNamed = (runs: string[]) =>
    api<Made[]>("POST", "/artifacts/filter", { artifacts: { flow_run_id: { any_: runs } } });
  const [few, many] = [await ofNamed(named.slice(0, 5)), await ofNamed(named)];
  expect([few.body.length, few.headers.get("x-sluice-archive")]).toEqual([3, null]);
  expect(many.body.map(({ id }) => id)).toEqual([latest]);
  expect(many.headers.get("x-sluice-archive")).toMatch(/^partial; since=/);
});

test("a run that gets an artifact comes back with it, and nothing is lost or doubled", async () => {
  const { run, key, old, latest, bare } = await aRun();
  await moveRuns([run]);
  const late = await make(run, { key });
  expect(await of(run)).toEqual([late.id, bare, latest, old]);
  expect(await restoreRun(archiveTools(WORKSPACE), run)).toMatchObject({ runs: 1 });
  expect(await of(run)).toEqual([late.id, bare, latest, old]);
  expect(await latestOf(key)).toBe(late.id);
  await moveRuns([run]);
  expect([await isIn(late.id), await isIn(latest)]).toEqual([true, false]);
  expect(await of(run)).toEqual([late.id, bare, latest, old]);
});

test("an artifact that comes back is the latest of its key again, if no newer one is there", async () => {
  const { run, key, old, latest } = await aRun();
  await moveRuns([run]);
  await api("DELETE", `/artifacts/${latest}`);
  expect(await latestOf(key)).toBe("");
  for (let times = 0; times < 2; times++) {
    await restoreRun(archiveTools(WORKSPACE), run);
    expect(await latestOf(key)).toBe(old);
    await moveRuns([run]);
    expect(await isIn(old)).toBe(true);
  }
});

test("the artifacts of an archived run are deleted with it, also those in D1", async () => {
  const { run, key, latest } = await aRun();
  await moveRuns([run]);
  expect((await api("DELETE", `/flow_runs/${run}`)).status).toBe(204);
  expect([await isIn(latest), await latestOf(key), await of(run)]).toEqual([false, "", []]);
});

test("the artifacts in D1 end with the bundle of their run, unless the run has come back", async () => {
  const [one, two] = [await aRun(), await aRun()];
  await moveRuns([one.run, two.run]);
  await restoreRun(archiveTools(WORKSPACE), two.run);
  const bundle = await env.DB.prepare(
    `select first_end, lower(hex(id)) as id, hex(runs) as runs from run_archive
     where id = (select bundle from archived_run where id = unhex(?, '-'))`,
  )
    .bind(one.run)
    .first<{ first_end: number; id: string; runs: string }>();
  if (!bundle) throw new Error("the run is in no bundle");
  const id = bundle.id.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  await removeRunBundles(archiveTools(WORKSPACE), [{ ...bundle, id }]);
  expect([await isIn(one.latest), await isIn(two.latest)]).toEqual([false, true]);
  expect([await latestOf(one.key), await latestOf(two.key)]).toEqual(["", two.latest]);
});
