import { env, SELF } from "cloudflare:test";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Database } from "#db/database";
import { unpack } from "#db/packed";
import type { LogFilter, LogSort } from "#filters/logs";
import { earliestId } from "#lib/clock";
import { noCost } from "#lib/cost";
import { meetsTextQuery } from "#lib/text-query";
import { LogStore } from "#resources/logs/store";
import { parseTime } from "#wire/dates";
import { aFlowRun, api, WORKSPACE } from "../support/world";

interface Log {
  id: string;
  name: string;
  level: number;
  message: string;
  timestamp: string;
  flow_run_id: string | null;
  task_run_id: string | null;
}

/** A time on 10 October, so many microseconds after eight o'clock. */
function at(micros: number): string {
  const text = new Date(Date.UTC(2026, 9, 10, 8) + Math.floor(micros / 1000)).toISOString().slice(0, -1);
  const rest = micros % 1000;
  return micros % 1_000_000 === 0 ? `${text.slice(0, -4)}Z` : `${text}${String(rest).padStart(3, "0")}Z`;
}

const aLog = <F extends Record<string, unknown>>(fields: F) => ({
  name: "prefect.flow_runs",
  level: 20,
  message: "hello",
  timestamp: at(0),
  ...fields,
});

async function write(...logs: Record<string, unknown>[]): Promise<void> {
  const { status, body } = await api(
    "POST",
    "/logs/",
    logs.map((log) => aLog(log)),
  );
  expect([status, body]).toEqual([201, null]);
}

async function read(filter: Record<string, unknown>, rest: Record<string, unknown> = {}): Promise<Log[]> {
  const { status, body } = await api<Log[]>("POST", "/logs/filter", { logs: filter, ...rest });
  expect(status).toBe(200);
  return body;
}

const timeOf = (text: string): number => parseTime(text) ?? Number.NaN;
const messages = (logs: Log[]) => logs.map((log) => log.message);
const of = (run: string) => ({ flow_run_id: { any_: [run] } });
const anId = () => crypto.randomUUID();

async function segmentsOf(run: string): Promise<number> {
  const row = await env.DB.prepare("select count(*) as n from log_segment where run_id = ?")
    .bind(run)
    .first<number>("n");
  return row ?? 0;
}

/** Replaces the records of runs by their text, as segments were written before there were packed columns. */
async function unpackSegments(runs: readonly string[]): Promise<void> {
  const { results } = await env.DB.prepare(
    "select run_id, digest, hex(records) as packed from log_segment where typeof(records) = 'blob' and run_id in (select value from json_each(?))",
  )
    .bind(JSON.stringify(runs))
    .all<{ run_id: string; digest: string; packed: string }>();
  const update = env.DB.prepare("update log_segment set records = ? where run_id = ? and digest = ?");
  const updates = results.map(({ run_id, digest, packed }) => update.bind(unpack(packed), run_id, digest));
  if (updates.length > 0) await env.DB.batch(updates);
}

