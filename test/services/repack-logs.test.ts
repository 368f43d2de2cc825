import { env } from "cloudflare:test";
import { beforeEach, expect, test } from "vitest";
import { unpack } from "#db/packed";
import { packOldLogs, replace, selectNext } from "#services/repack-logs";
import { planOf } from "../support/plans";
import { api, WORKSPACE } from "../support/world";
import { empty, failingD1, type Fate, NOW, toolsAt } from "./retention-world";

beforeEach(async () => {
  await empty("log_segment", "log_minute");
  await env.DB.prepare("delete from sweep_mark where name like 'pack old logs%'").run();
});

const turn = (d1?: D1Database) => packOldLogs(toolsAt(NOW, {}, d1));

async function formsOf(): Promise<Record<string, number>> {
  const { results } = await env.DB.prepare(
    "select typeof(records) as form, count(*) as n from log_segment group by 1",
  ).all<{
    form: string;
    n: number;
  }>();
  return Object.fromEntries(results.map(({ form, n }) => [form, n]));
}

/** Writes segments as text, as they were written before there were packed columns. */
async function oldSegments(count: number, recordsOf: (index: number) => string): Promise<void> {
  for (let first = 0; first < count; first += 500) {
    await env.DB.batch(
      Array.from({ length: Math.min(500, count - first) }, (_, index) =>
        env.DB.prepare("insert into log_segment values (?, ?, ?, ?, ?, 20, 20, 1, ?)").bind(
          WORKSPACE,
          `run-${first + index}`,
          first + index,
          "digest",
          first + index,
          recordsOf(first + index),
        ),
      ),
    );
  }
}

const aRecord = (index: number) => ({
  id: crypto.randomUUID(),
  name: "prefect.flow_runs",
  level: 20,
  message: `line ${index}`,
  timestamp: index,
});
const recordsOf = (index: number) => JSON.stringify([aRecord(index)]);

async function texts(): Promise<Map<string, string>> {
  const { results } = await env.DB.prepare(
    "select run_id, iif(typeof(records) = 'blob', hex(records), records) as records from log_segment",
  ).all<{ run_id: string; records: string }>();
  return new Map(results.map(({ run_id, records }) => [run_id, unpack(records)]));
}

test("old segments are packed, answers stay the same, and later turns read one row", async () => {
  await oldSegments(1_200, recordsOf);
  const before = await texts();
  await env.DB.prepare("insert into log_minute select workspace_id, 0, run_id from log_segment").run();
  const shown = await api("POST", "/logs/filter", { sort: "TIMESTAMP_ASC" });
  await turn();
  expect(await formsOf()).toEqual({ blob: 1_200 });
  expect(await texts()).toEqual(before);
  expect(shown.body).toHaveLength(200);
  expect((await api("POST", "/logs/filter", { sort: "TIMESTAMP_ASC" })).body).toEqual(shown.body);
  const idle = toolsAt(NOW);
  await packOldLogs(idle);
  expect([idle.db.cost.d1_rows_read, idle.db.cost.d1_rows_written]).toEqual([1, 0]);
});

test("segments that do not shrink, and texts that are no lists, stay as they are and do not stop the sweep", async () => {
  const noise = () => JSON.stringify(Array.from({ length: 40 }, () => crypto.getRandomValues(new Uint32Array(1))[0]));
  await oldSegments(600, (index) => ["[]", "no json", "7", "", noise(), recordsOf(index)][index % 6] ?? "");
  const before = await texts().catch(() => null);
  expect(before).toBeNull();
  await turn();
  const forms = await formsOf();
  expect(forms["blob"]).toBeGreaterThanOrEqual(100);
  expect(forms["text"]).toBeGreaterThanOrEqual(400);
  expect(await env.DB.prepare("select mark from sweep_mark where name = 'pack old logs'").first("mark")).toBe("done");
});

test("a turn packs a bounded number of bytes, and the next turn continues", async () => {
  const large = (index: number) => JSON.stringify([{ ...aRecord(index), message: "ü".repeat(450_000) }]);
  await oldSegments(25, large);
  await turn();
  expect(await formsOf()).toEqual({ blob: 20, text: 5 });
  await turn();
  expect(await formsOf()).toEqual({ blob: 25 });
});

test.for<[string, Fate[]]>([
  ["lost", ["lost"]],
  ["lost", ["made", "lost"]],
  ["lost", ["made", "made", "lost"]],
  ["lost", ["made", "made", "made", "lost"]],
  ["lost", ["made", "made", "made", "made", "lost"]],
  ["lost", ["made", "made", "made", "made", "made", "lost"]],
  ["answered in vain", ["made", "made", "made, but the answer is lost"]],
  ["answered in vain", ["made", "made", "made", "made", "made, but the answer is lost"]],
  ["answered in vain", ["made", "made", "made", "made", "made", "made, but the answer is lost"]],
])("if a call of a turn is %s (%j), the next turns pack the rest", async ([, fates]) => {
  await oldSegments(700, recordsOf);
  const before = await texts();
  await expect(turn(failingD1(fates))).rejects.toThrow();
  for (let turns = 0; turns < 4; turns++) await turn();
  expect(await formsOf()).toEqual({ blob: 700 });
  expect(await texts()).toEqual(before);
});

test("two turns at once pack each segment once", async () => {
  await oldSegments(1_500, recordsOf);
  const before = await texts();
  await Promise.all([turn(), turn()]);
  for (let turns = 0; turns < 2; turns++) await turn();
  expect(await formsOf()).toEqual({ blob: 1_500 });
  expect(await texts()).toEqual(before);
});

test("a segment that is deleted, packed or written again meanwhile is not changed", async () => {
  await oldSegments(3, recordsOf);
  const before = await texts();
  const key = (index: number) => JSON.stringify([WORKSPACE, `run-${index}`, index, "digest"]);
  const changes = [0, 1, 2].map((index): [string, string, string] => [
    key(index),
    (before.get(`run-${index}`) ?? "").slice(0, 60),
    "00ff",
  ]);
  await env.DB.batch([
    env.DB.prepare("delete from log_segment where run_id = 'run-0'"),
    env.DB.prepare("update log_segment set records = unhex('00') where run_id = 'run-1'"),
    env.DB.prepare("update log_segment set records = ? where run_id = 'run-2'").bind(recordsOf(2)),
  ]);
  const { changes: changed } = await toolsAt(NOW).db.run(replace(changes));
  expect(changed).toBe(0);
  expect(await formsOf()).toEqual({ blob: 1, text: 1 });
});

test("the statements seek their segments", async () => {
  expect(await planOf(selectNext(["a", "b", 1, "c"], 10))).toMatch(
    /^SEARCH s USING PRIMARY KEY \(\(workspace_id,run_id,first_timestamp,digest\)>\(\?,\?,\?,\?\)\)$/,
  );
  const plan = await planOf(replace([[JSON.stringify(["a", "b", 1, "c"]), "", "00"]]));
  expect(plan).toMatch(
    /SEARCH s USING PRIMARY KEY \(workspace_id=\? AND run_id=\? AND first_timestamp=\? AND digest=\?\)/,
  );
});
