/** Counts the recorded requests of each operation of the original. */
import operations from "./operations.json" with { type: "json" };
import type { TranscriptStep } from "./play.ts";

/** How many recorded requests of an operation the original carried out (2xx), and how many it refused (4xx). */
export interface Counts {
  good: number;
  bad: number;
}

/** The operations of the original, as `GET /flows/{id}`. */
export const ORIGINAL: readonly string[] = Object.keys(operations.operations);

/** Finds the operation of a request (`GET /flows/<id 1.id>?limit=1`), or undefined. */
export function operationOf(request: string): string | undefined {
  const [wanted = ""] = request.split("?");
  return MATCHERS.find(({ pattern }) => pattern.test(wanted))?.operation;
}

/** A path without parameters comes first: `/flows/filter` is not a flow's id. */
const MATCHERS = ORIGINAL.map((operation) => ({
  operation,
  parameters: operation.split("{").length,
  pattern: new RegExp(`^${operation.replaceAll(/\{\w+\}/g, "[^/]+")}$`),
})).toSorted((a, b) => a.parameters - b.parameters);

/** The counts of each operation, also of those without a recorded request. */
export function countRequests(transcripts: readonly (readonly TranscriptStep[])[]): Map<string, Counts> {
  const counts = new Map(ORIGINAL.map((operation) => [operation, { good: 0, bad: 0 }]));
  for (const { request, status } of transcripts.flat()) {
    const own = counts.get(operationOf(request) ?? "");
    if (!own) continue;
    if (status < 300) own.good += 1;
    else if (status >= 400 && status < 500) own.bad += 1;
  }
  return counts;
}