describe("POST /logs/", () => {
  test("a log is read unchanged, with all microseconds", async () => {
    const run = anId();
    const task = anId();
    await write({ flow_run_id: run, task_run_id: task, level: "30", timestamp: "2026-10-10T10:00:00.123456+02:00" });
    const [log] = await read(of(run));
    expect(log).toMatchObject({
      name: "prefect.flow_runs",
      level: 30,
      message: "hello",
      timestamp: "2026-10-10T08:00:00.123456Z",
      flow_run_id: run,
      task_run_id: task,
    });
  });

  test("a batch is one row for each run, and a repeated request changes nothing", async () => {
    const [one, two] = [anId(), anId()];
    const batch = [
      { flow_run_id: one, message: "a" },
      { flow_run_id: two, message: "b" },
      { flow_run_id: one, message: "c", timestamp: at(5) },
    ];
    await write(...batch);
    const before = await read(of(one));
    await write(...batch);
    expect(await segmentsOf(one)).toBe(1);
    expect(await segmentsOf(two)).toBe(1);
    expect(await read(of(one))).toEqual(before);
    expect(messages(before)).toEqual(["a", "c"]);
  });

  test("records are written packed, and segments of text give the same answers", async () => {
    const run = anId();
    const lines = Array.from({ length: 30 }, (_, n) => ({ flow_run_id: run, message: `ß ${n}`, timestamp: at(n) }));
    await write(...lines);
    const form = () =>
      env.DB.prepare("select typeof(records) as form, octet_length(records) as bytes from log_segment where run_id = ?")
        .bind(run)
        .first<{ form: string; bytes: number }>();
    const [packed, before] = [await form(), await read(of(run))];
    await unpackSegments([run]);
    const text = await form();
    expect([packed?.form, text?.form]).toEqual(["blob", "text"]);
    expect(packed?.bytes).toBeLessThan((text?.bytes ?? 0) / 4);
    expect(before).toHaveLength(30);
    expect(await read(of(run))).toEqual(before);
  });

  test("equal logs within a batch are all kept", async () => {
    const run = anId();
    await write({ flow_run_id: run }, { flow_run_id: run });
    expect(await read(of(run))).toHaveLength(2);
  });

  test("a log without a flow run is found by its task run, or without a run", async () => {
    const task = anId();
    const message = anId();
    await write({ task_run_id: task, message }, { message });
    expect(await read({ task_run_id: { any_: [task] } })).toMatchObject([{ flow_run_id: null, task_run_id: task }]);
    expect(await read(of(task))).toEqual([]);
    expect(await read({ text: { query: message }, task_run_id: { is_null_: true } })).toMatchObject([
      { flow_run_id: null, task_run_id: null },
    ]);
  });

  test("more than a megabyte of a run's logs is written as several rows, and no row is too large for D1", async () => {
    const run = anId();
    const text = "ü".repeat(150_000);
    await write(
      ...Array.from({ length: 8 }, (_, n) => ({ flow_run_id: run, message: `${n}${text}`, timestamp: at(n) })),
    );
    const sizes = await env.DB.prepare("select length(cast(records as blob)) as n from log_segment where run_id = ?")
      .bind(run)
      .all<{ n: number }>();
    expect(sizes.results.length).toBeGreaterThan(1);
    expect(Math.max(...sizes.results.map((row) => row.n))).toBeLessThan(1_100_000);
    expect(messages(await read(of(run))).map((message) => message[0])).toEqual("01234567".split(""));
  });

  test.for([
    ["of 990,000 letters", "a".repeat(990_000)],
    ["of 1,890,000 letters", "a".repeat(1_890_000)],
    ["of 940,000 letters of two bytes", "ü".repeat(940_000)],
    ["of 470,000 characters of two halves", "😀".repeat(470_000)],
    ["of 310,000 characters that are escaped", "\u0001".repeat(310_000)],
  ] as const)("a message %s is stored whole", async ([, message]) => {
    const run = anId();
    const said = ["before", message, "hello"];
    await write(...said.map((one, n) => ({ flow_run_id: run, message: one, timestamp: at(n) })));
    expect(messages(await read(of(run))).map((one) => (one === message ? "the same" : one))).toEqual([
      "before",
      "the same",
      "hello",
    ]);
  });

  test.for([
    ["letters", "a", 1_899_000],
    ["characters of two halves", "😀", 949_000],
    ["characters that are escaped", "\u0001", 316_000],
  ] as const)("a message of more %s than a row can have is cut, with a note", async ([, character, least]) => {
    const run = anId();
    const message = character.repeat(1_000_000 * (character === "a" ? 2 : 1));
    await write({ flow_run_id: run, message }, { flow_run_id: run, timestamp: at(1) });
    const [log, other] = await read(of(run));
    const mark = `… (cut: ${message.length} characters)`;
    const kept = log?.message.slice(0, -mark.length) ?? "";
    expect(log?.message.slice(-mark.length)).toBe(mark);
    expect(message.startsWith(kept)).toBe(true);
    expect(kept.isWellFormed()).toBe(true);
    expect(kept.length).toBeGreaterThan(least);
    expect(other?.message).toBe("hello");
  });

  test("null bytes are removed", async () => {
    const run = anId();
    await write({ flow_run_id: run, message: "a\0b", name: "n\0m" });
    expect(await read(of(run))).toMatchObject([{ message: "ab", name: "nm" }]);
  });

  test.for([
    [[{ name: 1 }], 4],
    [[aLog({ colour: "red" })], 1],
    [[aLog({ timestamp: "soon" })], 1],
    [[aLog({ flow_run_id: "x" })], 1],
    [{}, 1],
  ] as const)("%j is refused and writes nothing", async ([batch, problems]) => {
    const { status, body } = await api<{ exception_detail: unknown[] }>("POST", "/logs/", batch);
    expect(status).toBe(422);
    expect(body.exception_detail).toHaveLength(problems);
  });

  test("an empty batch is accepted", async () => {
    expect((await api("POST", "/logs/", [])).status).toBe(201);
  });
});

