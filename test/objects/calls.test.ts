/** Calls of an object and their answers. The object is a real object with one more method. */
import { env, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { noCost } from "#lib/cost";
import { parseJson } from "#lib/json";
import type { SluiceObject } from "#objects/base";
import { method } from "#objects/call";
import { objectClient } from "#objects/client";
import { unique } from "../support/world";

const METHODS = {
  echo: method<(...args: unknown[]) => unknown>(),
  fail: method<(message: string) => unknown>(),
};

const namespace = env.CONCURRENCY_LIMITS;
const stubOf = (name: string) => namespace.get(namespace.idFromName(name));

/** Creates an object that echoes its arguments, and gives its name. */
async function anObject(): Promise<string> {
  const name = unique("object");
  await runInDurableObject(stubOf(name), (object: unknown) => {
    Object.assign(object as SluiceObject, {
      contract: METHODS,
      echo: (...args: unknown[]) => args,
      fail: (message: string) => {
        throw new Error(message);
      },
    });
  });
  return name;
}

const clientOf = (name: string) =>
  objectClient({ ...METHODS, unknown: method<() => unknown>() }, namespace, { workspace: name, name: null }, noCost());

/** Sends the request of a call, and reads the answer. */
async function send(name: string, body: string): Promise<[number, unknown]> {
  const response = await stubOf(name).fetch("https://object/call", { method: "POST", body });
  return [response.status, await response.json()];
}

describe("a call", () => {
  test.for([
    ["none", []],
    ["words of all kinds", ["é\u0000\u001f", "😀 %00 %", "\ud800", "a\r\nb: c"]],
    ["empty things", [null, [], {}, "", 0, false]],
    ["a list of a million", [Array.from({ length: 1_000_000 }, (_, index) => index)]],
    ["a text of 8 MB", ["x".repeat(8_000_000)]],
  ] as const)("gives the object its arguments unchanged: %s", async ([, args]) => {
    const echoed = await clientOf(await anObject()).echo(...args);
    // `toEqual` is slow for large values.
    expect(JSON.stringify(echoed) === JSON.stringify(args)).toBe(true);
  });

  test("keeps the digits of numbers in both directions", async () => {
    const texts = ["1152921504606846977", "1.0", "-0", "1E400", "0.1000000000000000055511151231257827"];
    const echoed = await clientOf(await anObject()).echo(...texts.map((text) => parseJson(text)));
    expect(JSON.stringify(echoed)).toBe(`[${texts.join(",")}]`);
  });

  test("uses no headers, because Cloudflare bounds the size of headers", async () => {
    const name = await anObject();
    const sizes: number[] = [];
    const watched = new Proxy(namespace, {
      get: (target, key) =>
        key === "get"
          ? (id: DurableObjectId) => ({
              fetch: (request: Request) => {
                sizes.push(request.url.length + [...request.headers].flat().join().length);
                return target.get(id).fetch(request);
              },
            })
          : (Reflect.get(target, key) as () => unknown).bind(target),
    });
    await objectClient(METHODS, watched, { workspace: name, name: null }, noCost()).echo("x".repeat(100_000));
    expect(Math.max(...sizes)).toBeLessThan(1000);
  });

  test("that fails gives the caller the error", async () => {
    await expect(clientOf(await anObject()).fail("no room, nowhere")).rejects.toThrow("no room, nowhere");
  });

  test("of an unknown method is refused", async () => {
    await expect(clientOf(await anObject()).unknown()).rejects.toThrow("no method unknown");
  });

  test.for(["toString", "__proto__", "constructor", "hasOwnProperty"])("of %s is refused", async (method) => {
    const name = await anObject();
    const [status, body] = await send(name, JSON.stringify({ v: 3, method, args: [] }));
    expect([status, body]).toEqual([500, { status: 500, error: `no method ${method}` }]);
  });

  test.for([0, 4, "3", null])("of the version %j is refused", async (v) => {
    const [status, body] = await send(await anObject(), JSON.stringify({ v, method: "echo", args: [] }));
    expect([status, body]).toEqual([500, { status: 500, error: `call version ${String(v)} is not understood` }]);
  });

  test("that is not JSON is refused", async () => {
    expect((await send(await anObject(), "{"))[0]).toBe(500);
  });

  test.for([
    [["workspace", "a", 1], "workspace", null],
    [[{ workspace: "workspace", name: "pool" }, "a", 1], "workspace", "pool"],
  ] as const)(
    "of the version before, with the object's name as its first argument, is answered",
    async ([args, ...identity]) => {
      const name = await anObject();
      expect(await send(name, JSON.stringify({ v: 2, method: "echo", args }))).toEqual([200, { result: ["a", 1] }]);
      const known = await runInDurableObject(stubOf(name), (object: unknown) => (object as SluiceObject).identity());
      expect([known.workspace, known.name]).toEqual(identity);
    },
  );

  test("gives the object its name", async () => {
    const name = await anObject();
    await clientOf(name).echo();
    const known = await runInDurableObject(stubOf(name), (object: unknown) => (object as SluiceObject).identity());
    expect(known).toEqual({ workspace: name, name: null });
  });
});
