/** Long values, and the maximum size of a D1 read in a request. */
import { vi } from "vitest";
import { Database } from "#db/database";
import { TELL_COST } from "../support/cost";
import { api } from "../support/world";

/** A text of so many bytes. Half of the bytes are in two-byte characters. */
export const text = (bytes: number) => "é".repeat(bytes / 4) + "x".repeat(bytes / 2);

/** The number of characters in the rows of the largest round trip. */
let largest = 0;
// All reads call this method.
const counted = vi.spyOn(Database.prototype as unknown as { count(results: D1Result[]): void }, "count");
const original = counted.getMockImplementation();
counted.mockImplementation(function (this: Database, results) {
  largest = Math.max(largest, JSON.stringify(results.map((result) => result.results)).length);
  original?.call(this, results);
});

/** Sends a request as `api` does, and also gives the number of characters of the largest answer of D1. */
export async function readLarge(method: string, path: string, body?: unknown) {
  largest = 0;
  const answer = await api(method, path, body, TELL_COST);
  return { ...answer, largest };
}

/** The number of characters of one portion with the short values of its rows. */
export const MOST_READ = 2_400_000;