describe("POST /logs/filter", () => {
  const world = (async () => {
    const run = anId();
    const task = anId();
    await write(
      { message: "Connected to the database", level: 10, name: "db", flow_run_id: run, timestamp: at(1_000_000) },
      { message: "Connection TIMEOUT", level: 40, name: "db", flow_run_id: run, timestamp: at(2_000_000) },
    );
    await write({ message: "50% done_now", level: 20, flow_run_id: run, task_run_id: task, timestamp: at(3_000_000) });
    await write({ message: 'élan "quoted" error', level: 50, flow_run_id: run, timestamp: at(500_000) });
    return { run, task };
  })();

  const ALL = ['élan "quoted" error', "Connected to the database", "Connection TIMEOUT", "50% done_now"];

  test.for<[string, Record<string, unknown>, number[]]>([
    ["nothing", {}, [0, 1, 2, 3]],
    ["a least level", { level: { ge_: 40 } }, [0, 2]],
    ["a highest level", { level: { le_: 20 } }, [1, 3]],
    ["a level as text", { level: { ge_: "50" } }, [0]],
    ["an empty level", { level: {} }, [0, 1, 2, 3]],
    ["the time after, itself included", { timestamp: { after_: at(2_000_000) } }, [2, 3]],
    ["the time before, itself included", { timestamp: { before_: at(1_000_000) } }, [0, 1]],
    ["a stretch of time", { timestamp: { after_: at(900_000), before_: at(2_500_000) } }, [1, 2]],
    ["no task run", { task_run_id: { is_null_: true } }, [0, 1, 2]],
    ["some task run", { task_run_id: { is_null_: false } }, [3]],
    ["a word", { text: { query: "connect" } }, [1, 2]],
    ["either of two words", { text: { query: "timeout done" } }, [2, 3]],
    ["a word but not another", { text: { query: "connect -timeout" } }, [1]],
    ["two words that must be there", { text: { query: "+connect +timeout" } }, [2]],
    ["a phrase", { text: { query: '"to the database"' } }, [1]],
    ["a phrase with quotes in it", { text: { query: String.raw`"\"quoted\" error"` } }, [0]],
    ["a logger's name", { text: { query: "!db" } }, [0, 3]],
    ["a capital letter beyond ASCII", { text: { query: "ÉLAN" } }, [0]],
    ["signs that mean something in a pattern", { text: { query: "50% done_" } }, [3]],
    ["an underscore, which is not any character", { text: { query: "don_" } }, []],
    ["an empty search", { text: { query: "" } }, [0, 1, 2, 3]],
    [
      "everything at once",
      { level: { ge_: 10 }, text: { query: "connect" }, timestamp: { after_: at(2_000_000) } },
      [2],
    ],
  ])("of a run, by %s", async ([, filter, expected]) => {
    const { run } = await world;
    const wanted = expected.map((index) => ALL[index]);
    expect(messages(await read({ ...of(run), ...filter }))).toEqual(wanted);
    const backwards = await read({ ...of(run), ...filter }, { sort: "TIMESTAMP_DESC" });
    expect(messages(backwards)).toEqual(wanted.toReversed());
  });

  test("by an unknown task run, and by a known one", async () => {
    const { task, run } = await world;
    expect(messages(await read({ task_run_id: { any_: [task] } }))).toEqual(["50% done_now"]);
    const known = anId();
    const { body: created } = await api<{ id: string; flow_run_id: string }>("POST", "/task_runs/", {
      flow_run_id: (await aFlowRun()).id,
      task_key: "t",
      dynamic_key: known,
    });
    await write(
      { flow_run_id: created.flow_run_id, task_run_id: created.id, message: "mine" },
      { flow_run_id: run, message: "x" },
    );
    expect(messages(await read({ task_run_id: { any_: [created.id] } }))).toEqual(["mine"]);
  });

  test("by an unknown task run whose id has a time, among older and newer logs", async () => {
    const task = earliestId(timeOf(at(500_000)));
    const run = anId();
    for (const second of [-7200, 1, 2, 7200])
      await write({
        flow_run_id: run,
        task_run_id: second === 7200 ? null : task,
        message: `${second}`,
        timestamp: at(second * 1_000_000),
      });
    expect(messages(await read({ task_run_id: { any_: [task] } }))).toEqual(["1", "2"]);
    expect(messages(await read({ ...of(run), task_run_id: { any_: [task] } }))).toEqual(["-7200", "1", "2"]);
  });

  test("with or_, one matching criterion is enough", async () => {
    const { run, task } = await world;
    const filter = { operator: "or_", task_run_id: { any_: [task] }, text: { query: '"TIMEOUT"' } };
    const found = (await read(filter, { sort: "TIMESTAMP_DESC" })).filter((log) => log.flow_run_id === run);
    expect(messages(found)).toEqual(["50% done_now", "Connection TIMEOUT"]);
  });

  test("an empty list of runs finds no logs, and a limit of 0 returns none", async () => {
    const { run } = await world;
    expect(await read({ flow_run_id: { any_: [] } })).toEqual([]);
    expect(await read(of(run), { limit: 0 })).toEqual([]);
  });

  test.for([
    [{ limit: 201 }],
    [{ limit: -1 }],
    [{ offset: -1 }],
    [{ sort: "LEVEL_ASC" }],
    [{ logs: { text: {} } }],
    [{ logs: { text: { query: "x".repeat(201) } } }],
    [{ logs: { colour: {} } }],
  ])("%j is refused", async ([body]) => {
    expect((await api("POST", "/logs/filter", body)).status).toBe(422);
  });
});

