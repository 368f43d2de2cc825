/** Long values, and how much of them a request reads of D1 at once. */
import { vi } from "vitest";
import { Database } from "#db/database";
import { api } from "../support/world";

/** A text of so many bytes, half of them in characters of two. */
export const text = (bytes: number) => "é".repeat(bytes / 4) + "x".repeat(bytes / 2);

/** Characters of the largest round trip's rows. */
let largest = 0;
// A method of its own, for all reads go through it.
const counted = vi.spyOn(Database.prototype as unknown as { count(results: D1Result[]): void }, "count");
const original = counted.getMockImplementation();
counted.mockImplementation(function (this: Database, results) {
  largest = Math.max(largest, JSON.stringify(results.map((result) => result.results)).length);
  original?.call(this, results);
});

/** Sends a request as `api` does; with it, how many characters the largest answer of D1 had. */
export async function readLarge(method: string, path: string, body?: unknown) {
  largest = 0;
  const answer = await api(method, path, body, { "x-sluice-cost": "1" });
  return { ...answer, largest };
}

/** One portion, and what is short beside it. */
export const MOST_READ = 2_400_000;
