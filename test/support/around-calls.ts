/** A database that runs code before or after its calls, such as a concurrent request or the end of the process. */
import type { Database } from "#db/database";

/**
 * The database. Each call of a method goes to `around`, with the method's name, a function that makes the call, and the
 * arguments.
 */
export function aroundCalls(
  db: Database,
  around: (name: string, call: () => Promise<unknown>, args: readonly unknown[]) => Promise<unknown>,
): Database {
  return new Proxy(db, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) =>
        around(String(name), async () => Reflect.apply(value, target, args) as unknown, args);
    },
  });
}