describe("pages of logs", () => {
  test("have the same logs as a plain filter and sort, for any segments and any offset", async () => {
    const segment = fc.record({
      start: fc.nat(40),
      gaps: fc.array(fc.nat(12), { minLength: 1, maxLength: 6 }),
      level: fc.constantFrom(10, 20, 30),
      isMine: fc.boolean(),
      isOld: fc.boolean(),
    });
    const property = fc.asyncProperty(
      fc.array(segment, { maxLength: 8 }),
      fc.record({ limit: fc.integer({ min: 1, max: 8 }), offset: fc.nat(30), isAscending: fc.boolean() }),
      fc.option(fc.constantFrom(10, 20, 30), { nil: null }),
      fc.option(fc.constantFrom("0", "1", "-2"), { nil: null }),
      async (segments, { limit, offset, isAscending }, level, query) => {
        const [mine, other] = [anId(), anId()];
        const logs = segments.map(({ start, gaps, level: lowest, isMine }, place) => {
          let time = start;
          return gaps.map((gap, index) =>
            aLog({
              flow_run_id: isMine ? mine : other,
              timestamp: at((time += gap)),
              message: `${place}.${index}`,
              level: lowest + (index % 2) * 10,
            }),
          );
        });
        for (const [place, batch] of logs.entries()) {
          await write(...batch);
          if (segments[place]?.isOld) await unpackSegments([mine, other]);
        }
        const filter = {
          ...of(mine),
          ...(level !== null && { level: { ge_: level } }),
          ...(query !== null && { text: { query } }),
        };
        const sort = isAscending ? "TIMESTAMP_ASC" : "TIMESTAMP_DESC";
        const times = (await read(filter, { sort, limit, offset })).map((log) => log.timestamp);
        const expected = logs
          .flat()
          .filter((log) => log.flow_run_id === mine && log.level >= (level ?? 0))
          .filter(({ message, name }) => query === null || meetsTextQuery(query, `${message} ${name}`))
          .map((log) => log.timestamp)
          .toSorted((a, b) => timeOf(a) - timeOf(b));
        if (!isAscending) expected.reverse();
        expect(times).toEqual(expected.slice(offset, offset + limit));
      },
    );
    await fc.assert(property, { numRuns: 40 });
  });

  test("a page with a high offset reads only the segments with its logs", async () => {
    const run = anId();
    for (let batch = 0; batch < 12; batch++) {
      await write(
        ...Array.from({ length: 20 }, (_, n) => ({
          flow_run_id: run,
          timestamp: at(batch * 100 + n),
          message: `${batch}.${n}`,
        })),
      );
    }
    const fifth = Date.UTC(2026, 9, 10, 8) * 1000 + 500;
    // Records that cannot be read. A statement that reads these records fails.
    await env.DB.prepare("update log_segment set records = 'no json' where run_id = ? and first_timestamp <> ?")
      .bind(run, fifth)
      .run();
    const found = await read(of(run), { offset: 105, limit: 10 });
    await env.DB.prepare("delete from log_segment where run_id = ?").bind(run).run();
    expect(messages(found)).toEqual(Array.from({ length: 10 }, (_, n) => `5.${n + 5}`));
  });

  test.for(["TIMESTAMP_ASC", "TIMESTAMP_DESC"])("a search leads through thousands of segments: %s", async (sort) => {
    const run = anId();
    const start = timeOf(at(0));
    await env.DB.prepare(
      `with n(n) as (select 0 union all select n + 1 from n where n < 11999)
       insert into log_segment select ?, ?, ? + n / 2, n, ? + n / 2, 20, 20, 1,
         json_array(json_object('id', ?, 'name', 'n', 'level', 20, 'timestamp', ? + n / 2, 'message',
           iif(n % 5500 = 7, 'wanted ', '') || n)) from n`,
    )
      .bind(WORKSPACE, run, start, start, anId(), start)
      .run();
    const search = { ...of(run), text: { query: "wanted" } };
    const wanted = ["wanted 7", "wanted 5507", "wanted 11007"];
    expect(messages(await read(search, { sort }))).toEqual(sort === "TIMESTAMP_ASC" ? wanted : wanted.toReversed());
    expect(messages(await read(search, { sort, offset: 1, limit: 1 }))).toEqual(["wanted 5507"]);
    const page = await read(of(run), { sort, offset: 5_999, limit: 3 });
    // Of two records of the same time, the one with the smaller digest is first in both directions.
    expect(messages(page)).toEqual(sort === "TIMESTAMP_ASC" ? ["5999", "6000", "6001"] : ["6001", "5998", "5999"]);
    await env.DB.prepare("delete from log_segment where run_id = ?").bind(run).run();
  });

  test("the newest logs of all runs are read, and older segments are not", async () => {
    const run = anId();
    const marks = Array.from({ length: 3 }, (_, n) => ({
      flow_run_id: run,
      timestamp: `2027-01-0${n + 1}T00:00:00Z`,
      message: `new ${n}`,
    }));
    for (const mark of marks) await write(mark);
    expect(messages(await read({}, { sort: "TIMESTAMP_DESC", limit: 3 }))).toEqual(["new 2", "new 1", "new 0"]);
    expect(messages(await read({}, { sort: "TIMESTAMP_DESC", limit: 1, offset: 1 }))).toEqual(["new 1"]);
  });
});

