/**
 * Sends hostile requests to a real server:
 * `npm run test:fuzz -- [--minutes 15] [--seed N] [--url http://host/api] [--only PATTERN] [--slow N] [--checks N]`.
 * Without a URL, the test starts its own server with a new data folder. `--only` selects operations by method and path.
 * An answer that takes more than `--slow` seconds is a finding. `--checks` is the number of lists and polls after each request. The output is the answers, the first request of each
 * kind that failed, the answers and the longest time of each operation, and the memory of workerd. The test fails if it finds anything.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { writeOpenApi } from "../../scripts/build.ts";
import type { Finding } from "./oracle.ts";
import type { Document } from "./requests.ts";
import { run, type Report, type Scene } from "./run.ts";
import { csrfHeaders, Server } from "./server.ts";
import { playSockets } from "./sockets.ts";

/** The maximum time of an answer. */
const PATIENCE_MS = 20_000;
/** How many of the slowest requests are printed. */
const SLOWEST = 12;
/** One body of so many is sent in chunks, without a content-length. */
const CHUNKED_EVERY = 5;
/** After so many requests without an answer, the server counts as ended. */
const SILENT_TRIES = 4;
const SETTLE_MS = 10_000;
const MINUTE_MS = 60_000;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "15" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    url: { type: "string" },
    only: { type: "string", default: "." },
    checks: { type: "string", default: "4" },
    slow: { type: "string", default: "8" },
  },
});
const seed = Number(values.seed);
const end = Date.now() + Number(values.minutes) * MINUTE_MS;
await writeOpenApi();
const document = JSON.parse(readFileSync("dist/openapi.txt", "utf8")) as Document;
const server = values.url === undefined ? await Server.start() : undefined;
const url = server?.url ?? values.url ?? "";
console.log(`seed ${seed}, ${values.minutes} minutes, ${url}`);

/** A token ends after an hour, so it is renewed between two worlds. */
let headers = await csrfHeaders(url);
let sent = 0;
/** The number of requests since the last request that was answered. */
let silent = 0;
let told = 0;
/** The maximum memory so far, in MB. */
let highest = 0;
/** The number of findings of each kind. The first finding of each kind is printed in full. */
const kinds = new Map<string, number>();
try {
  const report = await run(document, seed, send, {
    only: new RegExp(values.only),
    checks: Number(values.checks),
    patienceMs: Number(values.slow) * 1000,
    intake: true,
    isOver: () => Date.now() >= end || silent >= SILENT_TRIES,
    between,
  });
  for (const [kind, count] of kinds) console.log(`${count} x ${kind}`);
  console.log(`${report.tally.table}\nThe slowest requests:\n${report.tally.slowest(SLOWEST)}`);
  if (report.tally.unreached.length > 0) console.log(`no 2xx of:\n${report.tally.unreached.join("\n")}`);
  console.log(report.summary);
  if (server) {
    const most = highest;
    await settle();
    console.log(`workerd holds ${server.memory()} MB; at most it was seen to hold ${most} MB`);
  }
  process.exitCode = report.findings.length === 0 ? 0 : 1;
} finally {
  await server?.stop();
}

async function send(method: string, path: string, body?: string): Promise<{ status: number; text: string }> {
  sent += 1;
  const isChunked = body !== undefined && sent % CHUNKED_EVERY === 0;
  try {
    const response = await fetch(url + path, {
      method,
      headers: { "content-type": "application/json", ...headers },
      signal: AbortSignal.timeout(PATIENCE_MS),
      ...(body !== undefined && !isChunked && { body }),
      ...(isChunked && { body: new Blob([body]).stream(), duplex: "half" }),
    });
    const text = await response.text();
    silent = 0;
    return { status: response.status, text };
  } catch (error) {
    // No answer, or an answer after the timeout, is reported as a fault of the server.
    silent += 1;
    return { status: 599, text: String(error instanceof Error ? (error.cause ?? error) : error) };
  }
}

/** Between two worlds: sends the messages over sockets, and prints the new findings. */
async function between(report: Report, scene: Scene): Promise<void> {
  headers = await csrfHeaders(url);
  report.findings.push(...(await playSockets(url, scene, headers)));
  for (const finding of report.findings.slice(told)) {
    const kind = kindOf(finding);
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    if (kinds.get(kind) === 1)
      console.log(`${finding.kind}: ${finding.request}\n    ${finding.answer}${causeOf(finding)}`);
  }
  told = report.findings.length;
  highest = Math.max(highest, server?.memory() ?? 0);
  if (report.requests % 600 === 0) console.error(`${report.summary}${server ? `; ${server.memory()} MB` : ""}`);
}

/** Sends small requests for a few seconds, because workerd frees the memory of large answers at later allocations. */
async function settle(): Promise<void> {
  for (const until = Date.now() + SETTLE_MS; Date.now() < until;) await send("POST", "/flows/count", "{}");
}

/** The line about a fault in the server's log, found by the id of the request. */
function causeOf({ answer }: Finding): string {
  const id = /"request_id":"([^"]+)"/.exec(answer)?.[1];
  const line = id && server?.program.output.split("\n").find((one) => one.includes(id) && one.includes("stack"));
  return line ? `\n    ${line.slice(0, 900)}` : "";
}

/** The common part of findings with one cause: the operation, and the answer without ids and numbers. */
function kindOf({ kind, operation, answer }: Finding): string {
  return `${kind} ${operation} ${answer.replaceAll(/[0-9a-f-]{36}|\d+/g, "…").slice(0, 60)}`;
}
