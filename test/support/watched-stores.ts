/** A D1 and an R2 whose calls are watched together: each call goes through one function, which may fail or do other work. */
import { env } from "cloudflare:test";
import { r2 } from "../archive/world";

/** Makes a call, or does not. `name` is "d1" or the name of R2's method. */
export type Around = <T>(name: string, call: () => Promise<T>) => Promise<T>;

export function watchedD1(around: Around): D1Database {
  const statements = new WeakMap<D1PreparedStatement, D1PreparedStatement>();
  const watched: Pick<D1Database, "prepare" | "batch"> = {
    prepare: (query) =>
      new Proxy(env.DB.prepare(query), {
        get: (statement, name) => {
          if (name !== "bind") throw new Error(`unexpected ${String(name)}`);
          return (...values: unknown[]) => {
            const bound = statement.bind(...values);
            const shown = new Proxy(bound, { get: () => () => around("d1", () => bound.all()) });
            statements.set(shown, bound);
            return shown;
          };
        },
      }),
    batch: <T>(shown: D1PreparedStatement[]) =>
      around("d1", () => env.DB.batch<T>(shown.map((one) => statements.get(one) ?? one))),
  };
  return watched as D1Database;
}

export function watchedBucket(r2: R2Bucket, around: Around): R2Bucket {
  return new Proxy(r2, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return async (...args: unknown[]) => {
        const result = await around(String(name), async () => Reflect.apply(value, target, args) as unknown);
        if (name !== "get" || !result) return result;
        const object = result as R2ObjectBody;
        return { size: object.size, arrayBuffer: () => around("body", () => object.arrayBuffer()) };
      };
    },
  });
}

/** Both stores of a test's tools, watched together. */
export const watchedStores = ({ around }: { around: Around }): { d1: D1Database; bucket: R2Bucket } => ({
  d1: watchedD1(around),
  bucket: watchedBucket(r2(), around),
});

/** Counts calls, and ends the process at one of them: before it is made, or after it was made. Then every call fails. */
export function dying(at: number, when: "before" | "after"): { around: Around; calls: () => number } {
  let calls = 0;
  const around: Around = async (name, call) => {
    const index = calls++;
    if (index > at || (index === at && when === "before")) throw new Error(`${name}: the process has died`);
    const result = await call();
    if (index === at) throw new Error(`${name}: the process has died`);
    return result;
  };
  return { around, calls: () => calls };
}

/** Does other work before the call with this number. */
export function between(at: number, work: () => Promise<unknown>): { around: Around; calls: () => number } {
  let calls = 0;
  const around: Around = async (_, call) => {
    if (calls++ === at) await work();
    return call();
  };
  return { around, calls: () => calls };
}