describe("the statement of a page", () => {
  test.for<[string, LogFilter, LogSort, string]>([
    [
      "of a run",
      { operator: "and_", flow_run_id: { any_: [anId()] } },
      "TIMESTAMP_ASC",
      "USING PRIMARY KEY (workspace_id=? AND run_id=?)",
    ],
    [
      "of all runs",
      { operator: "and_" },
      "TIMESTAMP_DESC",
      "USING PRIMARY KEY (workspace_id=? AND minute>? AND minute<?)",
    ],
  ])("%s seeks its segments", async ([, filter, sort, index]) => {
    const plans: Promise<string>[] = [];
    const explained = new Proxy(env.DB, {
      get: () => (text: string) => ({
        bind: (...values: unknown[]) => {
          plans.push(planOf(text, values));
          return env.DB.prepare(text).bind(...values);
        },
      }),
    });
    await new LogStore({ db: new Database(explained, noCost()), workspaceId: WORKSPACE }).list({
      filter,
      sort,
      limit: 200,
      offset: 0,
    });
    expect(plans).toHaveLength(1);
    const plan = await plans[0];
    expect(plan).toContain(index);
    expect(plan).not.toContain("SCAN s\n");
  });

  async function planOf(text: string, values: unknown[]): Promise<string> {
    const { results } = await env.DB.prepare(`explain query plan ${text}`)
      .bind(...values)
      .all<{ detail: string }>();
    return results.map((row) => `${row.detail}\n`).join("");
  }
});

