/** D1's interface for the file of a stopped server. It is for measurements, and counts nothing. */
import type { DatabaseSync } from "node:sqlite";

export function d1OfFile(database: DatabaseSync): D1Database {
  const prepare = (text: string, values: (string | number | null)[] = []) => ({
    bind: (...given: (string | number | null)[]) => prepare(text, given),
    all: async () => ({ results: database.prepare(text).all(...values), meta: {} }),
  });
  const batch = (statements: ReturnType<typeof prepare>[]) => Promise.all(statements.map((one) => one.all()));
  return { prepare, batch } as unknown as D1Database;
}
