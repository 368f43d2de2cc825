/** A database on which something else happens before or after a call: somebody who is faster, or a process that ends. */
import type { Database } from "#db/database";

/** The database as it is, but each call of a method goes by way of `around`, which is told its name, makes the call, and may look at its arguments. */
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
