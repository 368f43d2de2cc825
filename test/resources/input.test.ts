import { SELF } from "cloudflare:test";
import { expect, test } from "vitest";
import { aFlowRun, api } from "../support/world";

interface Input {
  key: string;
  value: string;
  sender: string | null;
  flow_run_id: string;
}

async function withInputs(...keys: string[]): Promise<string> {
  const run = await aFlowRun();
  for (const key of keys) await api("POST", `/flow_runs/${run.id}/input`, { key, value: key });
  return run.id;
}

async function find(id: string, filter: Record<string, unknown>): Promise<string[]> {
  return (await api<Input[]>("POST", `/flow_runs/${id}/input/filter`, filter)).body.map(({ key }) => key);
}

test("an input is stored as plain text, once for each key", async () => {
  const run = await aFlowRun();
  const path = `/flow_runs/${run.id}/input`;
  const made = await api("POST", path, { key: "k-1", value: '{"a": 1}', sender: "me" });
  expect([made.status, made.body]).toEqual([201, null]);
  const again = await api("POST", path, { key: "k-1", value: "other" });
  expect([again.status, again.body]).toEqual([409, { detail: "A flow run input with this key already exists." }]);
  const read = await SELF.fetch(`http://sluice/api${path}/k-1`);
  expect([read.headers.get("content-type"), await read.text()]).toEqual(["text/plain; charset=utf-8", '{"a": 1}']);
  const { body } = await api<Input[]>("POST", `${path}/filter`, { prefix: "k" });
  expect(body).toMatchObject([{ key: "k-1", value: '{"a": 1}', sender: "me", flow_run_id: run.id }]);
});

test("one of two concurrent requests with the same input is refused", async () => {
  const run = await aFlowRun();
  const answers = await Promise.all(
    ["a", "b"].map((value) => api("POST", `/flow_runs/${run.id}/input`, { key: "k", value })),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201, 409]));
});

test.for([
  [{ prefix: "a" }, ["ab"]],
  [{ prefix: "a", limit: 9 }, ["ab", "a-c", "axc"]],
  [{ prefix: "a", limit: 2 }, ["ab", "a-c"]],
  [{ prefix: "a", limit: 0 }, []],
  [{ prefix: "", limit: 9 }, ["ab", "b", "a-c", "axc"]],
  [{ prefix: "a_c", limit: 9 }, ["a-c", "axc"]],
  [{ prefix: "%b", limit: 9 }, ["ab", "b"]],
  [{ prefix: "A", limit: 9 }, []],
  [{ prefix: "a", limit: 9, exclude_keys: ["ab", "axc", "none"] }, ["a-c"]],
  [{ prefix: "a", limit: 9, exclude_keys: null }, ["ab", "a-c", "axc"]],
  [{ prefix: "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz", limit: 9 }, []],
] as const)("inputs found by %j, oldest first: %j", async ([filter, expected]) => {
  expect(await find(await withInputs("ab", "b", "a-c", "axc"), filter)).toEqual(expected);
});

test.for([
  [{ key: "A", value: "x" }, "value_error", "key"],
  [{ key: "a_b", value: "x" }, "value_error", "key"],
  [{ key: "a" }, "missing", "value"],
  [{ value: "x" }, "missing", "key"],
  [{ key: "a", value: "x", sender: 3 }, "string_type", "sender"],
] as const)("the input %j is refused", async ([body, type, field]) => {
  const id = await withInputs();
  const answer = await api<{ exception_detail: unknown[] }>("POST", `/flow_runs/${id}/input`, body);
  expect(answer.status).toBe(422);
  expect(answer.body.exception_detail).toMatchObject([{ type, loc: ["body", field] }]);
  expect(await find(id, { prefix: "", limit: 9 })).toEqual([]);
});

test("an input is deleted once, and an unknown run has none", async () => {
  const id = await withInputs("k");
  const remove = () => api("DELETE", `/flow_runs/${id}/input/k`);
  expect((await remove()).status).toBe(204);
  const again = await remove();
  expect([again.status, again.body]).toEqual([404, { detail: "Flow run input not found" }]);
  expect((await api("GET", `/flow_runs/${id}/input/k`)).status).toBe(404);
  const unknown = await api("POST", `/flow_runs/${crypto.randomUUID()}/input`, { key: "k", value: "x" });
  expect([unknown.status, unknown.body]).toEqual([404, { detail: "Flow run not found" }]);
  expect((await api("POST", `/flow_runs/${id}/input/filter`, { prefix: "", limit: -1 })).status).toBe(422);
});
