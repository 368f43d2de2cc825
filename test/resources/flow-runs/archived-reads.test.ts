/** Requests about runs that are in the archive. */
import { env } from "cloudflare:test";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { forgetArchiveEnds } from "#resources/flow-runs/archived-end";
import { restoreRun } from "#resources/flow-runs/archived-restore";
import type { Tools } from "#tools";
import { r2 } from "../../archive/world";
import { faultyBucket } from "../../support/faulty-bucket";
import { between, watchedStores } from "../../support/watched-stores";
import { aFlowRun, api, propose, sendText, WORKSPACE } from "../../support/world";
import { archiveTools, silence } from "../logs/archive-world";
import {
  aHistory,
  answersTo,
  any,
  ask,
  type History,
  moveRuns,
  type Question,
  questionsAbout,
  questionsAboutMany,
  send,
  WINDOW,
} from "./archive-history";

beforeEach(() => {
  silence();
  forgetArchiveEnds();
});
afterEach(() => void vi.restoreAllMocks());

const HEADER = "x-sluice-archive";

describe("a history answers the same before and after its move", () => {
  let history: History;
  let questions: Record<string, Question[]>;
  const before: Record<string, unknown[][]> = {};

  beforeAll(async () => {
    history = await aHistory();
    const { parent, subflow, deployed, bare, live, old, tasks } = history;
    questions = {
      "one run": old.flatMap(questionsAbout),
      "archived runs": questionsAboutMany([parent, deployed], tasks),
      "archived and other runs": questionsAboutMany([live, parent, subflow, bare, crypto.randomUUID()], tasks),
    };
    for (const [name, some] of Object.entries(questions)) before[name] = await answersTo(some);
    await moveRuns(old);
  }, 120_000);

  test.for(["one run", "archived runs", "archived and other runs"])("%s", { timeout: 180_000 }, async (name) => {
    const after = await answersTo(questions[name] ?? []);
    expect(after.length).toBeGreaterThan(40);
    for (const [index, question] of (questions[name] ?? []).entries())
      expect(after[index], JSON.stringify(question)).toEqual(before[name]?.[index]);
  });

  test("the history has runs, tasks, states, inputs and graphs", async () => {
    const { parent, deployed, bare } = history;
    const graph = await api<{ nodes: [string, { kind: string }][] }>("GET", `/flow_runs/${parent}/graph-v2`);
    expect(graph.body.nodes.map(([, { kind }]) => kind)).toEqual(["task-run", "task-run", "task-run", "flow-run"]);
    const states = await api<unknown[]>("GET", `/flow_run_states/?flow_run_id=${deployed}`);
    expect(states.body).toHaveLength(4);
    const count = await api("POST", "/task_runs/count", { flow_runs: any(parent, deployed) });
    expect(count.body).toBe(16);
    const value = await sendText("GET", `/flow_runs/${deployed}/input/long`);
    expect([value.status, value.text.length]).toEqual([200, 600_000]);
    expect((await api("GET", `/flow_runs/${bare}/why`)).body).toMatchObject({ started: false });
  });

  test("changes of an archived run are refused as for a run that does not exist", async () => {
    const run = `/flow_runs/${history.parent}`;
    const unknown = `/flow_runs/${crypto.randomUUID()}`;
    const state = { type: "SCHEDULED", name: "AwaitingRetry" };
    for (const [method, path, body] of [
      ["POST", "/set_state", { state, force: true }],
      ["PATCH", "", { name: "new" }],
      ["POST", "/resume", {}],
      ["POST", "/input", { key: "k", value: "v" }],
      ["DELETE", "/input/b-1", undefined],
    ] as const) {
      const answer = await sendText(method, run + path, body && JSON.stringify(body));
      const other = await sendText(method, unknown + path, body && JSON.stringify(body));
      expect([answer.status, answer.text], path).toEqual([
        404,
        other.text.replaceAll(unknown.slice(11), history.parent),
      ]);
    }
    const gone = await env.DB.prepare("select count(*) as n from flow_run where id = ?")
      .bind(history.parent)
      .first("n");
    expect(gone).toBe(0);
  });
});