describe("GET /flow_runs/{id}/logs/download", () => {
  test("gives all logs as CSV, as the original writes it", async () => {
    const run = await aFlowRun({ name: "my run, (x)" });
    await write(
      { flow_run_id: run.id, message: 'he said "a,b"\nline', timestamp: at(123_456) },
      { flow_run_id: run.id, task_run_id: run.id, message: " plain", level: 30, timestamp: at(1_000_000) },
    );
    const response = await SELF.fetch(`http://sluice/api/flow_runs/${run.id}/logs/download`);
    expect(response.headers.get("content-type")).toBe("text/csv; charset=utf-8");
    expect(response.headers.get("content-disposition")).toBe(
      "attachment; filename=\"flow-run-logs.csv\"; filename*=UTF-8''my%20run%2C%20%28x%29-logs.csv",
    );
    expect(await response.text()).toBe(
      `timestamp,level,flow_run_id,task_run_id,message\r\n` +
        `2026-10-10 08:00:00.123456+00:00,20,${run.id},,"he said ""a,b""\nline"\r\n` +
        `2026-10-10 08:00:01+00:00,30,${run.id},${run.id}, plain\r\n`,
    );
  });

  test("gives more than one page", async () => {
    const run = await aFlowRun();
    for (let batch = 0; batch < 5; batch++) {
      await write(
        ...Array.from({ length: 500 }, (_, n) => ({
          flow_run_id: run.id,
          message: `${batch * 500 + n}`,
          timestamp: at(batch * 500 + n),
        })),
      );
    }
    const text = await (await SELF.fetch(`http://sluice/api/flow_runs/${run.id}/logs/download`)).text();
    const lines = text.trimEnd().split("\r\n");
    expect(lines).toHaveLength(2501);
    expect(lines.slice(1).map((line) => Number(line.split(",").at(-1)))).toEqual(
      Array.from({ length: 2500 }, (_, n) => n),
    );
  });

  test("reads large logs in portions", async () => {
    const run = await aFlowRun();
    for (let n = 0; n < 10; n++)
      await write({ flow_run_id: run.id, message: `${n}${"a".repeat(1_500_000)}`, timestamp: at(n) });
    const text = await (await SELF.fetch(`http://sluice/api/flow_runs/${run.id}/logs/download`)).text();
    const lines = text.trimEnd().split("\r\n").slice(1);
    expect(lines.map((line) => line.split(",").at(-1)?.[0])).toEqual("0123456789".split(""));
    const store = new LogStore({ db: new Database(env.DB, noCost()), workspaceId: WORKSPACE });
    const filter: LogFilter = { operator: "and_", flow_run_id: { any_: [run.id] } };
    const query = { filter, sort: "TIMESTAMP_ASC" as const, limit: 1000, offset: 0 };
    expect(await store.list(query)).toHaveLength(10);
  });

  test("of an unknown run is a 404", async () => {
    const { status, body } = await api("GET", `/flow_runs/${anId()}/logs/download`);
    expect([status, body]).toEqual([404, { detail: "Flow run not found" }]);
  });
});
