/** The cost of an operation on a local Sluice, in D1, objects, queues and R2, as Sluice reports it. */
import { setTimeout as sleep } from "node:timers/promises";

import { openHttpClient, RequestFailure } from "./http-client.ts";
import { field } from "./json.ts";
import { median } from "./measure.ts";
import type { Operation } from "./operations.ts";
import type { Target } from "./target.ts";
import type { World } from "./world.ts";

/** Work per operation, or the difference between two totals. */
export interface Cost {
  d1Queries: number;
  d1RoundTrips: number;
  /** D1's own count. */
  d1RowsRead: number;
  /** D1's own count, index entries included. */
  d1RowsWritten: number;
  objectCalls: number;
  objectRowsWritten: number;
  queueMessages: number;
  /** Writes and lists of R2's objects. */
  r2ClassA: number;
  /** Reads of R2's objects. */
  r2ClassB: number;
}

export interface OperationCost {
  /** The cost until the reply, from the `x-sluice-cost` header; undefined if the target does not send the header. */
  reply: Cost | undefined;
  /** The cost including the work after the reply, from `/local/cost`. */
  whole: Cost | undefined;
}

const NOTHING: Cost = {
  d1Queries: 0,
  d1RoundTrips: 0,
  d1RowsRead: 0,
  d1RowsWritten: 0,
  objectCalls: 0,
  objectRowsWritten: 0,
  queueMessages: 0,
  r2ClassA: 0,
  r2ClassB: 0,
};

/** The name of each figure in the header (`queries=2;rows_read=5;…`). */
const HEADER_NAMES: Record<keyof Cost, string> = {
  d1Queries: "queries",
  d1RoundTrips: "round_trips",
  d1RowsRead: "rows_read",
  d1RowsWritten: "rows_written",
  objectCalls: "objects",
  objectRowsWritten: "object_rows_written",
  queueMessages: "queue_messages",
  r2ClassA: "r2_class_a",
  r2ClassB: "r2_class_b",
};

/** The name of each figure in the answer of `/local/cost`. */
const TOTALS_NAMES: Record<keyof Cost, string> = {
  d1Queries: "d1_queries",
  d1RoundTrips: "d1_round_trips",
  d1RowsRead: "d1_rows_read",
  d1RowsWritten: "d1_rows_written",
  objectCalls: "object_calls",
  objectRowsWritten: "object_rows_written",
  queueMessages: "queue_messages",
  r2ClassA: "r2_class_a",
  r2ClassB: "r2_class_b",
};

const SAMPLES = 20;
/** Crons only add to the totals, so the smaller of two measurements is nearer to the operation's own cost. */
const REPEATS = 2;

/** Whether a target reports its cost, by the header or by the totals. */
export async function tellsCost(target: Target): Promise<boolean> {
  if ((await readTotals(target)) !== undefined) return true;
  const http = openHttpClient(target, { connections: 1, headers: { "x-sluice-cost": "1" } });
  try {
    return typeof (await http.send("GET", "/health")).headers["x-sluice-cost"] === "string";
  } catch (error) {
    // As in `readTotals`.
    if (error instanceof RequestFailure) return false;
    throw error;
  } finally {
    http.close();
  }
}

/** Runs an operation several times, one after the other, and returns the cost of one run. */
export async function measureCost(operation: Operation, world: World): Promise<OperationCost> {
  const replies: Cost[] = [];
  let whole: Cost | undefined;
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    const before = await settledTotals(world.target);
    for (let number = 0; number < SAMPLES; number += 1) {
      const cost = await costOfReply(operation, world, number);
      if (cost !== undefined) replies.push(cost);
    }
    const after = await settledTotals(world.target);
    if (before === undefined || after === undefined) continue;
    const difference = perOperation(before, after, SAMPLES);
    if (whole === undefined || difference.d1RowsWritten < whole.d1RowsWritten) whole = difference;
  }
  return { reply: replies.length === 0 ? undefined : medians(replies), whole };
}

/** Reads the totals after two seconds, so that the totals include the work after the replies. */
export async function settledTotals(target: Target): Promise<Cost | undefined> {
  if ((await readTotals(target)) === undefined) return undefined;
  await sleep(2_000);
  return await readTotals(target);
}

export function perOperation(before: Cost, after: Cost, operations: number): Cost {
  return mapCost((name) => (after[name] - before[name]) / operations);
}

/** Reads the totals since the server started; undefined if the server has no such endpoint. */
export async function readTotals(target: Target): Promise<Cost | undefined> {
  const origin = new URL(target.apiUrl).origin;
  const client = openHttpClient({ ...target, apiUrl: origin }, { connections: 1 });
  try {
    const reply = await client.send("GET", "/local/cost");
    if (reply.status !== 200 || !(reply.headers["content-type"] ?? "").includes("json")) return undefined;
    const totals: unknown = JSON.parse(reply.text);
    if (typeof field(totals, TOTALS_NAMES.d1Queries) !== "number") return undefined;
    return mapCost((name) => Number(field(totals, TOTALS_NAMES[name]) ?? 0));
  } catch (error) {
    // If the server has ended, there are no totals, but the earlier measurements are still printed.
    if (error instanceof RequestFailure) return undefined;
    throw error;
  } finally {
    client.close();
  }
}

/** Reads the header of one reply. */
export function parseCostHeader(header: string): Cost {
  const figures = new Map(
    header.split(";").map((pair): [string, string] => [pair.split("=")[0] ?? "", pair.split("=")[1] ?? ""]),
  );
  return mapCost((name) => Number(figures.get(HEADER_NAMES[name]) ?? 0));
}

/** Adds up the headers of all requests of the operation; undefined if a reply has no header. */
async function costOfReply(operation: Operation, world: World, number: number): Promise<Cost | undefined> {
  const http = openHttpClient(world.target, { connections: 1, headers: { "x-sluice-cost": "1" } });
  let total: Cost | undefined = NOTHING;
  const send: typeof http.send = async (method, path, body) => {
    const reply = await http.send(method, path, body);
    const header = reply.headers["x-sluice-cost"];
    total = total === undefined || typeof header !== "string" ? undefined : add(total, parseCostHeader(header));
    return reply;
  };
  try {
    await operation.run({ http: { ...http, send }, world, client: 0, number });
    return total;
  } finally {
    http.close();
  }
}

function add(one: Cost, other: Cost): Cost {
  return mapCost((name) => one[name] + other[name]);
}

function medians(costs: readonly Cost[]): Cost {
  return mapCost((name) => median(costs.map((cost) => cost[name])));
}

function mapCost(valueOf: (name: keyof Cost) => number): Cost {
  return {
    d1Queries: valueOf("d1Queries"),
    d1RoundTrips: valueOf("d1RoundTrips"),
    d1RowsRead: valueOf("d1RowsRead"),
    d1RowsWritten: valueOf("d1RowsWritten"),
    objectCalls: valueOf("objectCalls"),
    objectRowsWritten: valueOf("objectRowsWritten"),
    queueMessages: valueOf("queueMessages"),
    r2ClassA: valueOf("r2ClassA"),
    r2ClassB: valueOf("r2ClassB"),
  };
}