/** A run that has moved, and another that has not. */
async function twoRuns() {
  const [moved, left] = [
    await aFlowRun({ state: { type: "RUNNING" } }),
    await aFlowRun({ state: { type: "RUNNING" } }),
  ];
  for (const { id } of [moved, left]) await propose(id, { type: "COMPLETED" });
  const { end_time } = (await api<{ end_time: string }>("GET", `/flow_runs/${moved.id}`)).body;
  await moveRuns([moved.id]);
  return { moved: moved.id, left: left.id, end_time };
}

describe("other lists and counts", () => {
  const since = (end: string) => `partial; since=${end.slice(0, -4)}001Z`;

  test("say that runs are in the archive, if these runs may meet the filters", async () => {
    const { left, end_time } = await twoRuns();
    const six = Array.from({ length: 5 }, () => crypto.randomUUID());
    const after = (time: string) => ({ flow_runs: { end_time: { after_: time } } });
    const cases: [string, Record<string, unknown>, boolean][] = [
      ["all", {}, true],
      ["six ids", { flow_runs: any(left, ...six) }, true],
      ["an or", { flow_runs: { operator: "or_", ...any(left), tags: { all_: ["x"] } } }, true],
      ["ended runs", { flow_runs: { state: { type: { any_: ["RUNNING", "COMPLETED"] } } } }, true],
      ["ended since", after(end_time), true],
      ["five ids", { flow_runs: any(left, ...six.slice(1)) }, false],
      ["runs that have not ended", { flow_runs: { state: { type: { any_: ["RUNNING", "PAUSED"] } } } }, false],
      ["ended later", after("2100-01-01T00:00:00Z"), false],
    ];
    for (const [name, filter, isPartial] of cases)
      for (const path of [
        "/flow_runs/filter",
        "/flow_runs/count",
        "/flow_runs/paginate",
        "/task_runs/filter",
        "/task_runs/count",
        "/task_runs/paginate",
        "/flow_runs/lateness",
      ]) {
        const { status, headers } = await api("POST", path, filter);
        expect([status, headers.get(HEADER)], `${name} ${path}`).toEqual([200, isPartial ? since(end_time) : null]);
      }
  });

  test("say nothing without an archive", async () => {
    await env.DB.prepare("delete from run_archive").run();
    expect((await ask(["POST", "/flow_runs/filter", { limit: 1 }]))[2]).toBe(null);
  });
});

describe("the cost", () => {
  test("no request about runs in D1 has another round trip, and a run that does not exist has one", async () => {
    const { left } = await twoRuns();
    const cost = async (question: Question, tools: Tools) => {
      forgetArchiveEnds();
      await (await send(question, tools)).text();
      return [tools.cost.d1_round_trips, tools.cost.r2_class_b];
    };
    const lists = ["/flow_runs", "/task_runs"].flatMap((path) =>
      ["filter", "count", "history", "paginate"].map((last): Question => ["POST", `${path}/${last}`, WINDOW]),
    );
    for (const question of [...questionsAbout(left), ...questionsAboutMany([left], []), ...lists]) {
      const plain = await cost(question, { ...archiveTools(WORKSPACE), archive: null });
      expect(await cost(question, archiveTools(WORKSPACE)), JSON.stringify(question)).toEqual(plain);
    }
    expect(await cost(["GET", `/flow_runs/${crypto.randomUUID()}`], archiveTools(WORKSPACE))).toEqual([2, 0]);
  });
});

