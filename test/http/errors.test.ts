/**
 * The answers if a request is too large for the platform, or if an error cannot be printed. The errors are real
 * platform errors.
 */
import { createExecutionContext, env, runInDurableObject, SELF } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { createApp } from "#app";
import { InvalidRequest, toResponse } from "#http/errors";

/** The error that the function throws. */
async function thrownBy(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

const run = (sql: string, ...values: unknown[]) =>
  env.DB.prepare(sql)
    .bind(...values)
    .all();

/** Errors of the platform, and the minimum size in bytes of a request that can cause the error. */
const TOO_LARGE: readonly [string, () => unknown, number][] = [
  [
    "a value that grew too large",
    () => run("select replace(?, 'x', ?)", "x".repeat(3000), "y".repeat(1_000_000)),
    200_000,
  ],
  ["a blob of an object", () => inObject("select zeroblob(3000000000)"), 200_000],
  ["too many values", () => run(`select ${Array(200).fill("?").join()}`, ...Array<number>(200).fill(1)), 5000],
  ["an expression that is too deep", () => run(`select 1${"+1".repeat(5000)}`), 5000],
  ["too many parts of a statement", () => run(Array(3000).fill("select 1").join(" union ")), 5000],
  ["a text that is too long", () => "x".repeat(2 ** 29).concat("x".repeat(2 ** 29)), 200_000],
  ["more arguments than a call takes", () => Math.max(...Array.from({ length: 3_000_000 }, () => 0)), 200_000],
];

function inObject(sql: string) {
  const stub = env.CONCURRENCY_LIMITS.get(env.CONCURRENCY_LIMITS.idFromName("errors"));
  return runInDurableObject(stub, (_, { storage }) => storage.sql.exec(sql).toArray());
}

describe("an error of the platform about size", () => {
  test.for(TOO_LARGE)("is a 413 if the request is large, and otherwise a 500: %s", async ([, work, bytes]) => {
    const error = await thrownBy(work);
    const large = toResponse(error, "id-1", bytes);
    expect([large.status, await large.json()]).toEqual([
      413,
      { detail: expect.stringMatching(/^The request is too large/) },
    ]);
    const small = toResponse(error, "id-1", 300);
    expect([small.status, await small.json()]).toEqual([
      500,
      { exception_message: "Internal Server Error", request_id: "id-1" },
    ]);
  });

  test("is a 413 for the large request", async () => {
    const broken = new Proxy(env.DB, {
      get(target, name) {
        if (name === "prepare") throw new Error("D1_ERROR: string or blob too big: SQLITE_TOOBIG");
        return Reflect.get(target, name);
      },
    });
    const statuses = ["x", "x".repeat(200_000)].map(async (name) => {
      const body = JSON.stringify({ flows: { name: { any_: [name] } } });
      const headers = { "content-type": "application/json" };
      const request = new Request("http://sluice/api/flows/filter", { method: "POST", headers, body });
      return (await createApp().fetch(request, { ...env, DB: broken }, createExecutionContext())).status;
    });
    expect(await Promise.all(statuses)).toEqual([500, 413]);
  });
});

describe("an error that cannot be printed", () => {
  let deep: unknown = [];
  for (let level = 0; level < 100_000; level++) deep = [deep];
  const round: unknown[] = [];
  round.push(round);
  test.for([
    ["a refused body that is too deep", new InvalidRequest([], deep)],
    ["a refused body that contains itself", new InvalidRequest([], round)],
    ["a refused body with a big integer", new InvalidRequest([], { limit: 1n })],
    ["a thrown value that is not an error", Object.create(null)],
  ] as const)("is a 500 with the id of its request: %s", async ([, error]) => {
    const response = toResponse(error, "id-1", 300);
    expect([response.status, await response.json()]).toEqual([
      500,
      { exception_message: "Internal Server Error", request_id: "id-1" },
    ]);
  });
});

describe("for a body with very many faults", () => {
  test.for([
    ["small", "/logs/", Array.from({ length: 5000 }, () => 0), 1000],
    ["large", "/logs/", Array.from({ length: 1_000_000 }, () => 0), 1],
    ["large", "/flow_runs/filter", { flow_runs: { name: { any_: Array.from({ length: 1_000_000 }, () => 0) } } }, 1],
    ["of names", "/flows/", Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`key-${index}`, 0])), 1000],
  ] as const)("that is %s, the answer lists so many faults: %s", async ([, path, body, told]) => {
    const headers = { "content-type": "application/json" };
    const request = new Request(`http://sluice/api${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    const response = await createApp().fetch(request, env, createExecutionContext());
    expect(response.status).toBe(422);
    const { exception_detail: details } = await response.json<{ exception_detail: unknown[] }>();
    expect(details.length).toBe(told);
  });
});

test("a refusal repeats the request, and only the short values of a large request", async () => {
  const sent = (bytes: number) => ({ name: "", value: "x".repeat(bytes), tags: "x".repeat(bytes), extra: true });
  const refused = async (body: unknown) => {
    const answer = await SELF.fetch("http://sluice/api/variables/", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return answer.json<{ exception_detail: { loc: string[]; input: unknown }[]; request_body: unknown }>();
  };
  const small = await refused(sent(30_000));
  expect(small.request_body).toEqual(sent(30_000));
  expect(small.exception_detail.find(({ loc }) => loc.at(-1) === "tags")?.input).toBe(sent(30_000).tags);
  const large = await refused(sent(40_000));
  expect(large.request_body).toBeNull();
  const field = ({ loc }: { loc: string[] }) => loc.at(-1) ?? "";
  expect(Object.fromEntries(large.exception_detail.map((one) => [field(one), one.input]))).toEqual({
    ...Object.fromEntries(small.exception_detail.map((one) => [field(one), one.input])),
    tags: null,
    value: null,
  });
});
