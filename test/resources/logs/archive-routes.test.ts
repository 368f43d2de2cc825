/** Archived logs over HTTP: pages, downloads, deletions, and what an answer says about logs that it does not have. */
import { env, SELF } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { toResponse } from "#http/errors";
import { DAY, earliestId } from "#lib/clock";
import { logRoutes } from "#resources/logs/routes";
import { printTime } from "#wire/dates";
import { r2 } from "../../archive/world";
import { watchedBucket } from "../../support/watched-stores";
import { api, WORKSPACE } from "../../support/world";
import { archiveTools, aRun, emptyLogs, bundlesIn, moveAll, NOW, segmentsIn, silence, write } from "./archive-world";

beforeEach(async () => {
  await emptyLogs();
  silence();
});
afterEach(() => void vi.restoreAllMocks());

const HEADER = "x-sluice-archive";

async function ask(logs: Record<string, unknown>, rest: Record<string, unknown> = {}) {
  const { status, body, headers } = await api<{ message: string }[]>("POST", "/logs/filter", { logs, ...rest });
  expect(status).toBe(200);
  return { said: body.map(({ message }) => message), archive: headers.get(HEADER) };
}

const of = (...runs: string[]) => ({ flow_run_id: { any_: runs } });
const move = () => moveAll(archiveTools(WORKSPACE));

/** An archived run with logs 14 and 12 days ago, and a live run with a log 2 days ago and another 16 days ago. */
async function aWorld() {
  const old = await aRun(WORKSPACE, { started: 15 * DAY, ended: 10 * DAY });
  await write(WORKSPACE, [{ run: old, at: 14 * DAY, message: "old 14" }]);
  await write(WORKSPACE, [{ run: old, at: 12 * DAY, message: "old 12" }]);
  const live = await aRun(WORKSPACE, { started: 17 * DAY, ended: null });
  await write(WORKSPACE, [{ run: live, at: 16 * DAY, message: "live 16" }]);
  await write(WORKSPACE, [{ run: live, at: 2 * DAY, message: "live 2" }]);
  await move();
  return { old, live };
}

describe("POST /logs/filter", () => {
  test("of runs has all logs, and no header", async () => {
    const { old, live } = await aWorld();
    expect(await ask(of(old, live))).toEqual({ said: ["live 16", "old 14", "old 12", "live 2"], archive: null });
    expect(await ask(of(old), { sort: "TIMESTAMP_DESC", limit: 1 })).toEqual({ said: ["old 12"], archive: null });
    expect(await ask(of(live))).toEqual({ said: ["live 16", "live 2"], archive: null });
  });

  const since = { archive: `partial; since=${printTime(NOW - 12 * DAY)}` };
  const until = { archive: `partial; until=${printTime(NOW - 14 * DAY)}` };
  const none = { archive: null };
  const before = { timestamp: { before_: printTime(NOW - 13 * DAY) } };
  test.for<[string, Record<string, unknown>, Record<string, unknown>, Record<string, unknown>]>([
    ["all logs", {}, { sort: "TIMESTAMP_DESC" }, since],
    ["all logs, oldest first", {}, {}, until],
    ["a page that ends before the archived logs", {}, { sort: "TIMESTAMP_DESC", limit: 1 }, none],
    ["a page that reaches the archived logs", {}, { sort: "TIMESTAMP_DESC", limit: 2 }, since],
    ["a window without archived logs", { timestamp: { after_: printTime(NOW - 11 * DAY) } }, {}, none],
    [
      "a window with some of them",
      before,
      { sort: "TIMESTAMP_DESC" },
      { archive: `partial; since=${printTime(NOW - 13 * DAY)}` },
    ],
    ["a filter with or_", { operator: "or_", level: { ge_: 10 } }, {}, until],
    ["an unknown task run", { task_run_id: { any_: [earliestId(NOW - 20 * DAY)] } }, {}, until],
    ["no logs", {}, { limit: 0 }, none],
  ])("without a run says up to which time it has the archived logs: %s", async ([, logs, rest, expected]) => {
    await aWorld();
    expect(await ask(logs, rest)).toMatchObject(expected);
  });

  test("without a run and without archived logs has no header", async () => {
    const live = await aRun(WORKSPACE, { started: 17 * DAY, ended: null });
    await write(WORKSPACE, [{ run: live, at: 16 * DAY }]);
    expect(await ask({})).toEqual({ said: ["hello"], archive: null });
  });

  test(
    "finds pages far back in 100,000 lines, forwards and backwards, and reads few parts for each",
    { timeout: 240_000 },
    async () => {
      const run = await aRun(WORKSPACE, { started: 12 * DAY, ended: 10 * DAY });
      const LINES = 100_000;
      for (let first = 0; first < LINES; first += 10_000) {
        const some = Array.from({ length: 10_000 }, (_, n) => ({
          run,
          at: 11 * DAY - (first + n) * 2_000,
          message: `line ${first + n} ${"with some words ".repeat(8)}`,
        }));
        for (let batch = 0; batch < some.length; batch += 500) await write(WORKSPACE, some.slice(batch, batch + 500));
      }
      const offsets = [0, 50_000, 99_900];
      const pages = async () => {
        const said: string[][] = [];
        for (const sort of ["TIMESTAMP_ASC", "TIMESTAMP_DESC"])
          for (const offset of offsets) said.push((await ask(of(run), { sort, offset, limit: 200 })).said);
        said.push((await ask({ ...of(run), text: { query: '"line 77777 "' } })).said);
        return said;
      };
      const before = await pages();
      expect(before.map(({ length }) => length)).toEqual([200, 200, 100, 200, 200, 100, 1]);
      await move();
      expect(await segmentsIn(WORKSPACE)).toBe(0);
      expect(await pages()).toEqual(before);
      const csv = await (await SELF.fetch(`http://sluice/api/flow_runs/${run}/logs/download`)).text();
      const lines = csv.trimEnd().split("\r\n").slice(1);
      expect(lines).toHaveLength(LINES);
      expect(lines.every((line, index) => line.includes(`line ${index} `))).toBe(true);
      const { headers } = await api(
        "POST",
        "/logs/filter",
        { logs: of(run), offset: 99_900 },
        { "x-sluice-cost": "1" },
      );
      // The index is remembered: one read of parts.
      expect(headers.get("x-sluice-cost")).toMatch(/r2_class_b=[12]$/);
    },
  );
});