describe("if the archive cannot give a run", () => {
  async function askWith(bucket: R2Bucket, question: Question) {
    const answer = await send(question, archiveTools(WORKSPACE, { bucket }));
    return [answer.status, answer.headers.get("retry-after"), await answer.text()];
  }

  const about = (id: string): Question[] => [
    ["GET", `/flow_runs/${id}`],
    ["GET", `/flow_runs/${id}/graph-v2`],
    ["GET", `/flow_runs/${id}/input/k`],
    ["POST", "/flow_runs/filter", { flow_runs: any(id) }],
    ["POST", "/task_runs/count", { flow_runs: any(id) }],
  ];

  test("R2 cannot be reached: 503, and the client asks again", async () => {
    const { moved } = await twoRuns();
    const { bucket } = faultyBucket(r2(), (_, call) => (call === "get" ? "before" : "none"));
    for (const question of about(moved)) {
      const [status, retry] = await askWith(bucket, question);
      expect([status, retry], question[1]).toEqual([503, "5"]);
    }
  });

  test.for(["missing", "damaged"])("an object is %s: the run does not exist, which is logged", async (fault) => {
    const { moved } = await twoRuns();
    const key = await env.DB.prepare("select key from run_archive order by first_end desc limit 1").first<string>(
      "key",
    );
    const bytes = new Uint8Array(await ((await r2().get(key ?? "")) as R2ObjectBody).arrayBuffer());
    if (fault === "missing") await r2().delete(key ?? "");
    else await r2().put(key ?? "", bytes.fill(0));
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    const answers = [];
    for (const question of about(moved)) answers.push(await askWith(r2(), question));
    expect(answers).toEqual([
      [404, null, '{"detail":"Flow run not found"}'],
      [404, null, `{"exception_message":"Flow run ${moved} not found"}`],
      [404, null, '{"detail":"Flow run input not found"}'],
      [200, null, "[]"],
      [200, null, "0"],
    ]);
    expect(logged.mock.calls.length).toBeGreaterThan(0);
  });
});

describe("a run that moves, or is restored, at any call of a reader", () => {
  /** A run with more than one portion of long values. */
  async function aLongRun(): Promise<string> {
    const { id } = await aFlowRun({ state: { type: "RUNNING" }, parameters: { long: "x".repeat(400_000) } });
    for (const key of ["a", "b"]) await api("POST", `/flow_runs/${id}/input`, { key, value: "y".repeat(1_050_000) });
    for (const task_key of ["1", "2"]) {
      const state = { type: "COMPLETED", data: "z".repeat(1_050_000) };
      await api("POST", "/task_runs/", { flow_run_id: id, task_key, dynamic_key: "0", state });
    }
    await propose(id, { type: "RUNNING", message: "m".repeat(1_050_000) }, true);
    await propose(id, { type: "COMPLETED", message: "m".repeat(1_050_000) });
    return id;
  }

  const questions: ((id: string) => Question)[] = [
    (id) => ["GET", `/flow_runs/${id}`],
    (id) => ["GET", `/flow_runs/${id}/graph`],
    (id) => ["GET", `/flow_runs/${id}/graph-v2`],
    (id) => ["POST", `/flow_runs/${id}/input/filter`, { prefix: "", limit: 5 }],
    (id) => ["GET", `/flow_run_states/?flow_run_id=${id}`],
    (id) => ["POST", "/flow_runs/filter", { flow_runs: any(id) }],
    (id) => ["POST", "/task_runs/paginate", { flow_runs: any(id) }],
    (id) => ["POST", "/task_runs/count", { flow_runs: any(id) }],
  ];
  const cases = questions.flatMap((question) =>
    (["moves", "is restored"] as const).map((what) => ({ what, title: question(":id")[1], question })),
  );

  const textOf = async (question: Question, stores = {}) =>
    (await send(question, archiveTools(WORKSPACE, stores))).text();

  test.for(cases)("$what: $title has the same answer", async ({ what, question }) => {
    const id = await aLongRun();
    const move = () => moveRuns([id]);
    const restore = () => restoreRun(archiveTools(WORKSPACE), id);
    const [before, change] = what === "moves" ? [restore, move] : [move, restore];
    const expected = await textOf(question(id));
    if (what === "is restored") await move();
    for (let at = 0; ; at++) {
      const { around, calls } = between(at, change);
      const answer = await textOf(question(id), watchedStores({ around }));
      expect(answer === expected, `call ${at}`).toBe(true);
      if (calls() <= at) {
        expect(at).toBeGreaterThan(0);
        break;
      }
      await before();
    }
  });
});
