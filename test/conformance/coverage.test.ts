/** Which operations of the original the recorded answers cover. */
import { expect, test } from "vitest";
import { countRequests, operationOf } from "./coverage";
import { isNotYet } from "./not-yet";
import type { TranscriptStep } from "./play";
import { scenarios } from "./scenarios";

/** Operations that the original carries out always, or never as it is installed. */
const ALWAYS: readonly string[] = ["GET /health", "GET /version"];
const NEVER: Record<string, string> = { "GET /csrf-token": "only a server that wants tokens gives one" };

const recorded = import.meta.glob<TranscriptStep[]>("./recorded/*.json", { eager: true, import: "default" });

/** The counts of the operations that are compared. `others` leaves out the requests that are made from the operations. */
function countsOf({ others }: { others: boolean }) {
  const wanted = Object.entries(recorded).filter(([file]) => !(others && file.includes("/bad-requests")));
  return [...countRequests(wanted.map(([, steps]) => steps))].filter(([operation]) => !isNotYet(operation));
}

test("every scenario is recorded, and nothing else", () => {
  expect(Object.keys(recorded).toSorted()).toEqual(scenarios.map(({ name }) => `./recorded/${name}.json`).toSorted());
});

test("every operation has a recorded request that the original carries out", () => {
  const without = countsOf({ others: true })
    .filter(([, { good }]) => good === 0)
    .map(([operation]) => operation);
  expect(without).toEqual(Object.keys(NEVER));
});

test("every operation has a recorded request that the original refuses", () => {
  const without = countsOf({ others: false })
    .filter(([, { bad }]) => bad === 0)
    .map(([operation]) => operation);
  expect(without).toEqual(ALWAYS);
});

test.for([
  ["POST /flows/filter", "POST /flows/filter"],
  ["GET /flows/<id 1.id>", "GET /flows/{id}"],
  ["GET /block_documents/<id 1.id>?include_secrets=true", "GET /block_documents/{id}"],
  ["GET /flows/name/none", "GET /flows/name/{name}"],
  ["GET /nothing", undefined],
] as const)("the operation of '%s' is found", ([request, operation]) => {
  expect(operationOf(request)).toBe(operation);
});