describe("GET /flow_runs/{id}/logs/download", () => {
  const download = async (run: string) => {
    const response = await SELF.fetch(`http://sluice/api/flow_runs/${run}/logs/download`);
    return [response.status, await response.text()];
  };

  test("is the same before and after the move, with logs that arrived later", async () => {
    const run = await aRun(WORKSPACE, { started: 15 * DAY, ended: 10 * DAY });
    for (const at of [12, 14, 13])
      await write(WORKSPACE, [
        { run, at: at * DAY, message: `"quoted", ${at}\n` },
        { run, at: at * DAY - 1, message: "y".repeat(20_000) },
      ]);
    const before = await download(run);
    await move();
    expect(await segmentsIn(WORKSPACE)).toBe(0);
    expect(await download(run)).toEqual(before);
    await write(WORKSPACE, [{ run, at: 13 * DAY, message: "late" }]);
    const late = await download(run);
    await move();
    expect(await download(run)).toEqual(late);
  });

  test("without R2 is a 503 that asks the client to come again, not a file that ends early", async () => {
    const run = await aRun(WORKSPACE, { started: 15 * DAY, ended: 10 * DAY });
    await write(WORKSPACE, [{ run, at: 12 * DAY }]);
    await move();
    const bucket = watchedBucket(r2(), async (name, call) => {
      if (name === "get") throw new Error("Service is temporarily unavailable. (10043)");
      return call();
    });
    for (const { path, method } of [
      { path: "/flow_runs/{id:uuid}/logs/download", method: "GET" },
      { path: "/logs/filter", method: "POST" },
    ]) {
      const route = logRoutes.find((one) => one.path === path);
      const body = method === "POST" ? { body: JSON.stringify({ logs: of(run) }) } : {};
      const request = new Request("http://sluice/", {
        method,
        headers: { "content-type": "application/json" },
        ...body,
      });
      const answer = await route
        ?.run(request, { id: run }, archiveTools(WORKSPACE, { bucket }))
        .catch((error: unknown) => toResponse(error, "id"));
      expect([answer?.status, answer?.headers.get("retry-after")]).toEqual([503, "5"]);
    }
  });
});

describe("a deleted run", () => {
  test("has no logs any more, and logs of the other runs of its bundle stay", async () => {
    const { old, live } = await aWorld();
    const other = await aRun(WORKSPACE, { started: 15 * DAY, ended: 10 * DAY });
    await write(WORKSPACE, [{ run: other, at: 14 * DAY, message: "other" }]);
    await move();
    expect((await api("DELETE", `/flow_runs/${old}`)).status).toBe(204);
    expect(await ask(of(old, live, other))).toEqual({ said: ["live 16", "other", "live 2"], archive: null });
    expect((await SELF.fetch(`http://sluice/api/flow_runs/${old}/logs/download`)).status).toBe(404);
    // Logs that arrive after the deletion do not make the archived logs appear again.
    await write(WORKSPACE, [{ run: old, at: 13 * DAY, message: "late" }]);
    expect((await ask(of(old))).said).toEqual(["late"]);
    await move();
    expect((await ask(of(old))).said).toEqual(["late"]);
    expect(await bundlesIn(WORKSPACE)).toBe(2);
  });

  test("cannot have archived logs that are found by its task runs", async () => {
    const { old } = await aWorld();
    const given = { flow_run_id: old, task_key: "t", dynamic_key: "0" };
    const task = (await api<{ id: string }>("POST", "/task_runs/", given)).body.id;
    await write(WORKSPACE, [{ run: old, task, at: 13 * DAY, message: "of the task" }]);
    await move();
    expect(await ask({ task_run_id: { any_: [task] } })).toEqual({ said: ["of the task"], archive: null });
    await env.DB.prepare("delete from flow_run where id = ?").bind(old).run();
    expect((await ask({ task_run_id: { any_: [task] } })).said).toEqual([]);
  });
});
